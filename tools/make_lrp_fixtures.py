#!/usr/bin/env python3
"""Relevance of the input embeddings by AttnLRP, for the models of tests/fixtures/models.

    pip install torch transformers safetensors
    python tools/make_lrp_fixtures.py [OUT]

transformers' own modules run in 64 bits, with the derivatives of some of their parts replaced: norms by a constant scale,
activations and tanh by f(x) / x, products of two values by half of each (Achtibat and others 2024). Relevance is then the input
times the gradient of the logit that is largest. OUT is tests/fixtures/attribution/lrp.json unless given.
"""

import importlib
import json
import sys
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

ROOT = Path(__file__).parent.parent
MODELS = ["gpt2", "llama", "gemma2", "qwen3", "phi3", "gpt_neox", "bert-seqcls", "cohere", "olmo2", "starcoder2"]
TANH = torch.tanh


def identity(f):
    """f, with the derivative f(x) / x."""

    def rule(x, *rest):
        y = f(x.detach(), *rest)
        factor = torch.where(x == 0, torch.zeros_like(y), y / torch.where(x == 0, torch.ones_like(x), x).detach())
        return x * factor.detach()

    return rule


def halves(f, a, b):
    """f(a, b), half of which goes back to each."""
    return 0.5 * (f(a, b.detach()) + f(a.detach(), b))


class Activation(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.rule = identity(lambda x: self.plain(inner, x))

    @staticmethod
    def plain(inner, x):
        patched, torch.tanh = torch.tanh, TANH
        try:
            return inner(x)
        finally:
            torch.tanh = patched

    def forward(self, x):
        return self.rule(x)


def layer_norm(self, x):
    mean = x.mean(-1, keepdim=True)
    scale = ((x - mean) ** 2).mean(-1, keepdim=True).add(getattr(self, "eps", getattr(self, "variance_epsilon", None))).sqrt()
    out = (x - mean) / scale.detach() * self.weight
    return out + self.bias if getattr(self, "bias", None) is not None else out


def rms_norm(one_plus):
    def forward(self, x):
        eps = self.eps if hasattr(self, "eps") else self.variance_epsilon
        scale = (x**2).mean(-1, keepdim=True).add(eps).sqrt().detach()
        return x / scale * (1 + self.weight if one_plus else self.weight)

    return forward


def eager(module, query, key, value, attention_mask=None, scaling=None, dropout=0.0, softcap=None, **rest):
    share = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(share, 1), value.repeat_interleave(share, 1)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = halves(lambda q, k: q @ k.transpose(2, 3), query, key) * scaling
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if attention_mask is not None:
        scores = scores + attention_mask[..., : key.shape[-2]]
    pattern = scores.softmax(-1)
    return halves(torch.matmul, pattern, value).transpose(1, 2).contiguous(), pattern


def gated(self, x):
    if hasattr(self, "gate_up_proj"):
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
    else:
        gate, up = self.gate_proj(x), self.up_proj(x)
    act = self.act_fn if hasattr(self, "act_fn") else self.activation_fn
    return self.down_proj(halves(torch.mul, act(gate), up))


def patch(model):
    modeling = importlib.import_module(type(model).__module__)
    modeling.eager_attention_forward = eager
    for module in list(model.modules()):
        kind = type(module).__name__
        if isinstance(module, nn.LayerNorm) or kind.endswith("LayerNorm"):
            module.forward = layer_norm.__get__(module)
        elif kind.endswith("RMSNorm"):
            module.forward = rms_norm(kind.startswith("Gemma")).__get__(module)
        elif hasattr(module, "down_proj"):
            module.forward = gated.__get__(module)
        for name in ("act", "act_fn", "activation_fn", "intermediate_act_fn"):
            if isinstance(getattr(module, name, None), nn.Module):
                setattr(module, name, Activation(getattr(module, name)))


def relevance(name):
    folder = ROOT / "tests/fixtures/models" / name
    reference = json.loads((folder / "reference.json").read_text())
    kind = AutoModelForSequenceClassification if name.endswith("seqcls") else AutoModelForCausalLM
    load = lambda: kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    ids = torch.tensor([reference["prompts"][0]["token_ids"]])
    mask = torch.tensor([reference["prompts"][0]["attention_mask"]])
    plain, model = load(), load()
    with torch.no_grad():
        wanted = plain(input_ids=ids, attention_mask=mask).logits
    patch(model)
    torch.tanh = identity(TANH)
    seen = []
    embedding = model.get_input_embeddings()
    hook = embedding.register_forward_hook(lambda m, i, out: seen.append(out.detach().requires_grad_()) or seen[-1])
    logits = model(input_ids=ids, attention_mask=mask).logits
    hook.remove()
    torch.tanh = TANH
    assert torch.allclose(logits, wanted, atol=1e-4), (name, (logits - wanted).abs().max())
    last = logits[0] if logits.ndim == 2 else logits[0, int(mask[0].nonzero()[-1])]
    target = int(last.argmax())
    gradient = torch.autograd.grad(last[target], seen[0])[0]
    values = (seen[0] * gradient)[0]
    return {
        "text": reference["prompts"][0]["text"], "token_ids": ids[0].tolist(), "target": target, "number": float(last[target].detach()),
        "positions": values.sum(-1).tolist(), "elements": values[-1].tolist(),
    }


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/fixtures/attribution/lrp.json"
    found = {}
    for name in MODELS:
        found[name] = relevance(name)
        print(name, found[name]["number"], sum(found[name]["positions"]))
    out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
