"""Gradients and attributions of llmdbg beside PyTorch and Captum on the CPU, for a checkpoint of GPT-2 small's shapes with random weights.

    cargo build --release
    python3 benches/compare/make_checkpoint.py FOLDER
    python3 benches/compare/attribution.py FOLDER

Needs torch, transformers and captum. llmdbg's times are those that `--json` prints for each command; each side computes alone.
"""

import argparse
import json
import os
import subprocess
import time

import torch
import transformers
from captum.attr import GradientShap, IntegratedGradients

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder")
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--threads", type=int, default=os.cpu_count())
given = parser.parse_args()
torch.set_num_threads(given.threads)

ids = [(37 * i + 11) % 50000 for i in range(given.tokens)]
commands = {
    "backward": "backward logit(11)",
    "ig": f"attr ig -steps {given.steps} -target logit(11)",
    "gradientshap": f"attr gradientshap -samples {given.steps} -target logit(11)",
}


def ours():
    """Smallest milliseconds of each command."""
    lines = ["run"] + [line for line in commands.values() for _ in range(given.rounds)]
    arguments = ["target/release/llmdbg", given.folder, "-batch", "-nx", "--json", "--device", "cpu"]
    arguments += ["--tokens", ",".join(map(str, ids))] + [word for line in lines for word in ("-ex", line)]
    environment = dict(os.environ, RAYON_NUM_THREADS=str(given.threads))
    out = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True).stdout
    times = [(answer["cmd"], answer["ms"]) for answer in map(json.loads, out.splitlines())]
    return {name: min(ms for line, ms in times if line == command) for name, command in commands.items()}


def theirs():
    """The same with autograd over all activations, and with Captum."""
    model = transformers.GPT2LMHeadModel.from_pretrained(given.folder, attn_implementation="eager").eval()
    embedding = model.transformer.wte(torch.tensor([ids])).detach()

    def target(x):
        return model(inputs_embeds=x).logits[:, -1, 11]

    def backward():
        x = embedding.clone().requires_grad_()
        out = model(inputs_embeds=x, output_hidden_states=True, output_attentions=True)
        for value in (*out.hidden_states[1:], *out.attentions):
            value.retain_grad()
        out.logits[0, -1, 11].backward()

    def ig():
        IntegratedGradients(target).attribute(embedding, n_steps=given.steps, internal_batch_size=4)

    def shap():
        GradientShap(target).attribute(embedding, baselines=torch.zeros_like(embedding), n_samples=given.steps)

    def milliseconds(work):
        begin = time.perf_counter()
        work()
        return (time.perf_counter() - begin) * 1000

    works = {"backward": backward, "ig": ig, "gradientshap": shap}
    return {name: min(milliseconds(work) for _ in range(given.rounds)) for name, work in works.items()}


left, right = ours(), theirs()
print(f"{given.tokens} tokens, {given.steps} steps or samples, {given.threads} threads, milliseconds: smallest of {given.rounds}")
for name in commands:
    print(f"{name:>14}  llmdbg {left[name]:9.1f}  torch/captum {right[name]:9.1f}  ratio {left[name] / right[name]:.2f}")
