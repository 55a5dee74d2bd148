"""Times PyTorch eager on the same checkpoints: bare, with a hook on every module that keeps its output, and with a summary of each output read
back at once, which is what a line of statistics at each step asks for. On CUDA if there is a card, without TF32.

    python3 torch_time.py FOLDER "LENGTHS" SECONDS
"""

import glob
import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM

work, lengths, limit = sys.argv[1], [int(length) for length in sys.argv[2].split()], time.time() + float(sys.argv[3])
cuda = torch.cuda.is_available()
device = "cuda" if cuda else "cpu"
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False


def sync():
    if cuda:
        torch.cuda.synchronize()


def pass_ms(model, tokens, keep):
    begin = time.perf_counter()
    with torch.no_grad():
        model(tokens, output_hidden_states=keep, output_attentions=keep, use_cache=False)
    sync()
    return (time.perf_counter() - begin) * 1e3


def hooked_ms(model, tokens, hook, repeats):
    """The smallest time of a pass with a hook on every module; `hook` makes what is kept of an output."""
    kept = []
    hooks = [module.register_forward_hook(lambda _m, _i, out: kept.append(hook(out))) for module in model.modules()]
    times = []
    for _ in range(repeats):
        kept.clear()
        times.append(pass_ms(model, tokens, True))
    for handle in hooks:
        handle.remove()
    return min(times)


def summary(out):
    if torch.is_tensor(out) and out.is_floating_point():
        return torch.stack([out.min(), out.max(), out.float().mean(), out.float().std()]).tolist()
    return None


for folder in sorted(glob.glob(work + "/gpt2") + glob.glob(work + "/llama")):
    for dtype in [torch.float32, torch.bfloat16]:
        if time.time() > limit:
            break
        begin = time.time()
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").to(device).eval()
        sync()
        load = time.time() - begin
        for length in lengths:
            tokens = (torch.arange(length) * 37).remainder(1000).unsqueeze(0).to(device)
            pass_ms(model, tokens, False)
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            line = {"model": os.path.basename(folder), "dtype": str(dtype)[6:], "tokens": length, "load_s": round(load, 2),
                    "bare_ms": min(pass_ms(model, tokens, False) for _ in range(5)), "hooks_ms": hooked_ms(model, tokens, lambda out: out, 5),
                    "summaries_ms": hooked_ms(model, tokens, summary, 3),
                    "card_mb": torch.cuda.max_memory_allocated() // 2**20 if cuda else 0}
            print(json.dumps(line))
            with open(os.path.join(os.environ["OUT"], "torch.jsonl"), "a") as file:
                file.write(json.dumps(line) + "\n")
        del model
        if cuda:
            torch.cuda.empty_cache()
