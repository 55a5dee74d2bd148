"""Greedy decoding of a GGUF file by llmdbg and by llama.cpp side by side on the CPU: tokens a second, the same number of
threads, in alternation. llmdbg records every value of every pass. Build first, and install llama.cpp's Python package:

    cargo build --release
    pip install xllamacpp
    python3 benches/compare/decode.py MODEL.gguf [MORE.safetensors ...]

Checkpoints that are not GGUF are decoded by llmdbg alone, so that formats can be compared with each other.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("models", nargs="+")
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--program", default="target/release/llmdbg")
parser.add_argument("--option", action="append", default=[], help="another option of llmdbg, such as --option=--dtype=f16")
arguments = parser.parse_args()

PROMPT = [5, 17, 33, 60, 101, 7, 250, 12]


class Llmdbg:
    """A session that is told to generate, line by line."""

    def __init__(self, model):
        command = [arguments.program, "--json", "-nx", "--device", "cpu", model, "--tokens", ",".join(map(str, PROMPT))]
        environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads))
        self.process = subprocess.Popen(
            command + arguments.option, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.run("set generation stop off")
        self.run("run")

    def run(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if answer.get("kind") == "error":
            raise SystemExit(f"{line}: {answer}")

    def rate(self):
        self.run("rewind 0")
        self.run("goto #0")
        self.run("run")
        self.run("generate 1")
        start = time.perf_counter()
        self.run(f"generate {arguments.tokens}")
        return arguments.tokens / (time.perf_counter() - start)


class LlamaCpp:
    def __init__(self, model):
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = model
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = 2048, 1, True
        parameters.cpuparams.n_threads = arguments.threads
        parameters.cpuparams_batch.n_threads = arguments.threads
        self.server = xllamacpp.Server(parameters)

    def seconds(self, tokens):
        request = {"prompt": PROMPT, "max_tokens": tokens, "temperature": 0.0, "ignore_eos": True, "cache_prompt": False}
        start = time.perf_counter()
        answer = self.server.handle_completions(request)
        elapsed = time.perf_counter() - start
        answer = json.loads(answer) if isinstance(answer, (str, bytes)) else answer
        made = answer["usage"]["completion_tokens"]
        if made != tokens:
            raise SystemExit(f"llama.cpp made {made} tokens, not {tokens}")
        return elapsed

    def rate(self):
        few = self.seconds(1)
        return arguments.tokens / (self.seconds(arguments.tokens + 1) - few)


sides = {}
for model in arguments.models:
    name = os.path.basename(model.rstrip("/"))
    sides[f"llmdbg, {name}"] = Llmdbg(model)
    if model.endswith(".gguf"):
        sides[f"llama.cpp, {name}"] = LlamaCpp(model)

samples = {name: [] for name in sides}
for round in range(arguments.rounds + 1):
    for name, side in sides.items():
        rate = side.rate()
        if round > 0:
            samples[name].append(rate)

print(f"{arguments.threads} threads, tokens a second: best (median) of {arguments.rounds} times {arguments.tokens} tokens")
for name, rates in samples.items():
    print(f"{name:50} {max(rates):7.1f} ({statistics.median(rates):.1f})")
