#!/usr/bin/env python3
"""Writes caches of TransformerLens for some models of make_fixtures.py, to tests/fixtures/caches.

    python tools/make_cache_fixtures.py

MODEL-raw.safetensors is what `run_with_cache` gives for the model as it is, MODEL-processed.safetensors what it gives after the usual
processing of weights (fold_ln, center_writing_weights, center_unembed, fold_value_biases). The values are those of the classic hooks,
of scores, and of what norms give, with `tokens` and `logits`. Needs torch, transformers, safetensors and transformer_lens 4.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformer_lens.model_bridge import TransformerBridge

FIXTURES = Path(__file__).resolve().parent.parent / "tests/fixtures"
IDS = [5, 17, 33, 60, 101, 7, 250, 12]
HOOKS = (
    "hook_embed hook_pos_embed hook_resid_pre hook_resid_mid hook_resid_post hook_attn_out hook_mlp_out hook_q hook_k hook_v hook_z "
    "hook_attn_scores hook_pattern hook_pre hook_post hook_normalized hook_scale"
).split()


def wanted(name):
    parts = name.split(".")
    of_norm = len(parts) > 1 and parts[-2].startswith("ln")
    return parts[-1] in HOOKS or of_norm and parts[-1] == "hook_out"


def main():
    folder = FIXTURES / "caches"
    folder.mkdir(exist_ok=True)
    for model in ("gpt2", "llama"):
        bridge = TransformerBridge.boot_transformers(str(FIXTURES / "models" / model), device="cpu", dtype=torch.float32)
        for kind in ("raw", "processed"):
            if kind == "processed":
                bridge.enable_compatibility_mode()
            with torch.no_grad():
                logits, cache = bridge.run_with_cache(torch.tensor([IDS]))
            values = {name: value[0].contiguous().clone() for name, value in cache.items() if wanted(name)}
            values["logits"] = logits[0].contiguous().clone()
            values["tokens"] = torch.tensor(IDS)
            save_file(values, folder / f"{model}-{kind}.safetensors")
            print(f"{model} {kind}: {len(values)} values")


if __name__ == "__main__":
    main()
