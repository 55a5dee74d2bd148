"""Two checkpoints of random weights with the shapes of GPT-2 small (f32, 498 MB) and of a Llama of 1.2 billion parameters (bf16, 2.5 GB);
with QUICK, two small ones. Needs nothing beyond Python.

    python3 models.py FOLDER
"""

import json
import os
import random
import struct
import sys
import time

folder, quick = sys.argv[1], os.environ.get("QUICK")
CHUNK = 1 << 20


def normal_bytes(count, dtype):
    """`count` numbers of a normal distribution with deviation 0.02: a block of them, repeated."""
    source = random.Random(0)
    block = [source.gauss(0, 0.02) for _ in range(min(count, 65_521))]
    data = struct.pack(f"<{len(block)}f", *block)
    if dtype == "BF16":
        data = b"".join(data[i + 2 : i + 4] for i in range(0, len(data), 4))
    size = count * (2 if dtype == "BF16" else 4)
    return data, size


def constant_bytes(count, value, dtype):
    data = struct.pack("<f", value)
    data = (data[2:] if dtype == "BF16" else data) * min(count, CHUNK)
    return data, count * (2 if dtype == "BF16" else 4)


def write(name, tensors, config, dtype):
    """`tensors`: name, shape, and the value of all elements or None for random ones."""
    begin, path = time.time(), os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    header, parts, offset = {}, [], 0
    for tensor, shape, value in tensors:
        count = 1
        for length in shape:
            count *= length
        data, size = normal_bytes(count, dtype) if value is None else constant_bytes(count, value, dtype)
        header[tensor] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        parts.append((data, size))
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for data, size in parts:
            block = data * max(1, CHUNK * 8 // len(data))
            while size > 0:
                size -= file.write(block[:size])
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump(config, file)
    print(f"{name}: {offset / 1e6:.0f} MB in {time.time() - begin:.1f} s")


def gpt2(layers, d, vocab):
    tensors = [("wte.weight", [vocab, d], None), ("wpe.weight", [1024, d], None)]
    for layer in range(layers):
        for part, rows, columns in [("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, 4 * d), ("mlp.c_proj", 4 * d, d)]:
            tensors += [(f"h.{layer}.{part}.weight", [rows, columns], None), (f"h.{layer}.{part}.bias", [columns], 0.0)]
        for part in ["ln_1", "ln_2"]:
            tensors += [(f"h.{layer}.{part}.weight", [d], 1.0), (f"h.{layer}.{part}.bias", [d], 0.0)]
    tensors += [("ln_f.weight", [d], 1.0), ("ln_f.bias", [d], 0.0)]
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
              "n_embd": d, "n_head": d // 64, "n_layer": layers, "n_positions": 1024, "vocab_size": vocab}
    write("gpt2", tensors, config, "F32")


def llama(layers, d, heads, kv, mlp, vocab):
    width = d // heads
    tensors = [("model.embed_tokens.weight", [vocab, d], None), ("model.norm.weight", [d], 1.0)]
    for layer in range(layers):
        for part, rows, columns in [("self_attn.q_proj", heads * width, d), ("self_attn.k_proj", kv * width, d), ("self_attn.v_proj", kv * width, d),
                                    ("self_attn.o_proj", d, heads * width), ("mlp.gate_proj", mlp, d), ("mlp.up_proj", mlp, d), ("mlp.down_proj", d, mlp)]:
            tensors.append((f"model.layers.{layer}.{part}.weight", [rows, columns], None))
        for part in ["input_layernorm", "post_attention_layernorm"]:
            tensors.append((f"model.layers.{layer}.{part}.weight", [d], 1.0))
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "rms_norm_eps": 1e-5, "hidden_size": d,
              "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": width, "intermediate_size": mlp,
              "max_position_embeddings": 8192, "rope_theta": 500000.0, "tie_word_embeddings": True, "vocab_size": vocab, "torch_dtype": "bfloat16"}
    write("llama", tensors, config, "BF16")


if quick:
    gpt2(2, 128, 1000)
    llama(2, 256, 4, 2, 512, 1000)
else:
    gpt2(12, 768, 50257)
    llama(16, 2048, 32, 8, 8192, 128256)
