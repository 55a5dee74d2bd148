"""Writes a checkpoint with GPT-2 small's shapes and random 32-bit weights (498 MB) into a folder, to measure how much memory
loading takes:

    python3 benches/compare/make_checkpoint.py FOLDER
    /usr/bin/time -v llmdbg FOLDER --tokens 1,2,3 --device cpu --batch --ex "info model"
"""

import json
import os
import sys

import numpy
from safetensors.numpy import save_file

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
random = numpy.random.default_rng(0)
layers, width, vocabulary, positions = 12, 768, 50257, 1024


def weight(*shape):
    return (random.standard_normal(shape, dtype=numpy.float32) * 0.02).astype(numpy.float32)


tensors = {"wte.weight": weight(vocabulary, width), "wpe.weight": weight(positions, width)}
for layer in range(layers):
    for name, rows, columns in [
        ("attn.c_attn", width, 3 * width),
        ("attn.c_proj", width, width),
        ("mlp.c_fc", width, 4 * width),
        ("mlp.c_proj", 4 * width, width),
    ]:
        tensors[f"h.{layer}.{name}.weight"] = weight(rows, columns)
        tensors[f"h.{layer}.{name}.bias"] = numpy.zeros(columns, numpy.float32)
    for name in ["ln_1", "ln_2"]:
        tensors[f"h.{layer}.{name}.weight"] = numpy.ones(width, numpy.float32)
        tensors[f"h.{layer}.{name}.bias"] = numpy.zeros(width, numpy.float32)
tensors["ln_f.weight"] = numpy.ones(width, numpy.float32)
tensors["ln_f.bias"] = numpy.zeros(width, numpy.float32)
save_file(tensors, f"{folder}/model.safetensors", metadata={"format": "pt"})

config = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "n_embd": width,
    "n_head": 12,
    "n_layer": layers,
    "n_positions": positions,
    "vocab_size": vocabulary,
}
with open(f"{folder}/config.json", "w") as file:
    json.dump(config, file, indent=2)
print(f"{os.path.getsize(f'{folder}/model.safetensors') / 1e6:.0f} MB of weights in {folder}")
