#!/usr/bin/env python3
"""Writes blocks of every quantised type of GGUF with the numbers that the `gguf` package makes of them.

    pip install gguf safetensors numpy
    python tools/make_gguf_blocks.py [--seed N] [OUT]

OUT is tests/fixtures/gguf/blocks.safetensors unless given. Of each type it holds `TYPE.blocks` (uint8, one row per block) and
`TYPE.values` (float32, one row per block). Contents of blocks are random bytes, also all ones and all zeros; scales are finite
half-precision numbers of every size and sign, zeros and subnormals among them.
"""

import argparse
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type, quants
from safetensors.numpy import save_file

# The bytes at which a block has half-precision numbers.
HALVES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
}
EDGES = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF], dtype=np.uint16)


def scales(rng, count):
    """Finite numbers: the edges, then random bits without infinities and NaN."""
    bits = rng.integers(0, 0x10000, size=count, dtype=np.uint16)
    bits = np.where((bits & 0x7C00) == 0x7C00, bits & 0xBFFF, bits)
    bits[: min(count, len(EDGES))] = EDGES[:count]
    return rng.permutation(bits)


def blocks(rng, kind, count):
    elements, size = GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, size=(count, size), dtype=np.uint8)
    data[0], data[1] = 0x00, 0xFF
    for at in HALVES.get(kind, []):
        data[:, at : at + 2] = scales(rng, count).astype("<u2").view(np.uint8).reshape(count, 2)
    return data


def q8_k(rng, count):
    """The package does not know this one: a 32-bit scale, 256 signed bytes, sums that are not used."""
    data = blocks(rng, Type.Q8_K, count)
    d = (rng.standard_normal(count) * 10.0 ** rng.integers(-30, 30, size=count)).astype("<f4")
    data[:, :4] = d.view(np.uint8).reshape(count, 4)
    return data, d[:, None] * data[:, 4:260].view(np.int8).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    default = Path(__file__).parent.parent / "tests/fixtures/gguf/blocks.safetensors"
    parser.add_argument("out", type=Path, nargs="?", default=default)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    tensors = {}
    for kind in HALVES:
        elements, _ = GGML_QUANT_SIZES[kind]
        data = blocks(rng, kind, 24 if elements == 32 else 12)
        tensors[f"{kind.name.lower()}.blocks"] = data
        tensors[f"{kind.name.lower()}.values"] = quants.dequantize(data, kind)
    tensors["q8_k.blocks"], tensors["q8_k.values"] = q8_k(rng, 12)
    # The two that are no blocks: every exponent and sign, without NaN, of which there are many.
    f16 = scales(rng, 512)
    tensors["f16.blocks"], tensors["f16.values"] = f16.view(np.uint8), quants.dequantize(f16.view(np.uint8), Type.F16)
    bf16 = rng.integers(0, 0x10000, size=512, dtype=np.uint16)
    bf16 = np.where((bf16 & 0x7F80) == 0x7F80, bf16 & 0xBFFF, bf16).astype(np.uint16)
    tensors["bf16.blocks"] = bf16.view(np.uint8)
    tensors["bf16.values"] = quants.dequantize(bf16.view(np.uint8), Type.BF16).reshape(-1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, args.out)
    print(f"{args.out}: {len(tensors) // 2} types, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
