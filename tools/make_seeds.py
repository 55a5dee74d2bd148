#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: small sound files of every kind, and some that lie.

    pip install gguf torch safetensors numpy
    python tools/make_seeds.py [OUT]

OUT is fuzz/seeds unless given. What fuzzing finds is added by hand, under a name that says what it is.
"""

import argparse
import io
import json
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.numpy import save

ROOT = Path(__file__).parent.parent


def safetensors_seeds():
    tensors = {"a": np.arange(4, dtype=np.float32), "b.weight": np.ones((2, 3), dtype=np.float16)}
    yield "two", save(tensors, {"format": "pt"})
    yield "none", save({})
    for name, info in [
        ("overlap", {"a": [[2], 0, 8], "b": [[2], 4, 12]}),
        ("huge", {"a": [[1 << 40, 1 << 40], 0, 8]}),
        ("negative", {"a": [[-1], 0, 8]}),
        ("ten-gigabytes", {"a": [[2621440000], 0, 10485760000]}),
    ]:
        header = {k: {"dtype": "F32", "shape": s, "data_offsets": [b, e]} for k, (s, b, e) in info.items()}
        text = json.dumps(header).encode()
        yield name, struct.pack("<Q", len(text)) + text + bytes(16)
    yield "long-header", struct.pack("<Q", 1 << 62) + b"{}"


def index_seeds():
    real = (ROOT / "tests/fixtures/models/llama-legacy/model.safetensors.index.json").read_bytes()
    yield "real", real
    yield "outside", b'{"weight_map":{"a":"../../x"}}'
    yield "number", b'{"weight_map":{"a":7}}'
    yield "empty", b'{"weight_map":{}}'


def gguf_file(arch, entries, tensors):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.gguf"
        w = gguf.GGUFWriter(path, arch)
        entries(w)
        for name, (data, kind) in tensors.items():
            stored = gguf.quants.quantize(np.asarray(data, dtype=np.float32), kind)
            w.add_tensor(name, stored, raw_dtype=kind)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        return path.read_bytes()


def gguf_seeds():
    rng, f32 = np.random.default_rng(0), gguf.GGMLQuantizationType.F32
    draw = lambda *shape: rng.standard_normal(shape, dtype=np.float32)

    def llama(w):
        for add, value in [
            (w.add_block_count, 1), (w.add_context_length, 16), (w.add_embedding_length, 8),
            (w.add_feed_forward_length, 8), (w.add_head_count, 2), (w.add_head_count_kv, 1),
            (w.add_layer_norm_rms_eps, 1e-5), (w.add_rope_freq_base, 1e4),
        ]:
            add(value)
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("gpt-2")
        w.add_token_list(["a", "b", "ab", "<s>"])
        w.add_token_types([1, 1, 1, 3])
        w.add_token_merges(["a b"])
        w.add_bos_token_id(3)
        w.add_chat_template("{{ messages }}")

    shapes = {
        "token_embd": (4, 8), "blk.0.attn_q": (8, 8), "blk.0.attn_k": (4, 8), "blk.0.attn_v": (4, 8),
        "blk.0.attn_output": (8, 8), "blk.0.ffn_gate": (8, 8), "blk.0.ffn_up": (8, 8), "blk.0.ffn_down": (8, 8),
        "output_norm": (8,), "blk.0.attn_norm": (8,), "blk.0.ffn_norm": (8,),
    }
    yield "llama", gguf_file("llama", llama, {f"{n}.weight": (draw(*s), f32) for n, s in shapes.items()})
    kinds = [gguf.GGMLQuantizationType[k] for k in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "BF16", "F16")]
    yield "quantised", gguf_file("llama", llama, {f"t.{k.name}": (draw(2, 32), k) for k in kinds})

    def sentencepiece(w):
        w.add_block_count(1)
        w.add_tokenizer_model("llama")
        w.add_token_list(["<unk>", "<s>", "</s>", "\u2581a", "b"])
        w.add_token_scores([0.0, 0.0, 0.0, -1.0, -2.0])
        w.add_token_types([2, 3, 3, 1, 1])

    yield "sentencepiece", gguf_file("llama", sentencepiece, {"token_embd.weight": (draw(5, 8), f32)})
    yield "count", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0)
    yield "big-endian", b"GGUF" + struct.pack(">IQQ", 3, 0, 0)


def pytorch_seeds():
    tensors = {"a": torch.arange(4.0), "b": torch.ones(2, 3, dtype=torch.bfloat16).t()}
    for name, zipped in [("zip", True), ("legacy", False)]:
        buffer = io.BytesIO()
        torch.save({"state_dict": tensors, "epoch": 1}, buffer, _use_new_zipfile_serialization=zipped)
        yield name, buffer.getvalue()
    yield "plain-pickle", pickle.dumps({"a": [1, 2.5, "x"]}, protocol=2)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    yield "command", buffer.getvalue()


def config_seeds():
    for model in ["llama-legacy", "gemma3_text", "mixtral", "bert-seqcls", "bloom"]:
        yield model, (ROOT / f"tests/fixtures/models/{model}/config.json").read_bytes()
    real = json.loads((ROOT / "tests/fixtures/models/llama-legacy/config.json").read_text())
    for name, change in [
        ("huge", {"num_hidden_layers": 1 << 62, "hidden_size": 1 << 62}),
        ("heads", {"num_attention_heads": 0, "num_key_value_heads": 3}),
        ("rope", {"rope_scaling": {"type": "yarn", "factor": -1, "original_max_position_embeddings": 0}}),
    ]:
        yield name, json.dumps(real | change).encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "fuzz/seeds")
    out = parser.parse_args().out
    for target, seeds in [
        ("safetensors", safetensors_seeds), ("index", index_seeds), ("gguf", gguf_seeds), ("pytorch", pytorch_seeds),
        ("config", config_seeds),
    ]:
        (out / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            (out / target / name).write_bytes(data)
            print(f"{target}/{name}: {len(data)} bytes")


if __name__ == "__main__":
    main()
