"""Forward passes of llmdbg and of PyTorch eager side by side on the CPU: the same shapes, the same number of threads, in
alternation, so that whatever else the machine does hits both. Both record everything they can. Build first:

    cargo bench --no-run
    python3 benches/compare/compare.py
"""

import argparse
import glob
import os
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rounds", type=int, default=15)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--target", default="target", help="cargo's target directory")
parser.add_argument("--without-torch", action="store_true", help="only llmdbg against itself")
arguments = parser.parse_args()

here = os.path.dirname(os.path.abspath(__file__))
binaries = [path for path in glob.glob(f"{arguments.target}/release/deps/llmdbg_forward-*") if "." not in os.path.basename(path)]
if not binaries:
    sys.exit("no benchmark binary: run `cargo bench --no-run` first, from the top of the project")
newest = max(binaries, key=os.path.getmtime)


class Side:
    """A process that times one pass for each line it is given."""

    def __init__(self, command):
        environment = dict(os.environ, RAYON_NUM_THREADS=str(arguments.threads))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def time(self, what, length):
        """Milliseconds that the other process took."""
        time.sleep(0.02)  # threads of the other side stop spinning
        self.process.stdin.write(f"{what} {length}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


llmdbg = Side([newest])
sides = {what: (llmdbg, what) for what in ["forward", "steps", "conditions", "hundred", "commands"]}
if not arguments.without_torch:
    sides["PyTorch"] = (Side([sys.executable, f"{here}/torch_forward.py", str(arguments.threads)]), "forward")

print(f"{arguments.threads} threads, milliseconds: smallest (median) of {arguments.rounds} passes")
for length in [1, 64, 256]:
    samples = {name: [] for name in sides}
    for round in range(arguments.rounds + 2):
        for name, (side, what) in sides.items():
            elapsed = side.time(what, length)
            if round >= 2:
                samples[name].append(elapsed)
    best = {name: min(times) for name, times in samples.items()}
    shown = ", ".join(f"{name} {best[name]:.1f} ({statistics.median(times):.1f})" for name, times in samples.items())
    print(f"{length:4} tokens: {shown}")
    ratios = [(name, "forward") for name in ["steps", "conditions", "hundred", "commands"]]
    ratios += [("forward", "PyTorch")] if "PyTorch" in sides else []
    print("     ratios: " + ", ".join(f"{a}/{b} {best[a] / best[b]:.2f}" for a, b in ratios))

for what in ["back", "edit", "forward"]:
    times = [llmdbg.time(what, 64) for _ in range(arguments.rounds + 2)][2:]
    print(f"  64 tokens, {what}: {min(times):.2f} ({statistics.median(times):.2f}) ms")

TOKENS = 48
samples = {"generate": [], "generate-unrecorded": []}
if "PyTorch" in sides:
    samples["PyTorch"] = []
for round in range(max(3, arguments.rounds // 3) + 1):
    for name in samples:
        side, what = sides["PyTorch"] if name == "PyTorch" else (llmdbg, name)
        elapsed = side.time("generate" if name == "PyTorch" else name, TOKENS)
        if round >= 1:
            samples[name].append(elapsed)
rates = {name: (TOKENS + 1) / min(times) * 1e3 for name, times in samples.items()}
print(f"{TOKENS + 1} passes: " + ", ".join(f"{name} {rate:.1f} tokens/s" for name, rate in rates.items()))
if "PyTorch" in rates:
    names = ["generate-unrecorded", "generate"]
    print("     ratios of rates: " + ", ".join(f"{name}/PyTorch {rates[name] / rates['PyTorch']:.2f}" for name in names))
