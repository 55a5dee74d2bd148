#!/usr/bin/env python3
"""Conductance of single neurons as Captum computes it, for models of tests/fixtures/models.

    pip install torch transformers captum
    python tools/make_neuron_fixtures.py [OUT]

The baseline is zero, 20 points of Gauss and Legendre. OUT is tests/fixtures/attribution/neuron.json unless given.
"""

import json
import sys
from pathlib import Path

from captum.attr import NeuronConductance

from make_lime_fixtures import prepared

ROOT = Path(__file__).parent.parent
MODELS = {
    "bert-seqcls": (lambda m: m.bert.encoder.layer[1].intermediate, (0, 5)),
    "gpt2": (lambda m: m.transformer.h[1].mlp.act, (-1, 12)),
    "llama": (lambda m: m.model.layers[0], (-1, 3)),
}
SITES = {"bert-seqcls": "L1.mlp.post", "gpt2": "L1.mlp.post", "llama": "L0.resid_post"}


def conductance(name):
    prompt, ids, model, logits, embedded, target = prepared(name)
    layer, (pos, neuron) = MODELS[name]
    pos = pos % ids.shape[1]
    method = NeuronConductance(lambda x: logits(x)[:, target], layer(model))
    values = method.attribute(embedded, (pos, neuron), n_steps=20, method="gausslegendre")
    return {"text": prompt["text"], "target": target, "through": f"{SITES[name]}[{pos}, {neuron}]", "values": values[0].flatten().tolist()}


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/fixtures/attribution/neuron.json"
    out.write_text(json.dumps({name: conductance(name) for name in MODELS}) + "\n")


if __name__ == "__main__":
    main()
