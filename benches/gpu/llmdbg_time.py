"""Times one model and length in llmdbg, by what its commands answer over --json; the memory of the process and of the card is sampled beside it.

    python3 llmdbg_time.py MODEL TOKENS DTYPE SECONDS
"""

import json
import os
import subprocess
import sys
import threading
import time

model, length, dtype, budget = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
tokens = ",".join(str(i * 37 % 1000) for i in range(length))
command = [os.environ["BIN"], model, "--nx", "--device", os.environ["DEVICE"], "--dtype", dtype, "--tokens", tokens, "--record-budget", "96GiB",
           "--json", "--keep-going"]


def card():
    """MB of the card's memory that are taken; 0 where nothing says so."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        return int(subprocess.run(query, capture_output=True, text=True, timeout=5).stdout.split()[0])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return 0


before, peak = card(), {"rss": 0, "card": 0}
begin = time.perf_counter()
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def sample():
    while child.poll() is None:
        try:
            with open(f"/proc/{child.pid}/status") as status:
                most = [line.split()[1] for line in status if line.startswith("VmHWM")]
            peak["rss"] = max([peak["rss"]] + [int(kb) // 1024 for kb in most])
        except OSError:
            pass
        peak["card"] = max(peak["card"], card())
        time.sleep(0.25)


said = []
threading.Thread(target=sample, daemon=True).start()
threading.Thread(target=lambda: said.extend(child.stderr), daemon=True).start()


def over():
    return time.perf_counter() - begin > budget


def ask(line):
    """Milliseconds that a command took; None if it failed."""
    child.stdin.write(line + "\n")
    child.stdin.flush()
    answer = child.stdout.readline()
    if not answer:
        time.sleep(0.5)
        sys.exit(f"llmdbg ended: {''.join(said)[-400:]}")
    answer = json.loads(answer)
    if not answer["ok"]:
        print("   failed:", line, "->", answer["error"]["message"].splitlines()[0][:200])
        return None
    return answer["ms"]


def timed(line, count):
    """Times of a command, the smallest first, as long as it succeeds and there is time; None if there are none."""
    times = []
    while len(times) < count and (ms := ask(line)) is not None:
        times.append(ms)
        if over():
            break
    return sorted(times) or None


result = {"model": os.path.basename(model), "tokens": length, "dtype": dtype}


def note(name, times, of=lambda times: times[0]):
    if times is not None:
        result[name] = of(times)


def median(times):
    return times[len(times) // 2]


ask("info record")
result["load_s"] = round(time.perf_counter() - begin, 2)
note("first_ms", timed("run", 1))
note("forward_ms", timed("run", 10))
with open(os.path.join(model, "config.json")) as file:
    config = json.load(file)
layers = range(config.get("num_hidden_layers") or config["n_layer"])
if not over():
    for layer in layers:
        ask(f"break L{layer}.attn.pattern if max($) > 2")
    ask("run")
    note("conditions_ms", timed("run", 3))
    ask("delete")
if not over():
    ask("start")
    note("step_ms", timed("step", 40), median)
    note("back_ms", timed("reverse-step", 20), median)
if not over():
    ask("run")
    note("edit_ms", timed(f"ablate L{max(layers) // 2}H1", 1))
    ask("undo")
if not over():
    ask("run")
    note("token_ms", timed("token", 5))
child.stdin.close()
try:
    child.wait(20)
except subprocess.TimeoutExpired:
    child.kill()
result["rss_mb"], result["card_mb"] = peak["rss"], max(0, peak["card"] - before)
print(json.dumps(result))
with open(os.path.join(os.environ["OUT"], "llmdbg.jsonl"), "a") as file:
    file.write(json.dumps(result) + "\n")
