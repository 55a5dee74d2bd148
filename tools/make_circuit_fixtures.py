#!/usr/bin/env python3
"""Records what TransformerLens says of the gpt2 fixture: composition scores and eigenvalues of heads, patching sweeps, and its
lens and direct logit attribution. Writes tests/fixtures/interpretability/gpt2-transformer-lens.json.

    pip install 'transformer-lens<4'
    python tools/make_circuit_fixtures.py
"""

import importlib.metadata
import json
from pathlib import Path

import torch
import transformers
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
CLEAN, CORRUPT = [5, 77, 123, 9, 300, 41, 260], [5, 77, 200, 9, 300, 41, 260]
TARGET, FOIL = 11, 22


def hooked(path):
    """A local GPT-2 in TransformerLens, with its weights as they are."""
    hf = transformers.GPT2LMHeadModel.from_pretrained(path)
    c = hf.config
    cfg = HookedTransformerConfig(
        n_layers=c.n_layer, d_model=c.n_embd, n_ctx=c.n_positions, d_head=c.n_embd // c.n_head, n_heads=c.n_head,
        d_mlp=c.n_inner or 4 * c.n_embd, d_vocab=c.vocab_size, act_fn="gelu_new", eps=c.layer_norm_epsilon,
        normalization_type="LN", original_architecture="GPT2LMHeadModel", device="cpu",
    )  # fmt: skip
    model = HookedTransformer(cfg)
    model.load_state_dict(convert_gpt2_weights(hf, cfg), strict=False)
    return model.eval()


def score(values):
    return float(values.real.sum() / values.abs().sum())


def main():
    torch.set_grad_enabled(False)
    model = hooked(FIXTURES / "models" / "gpt2")
    layers, heads = model.cfg.n_layers, model.cfg.n_heads
    out = {"transformer_lens": importlib.metadata.version("transformer-lens"), "clean": CLEAN, "corrupt": CORRUPT, "target": TARGET, "foil": FOIL}
    out["composition"] = {mode.lower(): model.all_composition_scores(mode).tolist() for mode in "QKV"}
    out["heads"] = []
    embed, unembed = model.W_E.double(), model.W_U.double()
    for layer in range(layers):
        for head in range(heads):
            q, k, v = (w[layer, head].double() for w in (model.W_Q, model.W_K, model.W_V))
            ov = torch.linalg.eigvals(embed @ v @ model.W_O[layer, head].double() @ unembed)
            qk = torch.linalg.eigvals(embed @ q @ k.T @ embed.T)
            out["heads"].append({"copying": score(ov), "matching": score(qk), "largest": float(ov.abs().max())})
    clean, corrupt = torch.tensor([CLEAN]), torch.tensor([CORRUPT])
    _, cache = model.run_with_cache(clean)
    metric = lambda logits: float(logits[0, -1, TARGET] - logits[0, -1, FOIL])
    out["metric"] = {"clean": metric(model(clean)), "corrupt": metric(model(corrupt))}

    def patched(name, place):
        def hook(x, hook):
            x[:, place] = cache[hook.name][:, place]
            return x

        return metric(model.run_with_hooks(corrupt, fwd_hooks=[(name, hook)]))

    def head_patched(layer, head):
        def hook(x, hook):
            x[:, :, head] = cache[hook.name][:, :, head]
            return x

        return metric(model.run_with_hooks(corrupt, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)]))

    out["sweeps"] = {
        site: [[patched(f"blocks.{layer}.hook_{site}", pos) for pos in range(len(CLEAN))] for layer in range(layers)]
        for site in ("resid_pre", "attn_out", "mlp_out")
    }
    out["sweeps"]["attn.z"] = [[head_patched(layer, head) for head in range(heads)] for layer in range(layers)]

    def path_patched(sender, receiver, part):
        """The direct path from one head's output to one head's input: everything between stays as it is on the corrupt text."""
        (from_layer, from_head), (to_layer, to_head) = sender, receiver
        _, own = model.run_with_cache(corrupt)
        moved = (cache[f"blocks.{from_layer}.attn.hook_z"] - own[f"blocks.{from_layer}.attn.hook_z"])[:, :, from_head] @ model.W_O[from_layer, from_head]
        stream = own[f"blocks.{to_layer}.hook_resid_pre"] + moved
        normed = model.blocks[to_layer].ln1(stream)
        weight, bias = {"q": (model.W_Q, model.b_Q), "k": (model.W_K, model.b_K), "v": (model.W_V, model.b_V)}[part]
        value = normed @ weight[to_layer, to_head] + bias[to_layer, to_head]

        def hook(x, hook):
            x[:, :, to_head] = value
            return x

        return metric(model.run_with_hooks(corrupt, fwd_hooks=[(f"blocks.{to_layer}.attn.hook_{part}", hook)]))

    out["paths"] = {
        part: [[path_patched((0, a), (1, b), part) for b in range(heads)] for a in range(heads)] for part in "qkv"
    }
    accumulated, labels = cache.accumulated_resid(layer=-1, incl_mid=True, return_labels=True)
    lens = model.unembed(model.ln_final(accumulated[:, 0]))[:, -1].log_softmax(-1)
    out["lens"] = {label: float(row[TARGET]) for label, row in zip(labels, lens)}
    path = FIXTURES / "interpretability" / "gpt2-transformer-lens.json"
    path.write_text(json.dumps(out) + "\n")
    print(path, out["metric"])


if __name__ == "__main__":
    main()
