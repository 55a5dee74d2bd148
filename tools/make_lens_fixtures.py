#!/usr/bin/env python3
"""Tuned lenses (Belrose et al. 2023) with random translators for the gpt2 and llama fixtures, and what they say of a text.

    pip install tuned-lens safetensors
    python tools/make_lens_fixtures.py

Writes, under tests/fixtures/interpretability, NAME-lens/ with config.json and params.pt as `TunedLens.save` writes them and the same state as
params.safetensors, and tuned-lens.json: for each model the text, and log-probabilities of all tokens at its last position. Those are of
`TunedLens.forward(h, idx)`, W_U norm(h + A h + b), for what goes into each block, then the model's own last.
"""

import importlib.metadata
import json
from pathlib import Path

import safetensors.torch
import torch
import transformers
from tuned_lens.nn.lenses import TunedLens, TunedLensConfig
from tuned_lens.nn.unembed import Unembed

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "interpretability"
TEXT = [5, 77, 123, 9, 300, 41, 260]
DIGITS = 7


def random_lens(name, model, seed):
    """A lens of the library with random translators: its own start from zero and would be the logit lens."""
    # The name is set by hand, as `TunedLens.from_model` would write the folder the model was read from.
    config = TunedLensConfig(base_model_name_or_path=name, d_model=model.config.hidden_size, num_hidden_layers=model.config.num_hidden_layers)
    lens = TunedLens(Unembed(model), config)
    torch.manual_seed(seed)
    for translator in lens:
        translator.weight.normal_(std=0.05)
        translator.bias.normal_(std=0.1)
    return lens


def saved(lens, folder):
    """Saves a lens in the library's format and as safetensors."""
    lens.save(folder)
    (folder / "params.safetensors").write_bytes(safetensors.torch.save(lens.layer_translators.state_dict()))


def said(lens, model):
    """Log-probabilities at the last position, of each hidden state through its translator and of the model itself."""
    output = model(torch.tensor([TEXT]), output_hidden_states=True)
    # The last hidden state has been through the final norm: no translator is for it.
    states = output.hidden_states[:-1]
    assert len(states) == len(lens), (len(states), len(lens))
    logits = [lens(h, idx) for idx, h in enumerate(states)] + [output.logits]
    return [[round(x, DIGITS) for x in each[0, -1].double().log_softmax(-1).tolist()] for each in logits]


def main():
    torch.set_grad_enabled(False)
    out = {"tuned_lens": importlib.metadata.version("tuned-lens")}
    for seed, name in enumerate(["gpt2", "llama"]):
        model = transformers.AutoModelForCausalLM.from_pretrained(OUT.parent / "models" / name).eval()
        lens, folder = random_lens(name, model, seed), OUT / f"{name}-lens"
        saved(lens, folder)
        out[name] = {"text": TEXT, "lens": said(lens, model)}
        # What has been written says the same when the library reads it back.
        again = TunedLens.from_unembed_and_pretrained(lens.unembed, folder)
        assert said(again, model) == out[name]["lens"]
    path = OUT / "tuned-lens.json"
    path.write_text(json.dumps(out) + "\n")
    print(path.name, {name: [len(row) for row in out[name]["lens"]] for name in ("gpt2", "llama")})


if __name__ == "__main__":
    main()
