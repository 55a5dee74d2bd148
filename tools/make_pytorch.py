#!/usr/bin/env python3
"""Writes fixtures as PyTorch checkpoints, in every container that `torch.save` has had, and pickles that try to run code.

    pip install torch safetensors
    python tools/make_pytorch.py [OUT]

OUT is tests/fixtures/pytorch unless given. Configurations and tokenizers are those of tests/fixtures/models.

    gpt2.bin            torch.save of a state dictionary (a ZIP archive)
    gpt2-legacy.bin     the same in the container of before 2020
    gpt2-training.pt    what a training loop saves: the model's tensors beside those of the optimizer
    llama-legacy/       two shards and their index
    views.bin           tensors that share storage: a transpose, a slice with an offset, a broadcast
    command.bin         a pickle that runs a command when it is opened with pickle.load
"""

import argparse
import json
import os
import pickle
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file

MODELS = Path(__file__).parent.parent / "tests/fixtures/models"


class Command:
    """What pickle.load would call."""

    def __reduce__(self):
        return (os.system, ("touch PICKLE_CODE_HAS_RUN",))


def tensors(model):
    return {name: tensor for file in sorted((MODELS / model).glob("model*.safetensors")) for name, tensor in load_file(file).items()}


def sharded(model, out):
    """The tensors of the safetensors shards, in as many .bin files."""
    out.mkdir(parents=True, exist_ok=True)
    index = json.loads((MODELS / model / "model.safetensors.index.json").read_text())
    names = {}
    for file in sorted((MODELS / model).glob("model-*.safetensors")):
        name = file.name.replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        held = load_file(file)
        torch.save(held, out / name)
        names.update({tensor: name for tensor in held})
    assert set(names) == set(index["weight_map"])
    text = json.dumps({"metadata": index["metadata"], "weight_map": names}, indent=2)
    (out / "pytorch_model.bin.index.json").write_text(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent.parent / "tests/fixtures/pytorch"
    parser.add_argument("out", type=Path, nargs="?", default=default)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    gpt2 = tensors("gpt2")
    torch.save(gpt2, out / "gpt2.bin")
    torch.save(gpt2, out / "gpt2-legacy.bin", _use_new_zipfile_serialization=False)
    moments = {i: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(4)} for i in range(2)}
    saved = {"state_dict": gpt2, "optimizer": {"state": moments, "param_groups": [{"lr": 0.1}]}, "epoch": 3}
    torch.save(saved, out / "gpt2-training.pt")
    sharded("llama-legacy", out / "llama-legacy")
    base = torch.arange(24, dtype=torch.float32)
    views = {"whole": base, "turned": base.view(4, 6).t(), "part": base[6:18].view(3, 4), "wide": base[:1].expand(3)}
    torch.save(views, out / "views.bin")
    with zipfile.ZipFile(out / "command.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"w": Command()}, protocol=2))
        archive.writestr("archive/version", "3\n")
    for file in sorted(out.rglob("*")):
        if file.is_file():
            print(f"{file.relative_to(out)}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
