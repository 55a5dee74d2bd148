"""Activation patching of the residual stream over all layers and positions, 16 tokens, beside TransformerLens on the same machine:

    python3 benches/compare/make_checkpoint.py FOLDER
    python3 benches/compare/patching.py FOLDER      # needs 'transformer-lens<4'; takes a minute
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from make_circuit_fixtures import gpt2, hooked  # noqa: E402

folder = sys.argv[1]
torch.set_num_threads(2)
torch.set_grad_enabled(False)
tokens = [100 + 37 * i for i in range(16)]
metric = '"logit[11] - logit[22]"'
commands = ["run", "run", "set tokens[3] = 7", *[f"patch main -metric {metric}"] * 3]
line = [str(ROOT / "target/release/llmdbg"), folder, "--tokens", ",".join(map(str, tokens)), "--json", "-nx", "-q", "--device", "cpu"]
ran = subprocess.run(line + [word for command in commands for word in ("-ex", command)], capture_output=True, text=True, check=True)
ours = min(json.loads(text)["ms"] for text in ran.stdout.splitlines() if '"patch' in text)

model, _ = hooked(*gpt2(folder))
clean = torch.tensor([tokens])
corrupt = clean.clone()
corrupt[0, 3] = 7
_, cache = model.run_with_cache(clean)


def sweep():
    for layer in range(model.cfg.n_layers):
        for pos in range(len(tokens)):

            def hook(x, hook, pos=pos):
                x[:, pos] = cache[hook.name][:, pos]
                return x

            model.run_with_hooks(corrupt, fwd_hooks=[(f"blocks.{layer}.hook_resid_pre", hook)])


times = []
for _ in range(2):
    start = time.time()
    sweep()
    times.append((time.time() - start) * 1000)
print(f"llmdbg {ours:.0f} ms, TransformerLens {min(times):.0f} ms, ratio {ours / min(times):.2f}")
