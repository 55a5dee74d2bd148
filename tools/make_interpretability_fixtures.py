#!/usr/bin/env python3
"""Record logit lenses, direct logit attribution and head scores for some models of make_fixtures.py.

All of it is computed in float64 from the recorded values of the transformers model (reference.safetensors) and its
weights, by the formulas of TransformerLens:

- lens: log_softmax(lm_head(final_norm(resid))), with the model's own modules;
- direct: ((c - mean(c)) / scale) . (gain * (W_U[target] - W_U[foil])) for what each part adds, without the mean for RMS
  norms; a norm behind attention or MLP passes its gain and its own scale on in the same way;
- heads: sum(A * mask) / sum(A) with the masks of `detect_head`.

Usage:
    python make_interpretability_fixtures.py --models ../tests/fixtures/models --out ../tests/fixtures/interpretability
"""

import argparse
import json
from pathlib import Path

import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

DECODERS = ["gpt2", "llama", "gemma2", "opt"]
ENCODERS = ["bert-mlm"]


def part(model, family):
    """Final norm, its gain and bias, unembedding, and the parts of each block, of one family."""
    if family == "gpt2":
        base, layers = model.transformer, model.transformer.h
        return base.ln_f, layers, lambda l: (l.attn.c_proj.weight.T, l.attn.c_proj.bias)
    if family == "opt":
        base = model.model.decoder
        return base.final_layer_norm, base.layers, lambda l: (l.self_attn.out_proj.weight, l.self_attn.out_proj.bias)
    base = model.model
    return base.norm, base.layers, lambda l: (l.self_attn.o_proj.weight, None)


def gain_of(norm, family):
    weight = norm.weight.double()
    return 1 + weight if family == "gemma2" else weight


def head_scores(pattern, scores, ids):
    """Masks of TransformerLens' detect_head, and what else `heads` prints. `pattern` and `scores` are [H, T, T]."""
    T = len(ids)
    same = torch.tensor([[float(a == b) for b in ids] for a in ids], dtype=torch.float64)
    previous = torch.diag(torch.ones(T - 1, dtype=torch.float64), -1)
    duplicate = torch.tril(same - torch.eye(T, dtype=torch.float64))
    induction = torch.tril(torch.cat([torch.zeros(T, 1, dtype=torch.float64), duplicate[:, :-1]], 1))
    out = []
    for A, S in zip(pattern.double(), scores):
        share = lambda mask: float((A * mask).sum() / A.sum())
        # How many keys a query sees is told by its scores: those that a mask covers are -inf.
        seen = torch.isfinite(S).sum(-1).double()
        entropy = [float(-(r[r > 0] * r[r > 0].log()).sum() / seen[q].log()) for q, r in enumerate(A) if seen[q] > 1]
        distance = torch.tensor([[abs(q - k) for k in range(T)] for q in range(T)], dtype=torch.float64)
        out.append(
            {
                "previous": share(previous),
                "first": float(A[:, 0].mean()),
                "duplicate": share(duplicate),
                "induction": share(induction),
                "self": share(torch.eye(T, dtype=torch.float64)),
                "entropy": sum(entropy) / len(entropy),
                "largest": float(A.max(-1).values.mean()),
                "distance": float((A * distance).sum() / T),
            }
        )
    return out


def decoder(folder, family):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    values = safetensors.torch.load_file(folder / "reference.safetensors")
    record = json.loads((folder / "reference.json").read_text())["prompts"][0]
    ids = record["token_ids"]
    at = lambda site: values["p0/" + site].double()
    norm, layers, w_o = part(model, family)
    n, last = len(layers), len(ids) - 1
    head = model.lm_head
    cap = getattr(model.config, "final_logit_softcapping", None)

    def logits(x):
        y = head(norm(x))
        return torch.tanh(y / cap) * cap if cap else y

    points = [at(f"blocks.{i}.resid_pre") for i in range(n)] + [at(f"blocks.{n - 1}.resid_post")]
    lens = [torch.log_softmax(logits(x)[last], -1).tolist() for x in points]
    order = torch.argsort(logits(points[-1])[last], descending=True)
    target, foil = int(order[0]), int(order[1])

    # Direct logit attribution of the difference, at the last position.
    gain = gain_of(norm, family)
    centred = family in ("gpt2", "opt")
    scale = at("ln_final.scale")[last]
    u = gain * (head.weight[target] - head.weight[foil])
    back = lambda g, s: (g - g.mean() if centred else g) / s
    g = back(u, scale)
    direct, heads = {}, {}
    for site in ["embed", "pos_embed"]:
        if "p0/" + site in values:
            direct[site] = float(g @ at(site)[last])
    for i, layer in enumerate(layers):
        g_attn = g
        if family == "gemma2":
            post = layer.post_attention_layernorm
            g_attn = gain_of(post, family) * g / at(f"blocks.{i}.attn_post_ln.scale")[last]
        weight, bias = w_o(layer)
        weight = weight.double()  # [d, H h]
        z = at(f"blocks.{i}.attn.z")[last]  # [H, h]
        H, h = z.shape
        for j in range(H):
            heads[f"L{i}H{j}"] = float(g_attn @ (weight[:, j * h : (j + 1) * h] @ z[j]))
        direct[f"L{i}.attn.out"] = float(g @ at(f"blocks.{i}.attn_out")[last])
        direct[f"L{i}.mlp.out"] = float(g @ at(f"blocks.{i}.mlp_out")[last])
    bias = getattr(norm, "bias", None)
    if bias is not None:
        direct["ln_final.out bias"] = float((head.weight[target] - head.weight[foil]) @ bias)
    before_cap = head(norm(points[-1]))[last]
    total = float(before_cap[target] - before_cap[foil])
    assert abs(sum(direct.values()) - total) < 1e-5 * max(1, abs(total)), (sum(direct.values()), total)
    scores = {f"L{i}": head_scores(at(f"blocks.{i}.attn.pattern"), at(f"blocks.{i}.attn.scores"), ids) for i in range(n)}
    return {"text": record["text"], "target": target, "foil": foil, "lens": lens, "value": total, "direct": direct, "heads": heads, "scores": scores}


def encoder(folder):
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    values = safetensors.torch.load_file(folder / "reference.safetensors")
    record = json.loads((folder / "reference.json").read_text())["prompts"][0]
    n = model.config.num_hidden_layers
    points = [values[f"p0/blocks.{i}.resid_pre"].double() for i in range(n)] + [values[f"p0/blocks.{n - 1}.ln2.out"].double()]
    lens = [torch.log_softmax(model.cls(x.unsqueeze(0))[0, 1], -1).tolist() for x in points]
    return {"text": record["text"], "pos": 1, "lens": lens}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
    parser.add_argument("--models", type=Path, default=here / "models")
    parser.add_argument("--out", type=Path, default=here / "interpretability")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for name in DECODERS + ENCODERS:
            folder = given.models / name
            found = decoder(folder, name) if name in DECODERS else encoder(folder)
            (given.out / f"{name}.json").write_text(json.dumps(found) + "\n")
            print(name, "written")


if __name__ == "__main__":
    main()
