#!/usr/bin/env python3
"""Makes LoRA adapters for the fixture models with PEFT, and what the adapted models compute.

For each adapter: `adapter_config.json` and `adapter_model.safetensors` as PEFT writes them, and `reference.safetensors` with the
logits of the base, of the adapted and of the merged model (float32, eager), `tokens` first.

Needs torch, transformers and peft. Usage: make_lora.py [NAME...]
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

ROOT = Path(__file__).resolve().parent.parent / "tests" / "fixtures"

# Name: base fixture, class, settings of the adapter.
ADAPTERS = {
    "gpt2": ("gpt2", AutoModelForCausalLM, dict(r=4, lora_alpha=8, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)),
    "llama": (
        "llama",
        AutoModelForCausalLM,
        dict(r=4, lora_alpha=16, use_rslora=True, target_modules=["q_proj", "k_proj", "v_proj", "down_proj", "lm_head", "embed_tokens"],
             rank_pattern={"v_proj": 2}, alpha_pattern={"layers.1.self_attn.q_proj": 3}),
    ),
    "gpt_neox": ("gpt_neox", AutoModelForCausalLM, dict(r=3, lora_alpha=6, target_modules=["query_key_value", "dense_h_to_4h"])),
    "bloom": ("bloom", AutoModelForCausalLM, dict(r=3, lora_alpha=6, target_modules=["query_key_value"], bias="lora_only")),
    "phi3": ("phi3", AutoModelForCausalLM, dict(r=2, lora_alpha=4, target_modules=["qkv_proj", "gate_up_proj"])),
    "falcon": ("falcon", AutoModelForCausalLM, dict(r=2, lora_alpha=4, target_modules=["query_key_value"])),
    "bert-seqcls": (
        "bert-seqcls",
        AutoModelForSequenceClassification,
        dict(r=4, lora_alpha=8, target_modules=["query", "value"], modules_to_save=["classifier"], task_type="SEQ_CLS"),
    ),
    # A tied base: embedding and head trained whole, the same with two more tokens, the head adapted alone, both adapted alike.
    "qwen2-whole": (
        "qwen2", AutoModelForCausalLM, dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])
    ),
    "qwen2-grown": (
        "qwen2", AutoModelForCausalLM, dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"])
    ),
    "qwen2-head": ("qwen2", AutoModelForCausalLM, dict(r=2, lora_alpha=4, target_modules=["q_proj", "lm_head"])),
    "qwen2-alike": (
        "qwen2", AutoModelForCausalLM, dict(r=2, lora_alpha=4, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True)
    ),
}

# Tokens of those that have another number of them than their base.
ROWS = {"qwen2-grown": 386}


def make(name):
    base, kind, settings = ADAPTERS[name]
    source = ROOT / "models" / base
    torch.manual_seed(len(name))
    model = kind.from_pretrained(source, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.tensor([json.loads((source / "reference.json").read_text())["prompts"][1]["token_ids"]])
    if ids.dim() > 2:
        ids = ids[0]
    tied = model.config.tie_word_embeddings and kind is AutoModelForCausalLM
    with torch.no_grad():
        logits = {"base": model(ids).logits}
        if name in ROWS:
            model.resize_token_embeddings(ROWS[name], mean_resizing=False)
        adapted = get_peft_model(model, LoraConfig(**settings)).eval()
        for parameter_name, parameter in adapted.named_parameters():
            if "lora_" in parameter_name:
                parameter.normal_(0, 0.2)
            elif parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
                if tied:
                    # What is stored in half the width below.
                    parameter.copy_(parameter.bfloat16().float())
        logits["adapted"] = adapted(ids).logits
        folder = ROOT / "lora" / name
        folder.mkdir(parents=True, exist_ok=True)
        adapted.save_pretrained(folder, **({"save_embedding_layers": False} if name == "qwen2-alike" else {}))
        if tied:
            file = folder / "adapter_model.safetensors"
            whole = lambda key: "lora_" not in key and "base_layer" not in key
            save_file({key: value.bfloat16() if whole(key) else value for key, value in load_file(file).items()}, file)
        else:
            logits["merged"] = adapted.merge_and_unload()(ids).logits
    for extra in ("README.md",):
        (folder / extra).unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = base
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tensors = {key: value[0].contiguous() for key, value in logits.items()}
    save_file({"tokens": ids[0], **tensors}, folder / "reference.safetensors")
    base = tensors["base"]
    print(name, {key: float((value[:, : base.shape[1]] - base).abs().max()) for key, value in tensors.items()})


for name in sys.argv[1:] or ADAPTERS:
    make(name)
