#!/usr/bin/env python3
"""Compares the gradient at the token embeddings with that of PyTorch, for any folder of checkpoints that transformers opens.

    cargo build --release
    python tools/check_gradients.py tests/fixtures/models

Needs torch, transformers and safetensors. Each folder needs a reference.json with prompts, as the fixtures have it. The number is logit 1 at
the last position, or of the only text. Prints the largest |a - b| / (1 + |b|) for each.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

PROGRAM = Path(__file__).resolve().parent.parent / "target" / "release" / "llmdbg"


def theirs(folder, ids):
    """Embedding, gradient, and whether the logits are those of positions."""
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = getattr(transformers, (config.architectures or ["AutoModel"])[0])
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    seen = {}

    def hook(_module, _inputs, output):
        seen["x"] = output.detach().requires_grad_()
        return seen["x"]

    model.get_input_embeddings().register_forward_hook(hook)
    out = model(input_ids=torch.tensor([ids]))
    if getattr(out, "logits", None) is None:
        return None
    logits = out.logits[0]
    (logits[-1] if logits.dim() == 2 else logits)[1].backward()
    return seen["x"].detach()[0].numpy(), seen["x"].grad[0].numpy(), logits.dim() == 2


def ours(folder, ids, expression, scratch):
    gradients, values = scratch / "g.safetensors", scratch / "a.safetensors"
    commands = ["run", f"backward {expression}", f"save gradients {gradients} embed", f"save activations {values} embed"]
    arguments = [PROGRAM, folder, "-batch", "-nx", "--device", "cpu", "--tokens", ",".join(map(str, ids))]
    subprocess.run(arguments + [word for line in commands for word in ("-ex", line)], check=True, capture_output=True)
    return load_file(values)["embed"], load_file(gradients)["embed"]


def main():
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        for folder in sorted(path for path in Path(sys.argv[1]).iterdir() if (path / "reference.json").exists()):
            prompt = json.loads((folder / "reference.json").read_text())["prompts"][0]
            mask = prompt.get("attention_mask") or [1] * len(prompt["token_ids"])
            ids = [token for token, real in zip(prompt["token_ids"], mask) if real]
            reference = theirs(folder, ids)
            if reference is None:
                print(f"{folder.name:20s} has no logits")
                continue
            embedding, gradient, positions = reference
            value, found = ours(folder, ids, "logits[-1, 1]" if positions else "logits[1]", Path(scratch))
            # Where the site holds the embedding times a factor of the model, its gradient is that much smaller.
            factor = float((value * embedding).sum() / (embedding * embedding).sum())
            worst = np.max(np.abs(found * factor - gradient) / (1 + np.abs(gradient)))
            print(f"{folder.name:20s} {worst:.1e}")


if __name__ == "__main__":
    main()
