"""Times on demand, for compare.py: GPT-2 small with random weights in PyTorch eager mode. Reads lines `forward LENGTH`, one pass
recording hidden states and attention patterns, and `generate TOKENS`, greedy `generate` with its cache after a prompt of
sixteen; answers each with milliseconds."""

import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(attn_implementation="eager")).eval()

with torch.no_grad():
    for line in sys.stdin:
        what, length = line.split()
        length = int(length)
        if what == "generate":
            tokens = (torch.arange(16) * 37).remainder(50257).unsqueeze(0)
            begin = time.perf_counter()
            output = model.generate(
                tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=length + 1,
                min_new_tokens=length + 1, pad_token_id=0,
            )
            elapsed = time.perf_counter() - begin
            assert output.shape == (1, 16 + length + 1)
            print(f"{elapsed * 1e3:.3f}", flush=True)
            continue
        tokens = (torch.arange(length) * 37).remainder(50257).unsqueeze(0)
        begin = time.perf_counter()
        output = model(tokens, output_hidden_states=True, output_attentions=True, use_cache=False)
        elapsed = time.perf_counter() - begin
        assert len(output.hidden_states) == 13 and len(output.attentions) == 12
        print(f"{elapsed * 1e3:.3f}", flush=True)
