#!/usr/bin/env python3
"""Converts small Hugging Face checkpoints to GGUF as llama.cpp's converter does, for tests.

    pip install gguf safetensors numpy torch
    python tools/make_gguf.py [--type f32|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|k] [--shards N] [--twin | --twin-config] MODEL... OUT

For each directory MODEL it writes OUT/NAME.TYPE.gguf: metadata, names, order of rows and types of tensors are those of
llama.cpp's convert_hf_to_gguf.py, names by the tables of the `gguf` package. With --twin it also writes OUT/NAME.TYPE/, a
checkpoint in safetensors that must compute the same as the GGUF file: its weights are what the `gguf` package makes of the
stored blocks, and its configuration lacks what GGUF has no words for (windows of Mistral and Qwen 2, Gemma's score scale,
sentence embeddings that are not of unit length).
With --twin-config it writes only that configuration, and only where it is another one than MODEL's.

With --type k, tensors whose rows are whole blocks are stored as q2_k to q6_k in turn. The `gguf` package reads these and does not
write them, so their blocks are random bytes with small scales, and only the twin has the same weights.

Families that llama.cpp does not have are refused.
"""

import argparse
import itertools
import json
import math
import re
import shutil
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type, MODEL_ARCH as Arch, MODEL_TENSOR as T
from safetensors import safe_open
from safetensors.numpy import save_file

# -- What the converter does to tensors, each with its inverse ---------------------------------------------------------


def same(x):
    return x, lambda y: y


def plus_one(x):
    return x + np.float32(1), lambda y: y - np.float32(1)


def transpose(x):
    return np.ascontiguousarray(x.T), lambda y: y.T


def rows(order):
    """Row i of the result is row order[i]."""
    inverse = np.argsort(order)
    return lambda x: (x[order], lambda y: y[inverse])


def pairs(heads):
    """llama.cpp's permutation of queries and keys: features that rotate together come side by side."""

    def change(x):
        order = np.arange(len(x)).reshape(heads, 2, len(x) // heads // 2).swapaxes(1, 2).reshape(-1)
        return rows(order)(x)

    return change


def grouped(heads, kv_heads):
    """From groups (queries, key, value) to all queries, all keys, all values."""

    def change(x):
        share, width = heads // kv_heads, len(x) // (heads + 2 * kv_heads)
        order = np.arange(len(x)).reshape(kv_heads, share + 2, width)
        order = np.concatenate([order[:, :share].reshape(-1), order[:, share].reshape(-1), order[:, share + 1].reshape(-1)])
        return rows(order)(x)

    return change


def cut(missing):
    return lambda x: (x[missing:], lambda y: np.concatenate([np.zeros((missing, y.shape[1]), np.float32), y]))


# -- Families ----------------------------------------------------------------------------------------------------------


class Model:
    """One family: what it is called, what is written as metadata, and what is done to its tensors."""

    def __init__(self, source: Path):
        self.source = source
        self.config = json.loads((source / "config.json").read_text())
        self.kind = self.config["model_type"]
        if self.kind not in FAMILIES:
            raise SystemExit(f"{source}: llama.cpp does not have the family {self.kind!r}")
        self.arch, self.describe, self.change = FAMILIES[self.kind]
        rope = dict(self.config.get("rope_parameters") or self.config.get("rope_scaling") or {})
        self.local_theta = rope.get("sliding_attention", {}).get("rope_theta")
        self.rope = dict(rope.get("full_attention", rope))
        self.rope.setdefault("rope_theta", self.config.get("rope_theta"))
        self.rope.setdefault("rope_type", self.rope.get("type"))
        self.d = self.find("hidden_size", "n_embd", "n_embed", "dim", "d_model")
        self.layers = self.find("num_hidden_layers", "n_layer", "n_layers")
        self.heads = self.find("num_attention_heads", "n_head", "n_heads")
        self.kv_heads = self.find("num_key_value_heads", "num_kv_heads", optional=True) or self.heads
        self.width = self.config.get("head_dim") or self.d // self.heads
        self.positions_cut = 0

    def find(self, *keys, optional=False):
        for key in keys:
            if self.config.get(key) is not None:
                return self.config[key]
        if optional:
            return None
        raise SystemExit(f"{self.source}: none of {keys} in config.json")

    def tensors(self):
        files = sorted(self.source.glob("model*.safetensors"))
        for file in files:
            with safe_open(file, "pt") as opened:
                for name in opened.keys():
                    tensor = opened.get_tensor(name)
                    if tensor.is_floating_point():
                        yield name, tensor.float().numpy()


def basics(w, m):
    """TextModel.set_gguf_parameters of llama.cpp's converter."""
    w.add_block_count(m.layers)
    if (n := m.find("max_position_embeddings", "n_ctx", "n_positions", optional=True)) is not None:
        w.add_context_length(n - m.positions_cut)
    w.add_embedding_length(m.d)
    if (n := m.find("intermediate_size", "n_inner", "hidden_dim", optional=True)) is not None:
        w.add_feed_forward_length(n)
    w.add_head_count(m.heads)
    if (n := m.config.get("num_key_value_heads")) is not None:
        w.add_head_count_kv(n)
    kind, factor = m.rope.get("rope_type"), m.rope.get("factor")
    if kind == "linear" and factor:
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(factor)
    elif kind == "yarn" and factor:
        w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(factor)
        w.add_rope_scaling_orig_ctx_len(m.rope["original_max_position_embeddings"])
        for key, add in [
            ("attention_factor", w.add_rope_scaling_yarn_attn_factor),
            ("beta_fast", w.add_rope_scaling_yarn_beta_fast),
            ("beta_slow", w.add_rope_scaling_yarn_beta_slow),
        ]:
            if m.rope.get(key) is not None:
                add(m.rope[key])
    if m.rope.get("rope_theta") is not None:
        w.add_rope_freq_base(m.rope["rope_theta"])
    if m.local_theta is not None:
        w.add_rope_freq_base_swa(m.local_theta)
    if (eps := m.find("rms_norm_eps", "norm_eps", optional=True)) is not None:
        w.add_layer_norm_rms_eps(eps)
    if (eps := m.find("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", optional=True)) is not None:
        w.add_layer_norm_eps(eps)
    if (n := m.find("num_local_experts", "num_experts", optional=True)) is not None:
        w.add_expert_count(n)
    if (n := m.config.get("num_experts_per_tok")) is not None:
        w.add_expert_used_count(n)
    if (n := m.config.get("head_dim")) is not None:
        w.add_key_length(n)
        w.add_value_length(n)


def extra_llama(m):
    """rope_freqs.weight, in 32 bits as torch computes it."""
    if (m.rope.get("rope_type") or "").lower() != "llama3":
        return
    dim, base = m.width, np.float32(m.rope["rope_theta"])
    freqs = np.float32(1) / (base ** (np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)))
    factor, low, high = m.rope["factor"], m.rope["low_freq_factor"], m.rope["high_freq_factor"]
    length = m.rope["original_max_position_embeddings"]
    factors = []
    for freq in freqs:
        wave = 2 * math.pi / float(freq)
        if wave < length / high:
            factors.append(1)
        elif wave > length / low:
            factors.append(factor)
        else:
            smooth = (length / wave - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    yield "rope_freqs.weight", np.array(factors, dtype=np.float32)


def extra_phi3(m):
    for key, name in [("long_factor", "rope_factors_long.weight"), ("short_factor", "rope_factors_short.weight")]:
        if m.rope.get(key):
            yield name, np.array(m.rope[key], dtype=np.float32)


def llama(w, m):
    basics(w, m)
    w.add_vocab_size(m.config["vocab_size"])
    w.add_rope_dimension_count(m.width)


def llama_change(m, name):
    if name.endswith(("q_proj.weight", "q_proj.bias")):
        return pairs(m.heads)
    if name.endswith(("k_proj.weight", "k_proj.bias")):
        return pairs(m.kv_heads)
    return same


def granite(w, m):
    m.config.pop("head_dim", None)
    llama(w, m)
    w.add_attention_scale(m.config["attention_multiplier"])
    w.add_embedding_scale(m.config["embedding_multiplier"])
    w.add_residual_scale(m.config["residual_multiplier"])
    w.add_logit_scale(m.config["logits_scaling"])


def moe(w, m):
    basics(w, m)
    if (n := m.config.get("moe_intermediate_size")) is not None:
        w.add_expert_feed_forward_length(n)
    if (n := m.config.get("shared_expert_intermediate_size")) is not None:
        w.add_expert_shared_feed_forward_length(n)


def olmo(w, m):
    basics(w, m)
    w.add_layer_norm_eps(1e-5)
    if m.config.get("clip_qkv") is not None:
        w.add_clamp_kqv(m.config["clip_qkv"])


def olmo2(w, m):
    basics(w, m)
    if m.config.get("sliding_window") is not None:
        w.add_sliding_window(m.config["sliding_window"])
        kinds = m.config.get("layer_types") or ["sliding_attention" if (i + 1) % 4 else "" for i in range(m.layers)]
        w.add_sliding_window_pattern([kind == "sliding_attention" for kind in kinds])


def gemma(w, m):
    w.add_context_length(m.config["max_position_embeddings"])
    w.add_embedding_length(m.d)
    w.add_block_count(m.layers)
    w.add_feed_forward_length(m.config["intermediate_size"])
    w.add_head_count(m.heads)
    w.add_head_count_kv(m.kv_heads)
    w.add_layer_norm_rms_eps(m.config["rms_norm_eps"])
    w.add_key_length(m.width)
    w.add_value_length(m.width)


def gemma2(w, m):
    gemma(w, m)
    w.add_attn_logit_softcapping(m.config["attn_logit_softcapping"])
    w.add_final_logit_softcapping(m.config["final_logit_softcapping"])
    w.add_sliding_window(m.config["sliding_window"])


def gemma3(w, m):
    basics(w, m)
    if m.config.get("final_logit_softcapping"):
        w.add_final_logit_softcapping(m.config["final_logit_softcapping"])
    w.add_sliding_window(m.config["sliding_window"])


def norms_plus_one(m, name):
    return plus_one if name.endswith("norm.weight") else same


def phi2(w, m):
    part = m.rope.get("partial_rotary_factor", m.config.get("partial_rotary_factor", 0.5))
    w.add_context_length(m.find("n_positions", "max_position_embeddings"))
    w.add_embedding_length(m.d)
    w.add_feed_forward_length(4 * m.d)
    w.add_block_count(m.layers)
    w.add_head_count(m.heads)
    w.add_head_count_kv(m.heads)
    w.add_layer_norm_eps(m.find("layer_norm_epsilon", "layer_norm_eps"))
    w.add_rope_dimension_count(int(part * m.d) // m.heads)
    w.add_add_bos_token(False)


def phi3(w, m):
    part = m.rope.get("partial_rotary_factor", 1.0)
    original = m.config.get("original_max_position_embeddings", m.rope.get("original_max_position_embeddings"))
    longest = m.config["max_position_embeddings"]
    w.add_context_length(longest)
    w.add_rope_scaling_orig_ctx_len(original)
    w.add_embedding_length(m.d)
    w.add_feed_forward_length(m.config["intermediate_size"])
    w.add_block_count(m.layers)
    w.add_head_count(m.heads)
    w.add_head_count_kv(m.kv_heads)
    w.add_layer_norm_rms_eps(m.config["rms_norm_eps"])
    w.add_rope_dimension_count(int(part * m.d) // m.heads)
    w.add_rope_freq_base(m.rope["rope_theta"])
    w.add_sliding_window(m.config.get("sliding_window") or 0)
    if m.rope.get("long_factor"):
        scale = longest / original
        w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0)


def gpt2(w, m):
    w.add_block_count(m.layers)
    w.add_context_length(m.find("n_ctx", "n_positions"))
    w.add_embedding_length(m.d)
    w.add_feed_forward_length(4 * m.d)
    w.add_head_count(m.heads)
    w.add_layer_norm_eps(m.config["layer_norm_epsilon"])


def gpt2_change(m, name):
    turned = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
    return None if name.endswith((".attn.bias", ".attn.masked_bias")) else transpose if name.endswith(turned) else same


def starcoder(w, m):
    w.add_context_length(m.config["n_positions"])
    w.add_embedding_length(m.d)
    w.add_feed_forward_length(4 * m.d)
    w.add_block_count(m.layers)
    w.add_head_count(m.heads)
    w.add_head_count_kv(1)
    w.add_layer_norm_eps(m.config["layer_norm_epsilon"])


def gpt_neox(w, m):
    part = m.rope.get("partial_rotary_factor", m.config.get("rotary_pct"))
    w.add_context_length(m.config["max_position_embeddings"])
    w.add_embedding_length(m.d)
    w.add_block_count(m.layers)
    w.add_feed_forward_length(m.config["intermediate_size"])
    w.add_rope_dimension_count(int(part * (m.d // m.heads)))
    w.add_head_count(m.heads)
    w.add_parallel_residual(m.config.get("use_parallel_residual", True))
    w.add_layer_norm_eps(m.config["layer_norm_eps"])


def per_head(m, name):
    return grouped(m.heads, m.heads) if "query_key_value" in name else same


def bloom(w, m):
    w.add_context_length(m.config.get("seq_length", m.d))
    w.add_embedding_length(m.d)
    w.add_feed_forward_length(4 * m.d)
    w.add_block_count(m.layers)
    w.add_head_count(m.heads)
    w.add_head_count_kv(m.heads)
    w.add_layer_norm_eps(m.config["layer_norm_epsilon"])


def falcon(w, m):
    w.add_context_length(2048)
    w.add_tensor_data_layout("jploski")
    w.add_embedding_length(m.d)
    w.add_feed_forward_length(4 * m.d)
    w.add_block_count(m.layers)
    w.add_head_count(m.heads)
    w.add_head_count_kv(falcon_kv(m))
    w.add_layer_norm_eps(m.config["layer_norm_epsilon"])


def falcon_kv(m):
    # transformers writes the number of heads here even where all share one key.
    if m.config.get("multi_query", True) and not m.config.get("new_decoder_architecture", False):
        return 1
    return m.config.get("num_kv_heads") or m.config.get("n_head_kv") or 1


def falcon_change(m, name):
    return grouped(m.heads, falcon_kv(m)) if "query_key_value" in name else same


def mpt(w, m):
    attention = m.config["attn_config"]
    w.add_context_length(m.config["max_seq_len"])
    w.add_embedding_length(m.d)
    w.add_block_count(m.layers)
    w.add_feed_forward_length(4 * m.d)
    w.add_head_count(m.heads)
    if attention.get("kv_n_heads"):
        w.add_head_count_kv(attention["kv_n_heads"])
    w.add_layer_norm_eps(1e-5)
    if attention.get("clip_qkv") is not None:
        w.add_clamp_kqv(attention["clip_qkv"])
    w.add_max_alibi_bias(attention.get("alibi_bias_max", 8) if attention.get("alibi", True) else 0.0)


def stablelm(w, m):
    part = m.rope.get("partial_rotary_factor", m.config.get("partial_rotary_factor"))
    w.add_context_length(m.config["max_position_embeddings"])
    w.add_embedding_length(m.d)
    w.add_block_count(m.layers)
    w.add_feed_forward_length(m.config["intermediate_size"])
    w.add_rope_dimension_count(int(part * (m.d // m.heads)))
    w.add_head_count(m.heads)
    w.add_head_count_kv(m.kv_heads)
    w.add_parallel_residual(m.config.get("use_parallel_residual", True))
    w.add_layer_norm_eps(m.find("layer_norm_eps", "norm_eps"))


def cohere(w, m):
    basics(w, m)
    w.add_logit_scale(m.config["logit_scale"])
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def cohere2(w, m):
    basics(w, m)
    w.add_logit_scale(m.config["logit_scale"])
    w.add_sliding_window(m.config["sliding_window"])
    w.add_vocab_size(m.config["vocab_size"])
    w.add_rope_dimension_count(int(m.config.get("rotary_pct", 1.0) * (m.d // m.heads)))
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def glm4(w, m):
    basics(w, m)
    w.add_rope_dimension_count(int(m.width * m.rope.get("partial_rotary_factor", 0.5)))


def nemotron(w, m):
    basics(w, m)
    w.add_vocab_size(m.config["vocab_size"])
    w.add_layer_norm_eps(m.config["norm_eps"])
    w.add_rope_dimension_count(int(m.rope.get("partial_rotary_factor", m.config.get("partial_rotary_factor")) * m.d) // m.heads)
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def bert(w, m):
    if m.kind == "distilbert":
        w.add_layer_norm_eps(1e-12)
    if m.kind in ("roberta", "xlm-roberta", "camembert"):
        m.positions_cut = m.config["pad_token_id"] + 1
    basics(w, m)
    w.add_causal_attention(False)
    pooling(w, m)
    labels = m.config.get("id2label")
    if labels and m.config["architectures"][0].endswith("ForSequenceClassification"):
        w.add_classifier_output_labels([label for _, label in sorted(labels.items())])


def pooling(w, m):
    modules = m.source / "modules.json"
    if not modules.is_file():
        return
    for module in json.loads(modules.read_text()):
        if module["type"].endswith("Pooling"):
            asked = json.loads((m.source / module["path"] / "config.json").read_text())
            if asked.get("pooling_mode_mean_tokens") or asked.get("pooling_mode") == "mean":
                w.add_pooling_type(gguf.PoolingType.MEAN)
            elif asked.get("pooling_mode_cls_token") or asked.get("pooling_mode") == "cls":
                w.add_pooling_type(gguf.PoolingType.CLS)


def bert_change(m, name):
    dropped = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")
    # The converter gives both layers of DistilBERT's classifier the same name; leaving them out makes a test of the body.
    if m.kind == "distilbert" and name.startswith(("pre_classifier.", "classifier.")):
        return None
    if name in dropped or name.startswith(("cls.predictions", "cls.seq_relationship", "vocab_")):
        return None
    if name == "embeddings.position_embeddings.weight" and m.positions_cut:
        return cut(m.positions_cut)
    return same


def modernbert(w, m):
    basics(w, m)
    w.add_causal_attention(False)
    pooling(w, m)
    w.add_sliding_window(m.config["local_attention"])
    if (n := m.config.get("global_attn_every_n_layers")) is not None:
        w.add_sliding_window_pattern(n)
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    w.add_vocab_size(m.config["vocab_size"])
    w.add_add_bos_token(True)
    w.add_add_eos_token(True)
    w.add_add_sep_token(True)
    # `basics` has called the layer norm's epsilon that of an RMS norm.
    w.add_layer_norm_eps(m.config["norm_eps"])


def modernbert_change(m, name):
    """The converter knows no head of a masked LM; leaving it out makes a test of the body."""
    masked = m.config["architectures"][0].endswith("MaskedLM")
    return None if masked and name.startswith(("head.", "decoder.")) else same


def unchanged(m, name):
    return same


FAMILIES = {
    "arcee": (Arch.ARCEE, llama, llama_change),
    "bert": (Arch.BERT, bert, bert_change),
    "bloom": (Arch.BLOOM, bloom, per_head),
    "camembert": (Arch.BERT, bert, bert_change),
    "cohere": (Arch.COMMAND_R, cohere, unchanged),
    "cohere2": (Arch.COHERE2, cohere2, unchanged),
    "distilbert": (Arch.BERT, bert, bert_change),
    "falcon": (Arch.FALCON, falcon, falcon_change),
    "gemma": (Arch.GEMMA, gemma, norms_plus_one),
    "gemma2": (Arch.GEMMA2, gemma2, norms_plus_one),
    "gemma3_text": (Arch.GEMMA3, gemma3, norms_plus_one),
    "glm4": (Arch.GLM4, glm4, unchanged),
    "gpt2": (Arch.GPT2, gpt2, gpt2_change),
    "gpt_bigcode": (Arch.STARCODER, starcoder, unchanged),
    "gpt_neox": (Arch.GPTNEOX, gpt_neox, per_head),
    "granite": (Arch.GRANITE, granite, llama_change),
    "llama": (Arch.LLAMA, llama, llama_change),
    "mistral": (Arch.LLAMA, llama, llama_change),
    "mixtral": (Arch.LLAMA, llama, llama_change),
    "modernbert": (Arch.MODERN_BERT, modernbert, modernbert_change),
    "mpt": (Arch.MPT, mpt, unchanged),
    "nemotron": (Arch.NEMOTRON, nemotron, norms_plus_one),
    "olmo": (Arch.OLMO, olmo, llama_change),
    "olmo2": (Arch.OLMO2, olmo2, unchanged),
    "olmo3": (Arch.OLMO2, olmo2, unchanged),
    "olmoe": (Arch.OLMOE, moe, unchanged),
    "phi": (Arch.PHI2, phi2, unchanged),
    "phi3": (Arch.PHI3, phi3, unchanged),
    "qwen2": (Arch.QWEN2, basics, unchanged),
    "qwen2_moe": (Arch.QWEN2MOE, moe, unchanged),
    "qwen3": (Arch.QWEN3, basics, unchanged),
    "qwen3_moe": (Arch.QWEN3MOE, moe, unchanged),
    "roberta": (Arch.BERT, bert, bert_change),
    "smollm3": (Arch.SMOLLM3, llama, llama_change),
    "stablelm": (Arch.STABLELM, stablelm, unchanged),
    "starcoder2": (Arch.STARCODER2, basics, unchanged),
    "xlm-roberta": (Arch.BERT, bert, bert_change),
}

# What the converters take off the names of tensors before they look them up.
PREFIXES = {
    "bert": "bert.", "distilbert": "distilbert.", "roberta": "roberta.", "xlm-roberta": "roberta.", "camembert": "roberta.",
    "modernbert": "model.", "bloom": "transformer.",
}


# -- Names -------------------------------------------------------------------------------------------------------------


def bare(m, name):
    name = name.removeprefix(PREFIXES.get(m.kind, ""))
    if m.kind == "bert":
        name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
        if m.config["architectures"][0] == "BertForSequenceClassification":
            name = re.sub(r"^classifier\.(weight|bias)$", r"classifier.out_proj.\1", name)
    if m.config["architectures"][0].endswith("Model") and m.kind in ("llama", "qwen2", "qwen3"):
        name = "model." + name
    return name


STACKED = re.compile(
    r"(?P<front>model\.layers\.(?P<block>\d+)\.)"
    r"(?P<what>block_sparse_moe\.experts|mlp\.experts|self_attn\.[qk]_layernorm\.norms)\.(?P<index>\d+)"
    r"(\.(?P<part>\w+))?\.weight$"
)


def convert_tensors(m):
    """Yields (GGUF name, array, {name in the checkpoint: how it comes out of the array})."""
    table = gguf.get_tensor_name_map(m.arch, m.layers)
    stacks = {}
    for name, tensor in m.tensors():
        short = bare(m, name)
        change = m.change(m, short)
        if change is None or name.endswith((".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq")):
            continue
        if found := STACKED.match(short):
            key = (found["front"], found["what"], found["part"])
            stacks.setdefault(key, {})[int(found["index"])] = (name, tensor)
            continue
        new = table.get_name(short, try_suffixes=(".weight", ".bias"))
        # llama.cpp's table lacks the dense layers of a Qwen 3 mixture.
        if new is None and (dense := re.match(r"model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\.weight$", short)):
            new = f"blk.{dense[1]}.ffn_{dense[2]}.weight"
        if new is None:
            raise SystemExit(f"{m.source}: llama.cpp has no name for the tensor {name!r}")
        changed, back = change(tensor)
        yield new, changed, {name: back}
    for (front, what, part), members in stacks.items():
        stack = np.stack([members[i][1] for i in range(len(members))])
        merged = stacked_name(front, what, part)
        new = table.get_name(merged, try_suffixes=(".weight",))
        if new is None:
            raise SystemExit(f"{m.source}: llama.cpp has no name for the stack {merged!r}")
        yield new, stack, {members[i][0]: (lambda y, i=i: y[i]) for i in range(len(members))}
    extra = extra_phi3 if m.kind == "phi3" else extra_llama
    for name, tensor in extra(m):
        yield name, tensor, {}


def stacked_name(front, what, part):
    if what == "block_sparse_moe.experts":
        return f"{front.removeprefix('model.')}feed_forward.experts.{part}.weight"
    if what == "mlp.experts":
        return f"{front}mlp.experts.{part}.weight"
    return f"{front}{what.removesuffix('.norms')}.weight"


# -- Types -------------------------------------------------------------------------------------------------------------

ALWAYS_F32 = (T.FFN_GATE_INP, T.POS_EMBD, T.TOKEN_TYPES)


def stored_type(name, data, wanted):
    """The rules of the converter, with its fallback to half precision."""
    block = re.search(r"\.(\d+)\.", name)
    kept = [gguf.TENSOR_NAMES[t].format(bid=block[1] if block else None) + ".weight" for t in ALWAYS_F32]
    if data.ndim <= 1 or name.endswith("_norm.weight") or not name.endswith(".weight") or name in kept:
        return Type.F32
    block_size, _ = gguf.GGML_QUANT_SIZES[wanted]
    return wanted if data.shape[-1] % block_size == 0 else Type.F16


K_QUANTS = {Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208]}


def random_blocks(rng, shape, kind):
    """Blocks of random bytes; at the offsets of `K_QUANTS` are their scales in half precision."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, size=(math.prod(shape) // elements, size), dtype=np.uint8)
    for at in K_QUANTS[kind]:
        scales = rng.uniform(1e-4, 3e-4, size=(len(data), 1)).astype("<f2")
        data[:, at : at + 2] = scales.view(np.uint8)
    return data.reshape(*shape[:-1], -1)


# -- Tokenizers --------------------------------------------------------------------------------------------------------


def vocabulary(m):
    """Tokens and their types, as `get_vocab_base` has them."""
    tokenizer = json.loads((m.source / "tokenizer.json").read_text())
    model = tokenizer["model"]
    vocab = {token: i for i, (token, _) in enumerate(model["vocab"])} if model["type"] == "Unigram" else dict(model["vocab"])
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    vocab.update({token["content"]: i for i, token in added.items()})
    by_id = {i: token for token, i in vocab.items()}
    size = m.config.get("vocab_size", len(vocab))
    tokens, types = [], []
    for i in range(max(size, len(by_id))):
        if i not in by_id:
            tokens.append(f"[PAD{i}]")
            types.append(gguf.TokenType.UNUSED)
            continue
        tokens.append(by_id[i])
        if i in added:
            types.append(gguf.TokenType.CONTROL if added[i]["special"] else gguf.TokenType.USER_DEFINED)
        else:
            types.append(gguf.TokenType.NORMAL)
    return tokenizer, tokens, types


def pre_tokenizer(m, tokenizer):
    """The word that llama.cpp has for the way a text is split; it finds it by a checksum over a long text."""
    text = json.dumps(tokenizer["pre_tokenizer"])
    if m.kind in ("roberta", "camembert"):
        return "roberta-bpe"
    if m.kind == "modernbert":
        return "modern-bert"
    if r"\\p{N}{1,3}" in text:
        return "llama-bpe"
    return "gpt-2"


def write_tokenizer(w, m):
    if not (m.source / "tokenizer.json").is_file():
        return
    tokenizer, tokens, types = vocabulary(m)
    model = tokenizer["model"]
    if model["type"] == "WordPiece":
        plain = gguf.TokenType.CONTROL
        tokens = [t if k == plain else t[2:] if t.startswith("##") else "\u2581" + t for t, k in zip(tokens, types)]
        w.add_token_type_count(m.config.get("type_vocab_size", 1))
        w.add_tokenizer_model("bert")
        w.add_tokenizer_pre("default")
    elif model["type"] == "BPE" and model.get("byte_fallback"):
        # As the `tokenizer.model` of such a vocabulary has it: a piece's score is the negative rank of its merge.
        ranks = {}
        for rank, merge in enumerate(model["merges"]):
            left, right = merge if isinstance(merge, list) else merge.split(" ")
            ranks.setdefault(left + right, -float(rank))
        scores = [ranks.get(token, -float(len(ranks)) if len(token) == 1 else 0.0) for token in tokens]
        types = [gguf.TokenType.BYTE if re.fullmatch(r"<0x[0-9A-F]{2}>", t) else k for t, k in zip(tokens, types)]
        types = [gguf.TokenType.UNKNOWN if t == model["unk_token"] else k for t, k in zip(tokens, types)]
        w.add_tokenizer_model("llama")
        w.add_tokenizer_pre("default")
        w.add_token_scores(scores)
    elif model["type"] == "BPE":
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre(pre_tokenizer(m, tokenizer))
        if m.kind in ("roberta", "camembert"):
            w.add_token_type_count(m.config.get("type_vocab_size", 1))
    else:
        raise SystemExit(f"{m.source}: tokenizers of type {model['type']} are not written")
    w.add_token_list(tokens)
    w.add_token_types(types)
    special = gguf.SpecialVocab(m.source, load_merges=model["type"] == "BPE" and not model.get("byte_fallback"))
    special.add_to_gguf(w)


# -- The twin ----------------------------------------------------------------------------------------------------------


def twin_config(m):
    """The configuration without what GGUF has no words for."""
    config = json.loads((m.source / "config.json").read_text())
    if m.kind in ("mistral", "mixtral", "starcoder2"):
        config["sliding_window"] = None
    if m.kind in ("qwen2", "qwen3", "qwen2_moe", "qwen3_moe"):
        config["use_sliding_window"], config["sliding_window"] = False, None
        config["layer_types"] = ["full_attention"] * m.layers
    if m.kind in ("gemma2", "gemma3_text"):
        config["query_pre_attn_scalar"] = m.width
        period = 2 if m.kind == "gemma2" else 6
        config["layer_types"] = ["full_attention" if (i + 1) % period == 0 else "sliding_attention" for i in range(m.layers)]
    if m.kind == "gemma3_text":
        config["rope_parameters"]["sliding_attention"] = {"rope_theta": m.local_theta or 10000.0, "rope_type": "default"}
    if m.kind == "smollm3":
        config["no_rope_layers"] = [int((i + 1) % 4 != 0) for i in range(m.layers)]
    if m.kind == "modernbert":
        config["architectures"] = ["ModernBertModel"]
    if m.kind in ("bert", "distilbert"):
        config["architectures"] = [{"bert": "BertModel", "distilbert": "DistilBertModel"}[m.kind]]
    return config


def write_unit_length(m, folder):
    """The steps of sentence-transformers, with that to unit length, which llama.cpp's tools take always; whether there are any."""
    if not (m.source / "modules.json").exists():
        return False
    modules = json.loads((m.source / "modules.json").read_text())
    if not any(module["type"].endswith("Normalize") for module in modules):
        n = str(len(modules))
        modules.append({"idx": len(modules), "name": n, "path": f"{n}_Normalize", "type": "sentence_transformers.models.Normalize"})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n")
    shutil.copytree(m.source / "1_Pooling", folder / "1_Pooling", dirs_exist_ok=True)
    return True


def write_twin_config(m, folder):
    config = twin_config(m)
    if write_unit_length(m, folder) or config != json.loads((m.source / "config.json").read_text()):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_twin(m, folder, tensors):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (m.source / name).is_file():
            shutil.copy(m.source / name, folder / name)
    write_unit_length(m, folder)
    (folder / "config.json").write_text(json.dumps(twin_config(m), indent=2) + "\n")
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / "model.safetensors")


# -- The file ----------------------------------------------------------------------------------------------------------


def convert(source: Path, out: Path, word: str, shards: int, twin: bool, only_config: bool):
    wanted = Type.Q6_K if word == "k" else Type[word.upper()]
    rng = np.random.default_rng(1)
    turns = itertools.cycle(K_QUANTS)
    m = Model(source)
    w = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[m.arch])
    w.add_name(source.name)
    m.describe(w, m)
    w.add_file_type({Type.F32: 0, Type.F16: 1, Type.BF16: 32, Type.Q8_0: 7}.get(wanted, 2))
    w.add_quantization_version(gguf.GGML_QUANT_VERSION)
    write_tokenizer(w, m)
    undone, written = {}, []
    for name, data, back in convert_tensors(m):
        kind = stored_type(name, data, wanted)
        if kind in K_QUANTS:
            kind = next(turns)
            stored = random_blocks(rng, data.shape, kind)
        else:
            stored = gguf.quants.quantize(np.ascontiguousarray(data, dtype=np.float32), kind)
        written.append((name, stored, kind))
        values = gguf.quants.dequantize(stored, kind).reshape(data.shape)
        undone.update({theirs: undo(values) for theirs, undo in back.items()})
    stem = f"{source.name}.{word}"
    out.mkdir(parents=True, exist_ok=True)
    if shards > 1:
        w.split_max_tensors = -(-len(written) // shards)
    for name, stored, kind in written:
        w.add_tensor(name, stored, raw_dtype=kind)
    w.write_header_to_file(out / f"{stem}.gguf")
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    if twin:
        write_twin(m, out / stem, undone)
    elif only_config:
        write_twin_config(m, out / stem)
    print(f"{stem}: {gguf.MODEL_ARCH_NAMES[m.arch]}, {len(written)} tensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--type", default="f32", choices=["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "k"])
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--twin", action="store_true")
    parser.add_argument("--twin-config", action="store_true")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    for model in args.models:
        convert(model, args.out, args.type, args.shards, args.twin, args.twin_config)


if __name__ == "__main__":
    main()
