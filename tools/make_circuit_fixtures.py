#!/usr/bin/env python3
"""Records what TransformerLens says of the gpt2 and llama fixtures, with their weights as they are: composition scores and eigenvalues of
heads, patching sweeps, direct paths, scores of heads, its lens and direct logit attribution. Writes one file per model,
tests/fixtures/interpretability/NAME-transformer-lens.json.

    pip install 'transformer-lens<4'
    python tools/make_circuit_fixtures.py

Where query heads share keys and values (llama), "composition" and "heads" are of query heads: TransformerLens repeats W_K and W_V for them.
Sweeps of "attn.k" and "attn.v" and paths to k and v are of the model's own key and value heads, as hook_k and hook_v have them.
Queries and keys are those before the rotation by position.
"""

import importlib.metadata
import json
from pathlib import Path
from unittest import mock

import torch
import transformers
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.head_detector import detect_head
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights, convert_llama_weights

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
CLEAN, CORRUPT = [5, 77, 123, 9, 300, 41, 260], [5, 77, 200, 9, 300, 41, 260]
TARGET, FOIL = 11, 22
DETECT = [7, 8, 9, 7, 8, 9, 12, 7]
NEURONS = 8
# Stands for every place along a dimension.
ALL = slice(None)


def gpt2(path):
    """A local GPT-2, the config of TransformerLens for it and its weights by TransformerLens's names."""
    hf = transformers.GPT2LMHeadModel.from_pretrained(path)
    c = hf.config
    cfg = HookedTransformerConfig(
        n_layers=c.n_layer, d_model=c.n_embd, n_ctx=c.n_positions, d_head=c.n_embd // c.n_head, n_heads=c.n_head,
        d_mlp=c.n_inner or 4 * c.n_embd, d_vocab=c.vocab_size, act_fn="gelu_new", eps=c.layer_norm_epsilon,
        normalization_type="LN", original_architecture="GPT2LMHeadModel", device="cpu",
    )  # fmt: skip
    return hf, cfg, convert_gpt2_weights(hf, cfg)


def llama(path):
    """The same of a local Llama with grouped keys and the rotation of Llama 3."""
    hf = transformers.LlamaForCausalLM.from_pretrained(path)
    c, rope = hf.config, hf.config.rope_parameters
    assert rope["rope_type"] == "llama3", rope
    cfg = HookedTransformerConfig(
        n_layers=c.num_hidden_layers, d_model=c.hidden_size, n_ctx=c.max_position_embeddings, d_head=c.head_dim,
        n_heads=c.num_attention_heads, n_key_value_heads=c.num_key_value_heads, d_mlp=c.intermediate_size, d_vocab=c.vocab_size,
        act_fn=c.hidden_act, gated_mlp=True, eps=c.rms_norm_eps, normalization_type="RMS", final_rms=True,
        positional_embedding_type="rotary", rotary_adjacent_pairs=False, rotary_dim=c.head_dim, rotary_base=rope["rope_theta"],
        use_NTK_by_parts_rope=True, NTK_by_parts_low_freq_factor=rope["low_freq_factor"],
        NTK_by_parts_high_freq_factor=rope["high_freq_factor"], NTK_by_parts_factor=rope["factor"],
        NTK_original_ctx_len=rope["original_max_position_embeddings"], original_architecture="LlamaForCausalLM", device="cpu",
    )  # fmt: skip
    return hf, cfg, convert_llama_weights(hf, cfg)


def hooked(hf, cfg, weights):
    """The model in TransformerLens, with its weights as they are; it must give the logits that transformers gives."""
    model = HookedTransformer(cfg)
    model.load_state_dict(weights, strict=False)
    model.eval()
    texts = torch.tensor([CLEAN, CORRUPT])
    difference = float((model(texts) - hf.eval()(texts).logits).abs().max())
    assert difference < 1e-4, difference
    return model, difference


def score(values):
    return float(values.real.sum() / values.abs().sum())


def eigenvalues(model):
    """Of each head: how much it copies, how much it matches, and the largest eigenvalue of its OV circuit."""
    out = []
    embed, unembed = model.W_E.double(), model.W_U.double()
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            q, k, v = (w[layer, head].double() for w in (model.W_Q, model.W_K, model.W_V))
            ov = torch.linalg.eigvals(embed @ v @ model.W_O[layer, head].double() @ unembed)
            qk = torch.linalg.eigvals(embed @ q @ k.T @ embed.T)
            out.append({"copying": score(ov), "matching": score(qk), "largest": float(ov.abs().max())})
    return out


def metric(logits):
    """How far the target is ahead of the foil at the last position."""
    return float(logits[0, -1, TARGET] - logits[0, -1, FOIL])


def with_value(model, name, place, value):
    """The metric on the corrupt text with `value` at `place`, an index into [batch, ...], of hook `name`."""

    def hook(x, hook):
        x[place] = value
        return x

    return metric(model.run_with_hooks(torch.tensor([CORRUPT]), fwd_hooks=[(name, hook)]))


def patched(model, cache, name, place):
    """The metric on the corrupt text with the clean text's value at `place` of hook `name`."""
    return with_value(model, name, place, cache[name][place])


def sweeps(model, cache):
    """Sweeps over layers and positions of what has no heads, and over layers and heads, all positions at once, of what has them."""
    layers, heads, grouped = range(model.cfg.n_layers), model.cfg.n_heads, cache["blocks.0.attn.hook_k"].shape[2]
    out = {
        site: [[patched(model, cache, f"blocks.{layer}.hook_{site}", (0, pos)) for pos in range(len(CLEAN))] for layer in layers]
        for site in ("resid_pre", "resid_mid", "attn_out", "mlp_out")
    }
    for part, count in {"z": heads, "q": heads, "k": grouped, "v": grouped}.items():
        hook = f"attn.hook_{part}"
        out[f"attn.{part}"] = [[patched(model, cache, f"blocks.{layer}.{hook}", (0, ALL, head)) for head in range(count)] for layer in layers]
    out["attn.pattern"] = [[patched(model, cache, f"blocks.{layer}.attn.hook_pattern", (0, head)) for head in range(heads)] for layer in layers]
    return out


def sweeps_over(model, cache):
    """Sweeps over more than a site's own dimensions: heads by position, heads by row of the pattern, neurons at all positions."""
    layers, heads, positions = range(model.cfg.n_layers), range(model.cfg.n_heads), range(len(CLEAN))
    z, pattern, post = ("blocks.{}." + hook for hook in ("attn.hook_z", "attn.hook_pattern", "mlp.hook_post"))
    swept = lambda name, place: patched(model, cache, name, place)
    return {
        "attn.z": [[[swept(z.format(layer), (0, pos, head)) for pos in positions] for head in heads] for layer in layers],
        "attn.pattern": [[[swept(pattern.format(layer), (0, head, q)) for q in positions] for head in heads] for layer in layers],
        "mlp.post": [[swept(post.format(layer), (0, ALL, neuron)) for neuron in range(NEURONS)] for layer in layers],
    }


def path_patched(model, cache, sender, receiver, part):
    """The direct path from one head's output to one head's input: everything between stays as it is on the corrupt text."""
    (from_layer, from_head), (to_layer, to_head) = sender, receiver
    _, own = model.run_with_cache(torch.tensor([CORRUPT]))
    z = f"blocks.{from_layer}.attn.hook_z"
    moved = (cache[z] - own[z])[:, :, from_head] @ model.W_O[from_layer, from_head]
    normed = model.blocks[to_layer].ln1(own[f"blocks.{to_layer}.hook_resid_pre"] + moved)
    # With grouped keys the names with an underscore are the model's own heads, the others are repeated for each query head.
    stem = "_" if part != "q" and model.cfg.n_key_value_heads is not None else ""
    attn = model.blocks[to_layer].attn
    weight, bias = (getattr(attn, f"{stem}{kind}_{part.upper()}")[to_head] for kind in "Wb")
    return with_value(model, f"blocks.{to_layer}.attn.hook_{part}", (0, ALL, to_head), (normed @ weight + bias)[0])


def paths(model, cache):
    """Paths from each head of layer 0 to each query, key and value head of layer 1."""
    count = lambda part: cache[f"blocks.1.attn.hook_{part}"].shape[2]
    return {
        part: [[path_patched(model, cache, (0, a), (1, b), part) for b in range(count(part))] for a in range(model.cfg.n_heads)]
        for part in "qkv"
    }


def lens(model, cache):
    """Log-probability and rank of the target, at the last position, at each depth of the residual stream."""
    accumulated, labels = cache.accumulated_resid(layer=-1, incl_mid=True, return_labels=True)
    rows = model.unembed(model.ln_final(accumulated[:, 0]))[:, -1].log_softmax(-1)
    return {label: float(row[TARGET]) for label, row in zip(labels, rows)}, {label: int((row > row[TARGET]).sum()) for label, row in zip(labels, rows)}


def detect(model):
    """Scores of `detect_head` for the three kinds of heads it knows."""
    out = {"text": DETECT}
    # `detect_head` takes strings, and these models have no tokenizer in TransformerLens: give it the ids.
    with mock.patch.object(model, "to_tokens", lambda ids: ids):
        for kind, name in {"previous": "previous_token_head", "duplicate": "duplicate_token_head", "induction": "induction_head"}.items():
            scores = detect_head(model, torch.tensor([DETECT]), name, exclude_bos=False, exclude_current_token=False, error_measure="mul")
            out[kind] = scores.tolist()
    return out


def direct(model, cache):
    """What each part adds to the metric on the clean text by itself, the scale of the final norm held. "bias" is what the bias of the final
    norm and of the unembedding add, "heads" are without the bias of the output projection."""
    unembed = model.W_U[:, TARGET] - model.W_U[:, FOIL]
    # As the weights are not folded, the gain of the final norm has to be put into the direction.
    direction = model.ln_final.w * unembed
    # Centring, for a LayerNorm, and the cached scale are the library's.
    attrs = lambda stack: (cache.apply_ln_to_stack(stack, layer=-1, pos_slice=-1) @ direction)[:, 0]
    stack, labels = cache.decompose_resid(layer=-1, pos_slice=-1, return_labels=True)
    components = dict(zip(labels, attrs(stack).tolist()))
    heads = attrs(cache.stack_head_results(layer=-1, pos_slice=-1)).view(model.cfg.n_layers, model.cfg.n_heads)
    bias = float(model.unembed.b_U[TARGET] - model.unembed.b_U[FOIL])
    if model.cfg.normalization_type == "LN":
        bias += float(model.ln_final.b @ unembed)
    total, logit = sum(components.values()) + bias, metric(model(torch.tensor([CLEAN])))
    assert abs(total - logit) < 1e-4, (total, logit)
    return {"components": components, "heads": heads.tolist(), "bias": bias, "sum": total, "logit": logit}


def record(model):
    """Everything that is written about one model."""
    out = {"transformer_lens": importlib.metadata.version("transformer-lens"), "clean": CLEAN, "corrupt": CORRUPT, "target": TARGET, "foil": FOIL}
    out["composition"] = {mode.lower(): model.all_composition_scores(mode).tolist() for mode in "QKV"}
    out["heads"] = eigenvalues(model)
    logits, cache = model.run_with_cache(torch.tensor([CLEAN]))
    out["metric"] = {"clean": metric(logits), "corrupt": metric(model(torch.tensor([CORRUPT])))}
    out["sweeps"] = sweeps(model, cache)
    out["sweeps_over"] = sweeps_over(model, cache)
    out["paths"] = paths(model, cache)
    out["lens"], out["lens_ranks"] = lens(model, cache)
    out["detect"] = detect(model)
    out["direct"] = direct(model, cache)
    return out


def main():
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    for name, load in {"gpt2": gpt2, "llama": llama}.items():
        model, difference = hooked(*load(FIXTURES / "models" / name))
        out = record(model)
        path = FIXTURES / "interpretability" / f"{name}-transformer-lens.json"
        path.write_text(json.dumps(out) + "\n")
        print(f"{path.name}: {out['metric']}, logits differ from those of transformers by {difference:.1e}")


if __name__ == "__main__":
    main()
