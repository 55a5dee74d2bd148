#!/usr/bin/env python3
"""Writes tokenizers as older repositories have them, without tokenizer.json, and what transformers makes of texts with them.

    python tools/make_tokenizer_fixtures.py

Needs transformers. The vocabularies are those of the model fixtures; tests/fixtures/tokenizers gets a folder for each
tokenizer, with its files and expected.json.
"""

import json
import shutil
from pathlib import Path

import transformers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
OUT = ROOT / "tokenizers"

TEXTS = [
    "The nurse said that she went to the store.",
    " leading and trailing ",
    "Zoë  naïve\tÉCOLE\n\n日本語 😀 don't we'll 12345",
    "the <mask> of [MASK] and <mask>",
    "a<|endoftext|>b </s> c <|im_start|>user\nHi<|im_end|>",
    "def f(x):\n        return x  +  1    # four",
    "",
    "x\u0301y İstanbul ﬁ ™ \u00a0\u200b\u0007 …",
    "\r\nWindows\r\n",
]

PAIRS = [["The dog", "the king"], ["a ", " b"]]

SPECIALS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def added(content, special=True, **flags):
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {"content": content, **plain, "special": special, **flags}


def named(content, **flags):
    """A special token as an entry of its own in tokenizer_config.json."""
    return {"__type": "AddedToken", **added(content, **flags)}


def bpe(renamed=None, first=()):
    """Vocabulary and merges of the gpt2 fixture, with tokens in front and the end of text renamed or left out."""
    model = json.loads((ROOT / "models" / "gpt2" / "tokenizer.json").read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    tokens = list(first) + tokens + ([renamed] if renamed else [])
    return {token: i for i, token in enumerate(tokens)}, model["merges"]


def wordpiece(lower):
    model = json.loads((ROOT / "models" / "bert-mlm" / "tokenizer.json").read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return tokens if lower else tokens + ["The", "É", "Z", "##É"]


def merges_text(merges):
    lines = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    return "\n".join(["#version: 0.2", *lines]) + "\n"


def kinds():
    """Name, files and whether pairs are compared."""
    gpt2, merges = bpe("<|endoftext|>")
    config = {"model_max_length": 64}
    both = lambda vocab: {"vocab.json": vocab, "merges.txt": merges_text(merges)}
    yield "gpt2", {**both(gpt2), "tokenizer_config.json": {**config, "tokenizer_class": "GPT2Tokenizer"}}
    yield (
        "gpt2-prefix",
        {
            **both(gpt2),
            "tokenizer_config.json": {**config, "tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": True, "padding_side": "left"},
        },
    )
    vocab, _ = bpe("<|endoftext|>", ["<s>", "<pad>", "</s>", "<unk>"])
    specials = {
        "bos_token": named("</s>", normalized=True),
        "eos_token": named("</s>", normalized=True),
        "unk_token": named("</s>", normalized=True),
        "pad_token": named("<pad>", normalized=True),
    }
    yield (
        "opt",
        {
            **both(vocab),
            "tokenizer_config.json": {"errors": "replace", "add_bos_token": True, "tokenizer_class": "GPT2Tokenizer", **specials},
            "special_tokens_map.json": {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"},
        },
    )
    vocab, _ = bpe(None, ["<s>", "<pad>", "</s>", "<unk>"])
    vocab["<mask>"] = len(vocab)
    yield "roberta", {**both(vocab), "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizer"}}
    mask = named("<mask>", lstrip=True)
    yield (
        "roberta-mask",
        {
            **both(vocab),
            "tokenizer_config.json": {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True, "trim_offsets": False, "mask_token": mask, **SPECIALS},
        },
    )
    size = len(gpt2) - 1
    vocab, _ = bpe()
    decoder = {str(size + i): added(token) for i, token in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])}
    yield (
        "qwen2",
        {
            **both(vocab),
            "tokenizer_config.json": {
                "tokenizer_class": "Qwen2Tokenizer",
                "add_bos_token": False,
                "add_prefix_space": False,
                "added_tokens_decoder": decoder,
                "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
                "bos_token": None,
                "eos_token": "<|im_end|>",
                "pad_token": "<|endoftext|>",
                "unk_token": None,
            },
        },
    )
    spaces = {" " * n: len(gpt2) + 8 - n for n in range(8, 1, -1)}
    yield (
        "codegen",
        {
            **both(gpt2),
            "added_tokens.json": spaces,
            "tokenizer_config.json": {"tokenizer_class": "CodeGenTokenizer", "unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        },
    )
    lower = {"vocab.txt": "\n".join(wordpiece(True)) + "\n"}
    cased = {"vocab.txt": "\n".join(wordpiece(False)) + "\n"}
    yield "bert", {**lower, "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": True}}
    yield (
        "bert-cased",
        {**cased, "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False}},
    )
    yield (
        "bert-accents",
        {**lower, "tokenizer_config.json": {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True, "strip_accents": False}},
    )
    yield "electra", {**lower, "tokenizer_config.json": {"tokenizer_class": "ElectraTokenizer"}}
    yield "bert-bare", {**lower, "config.json": {"model_type": "bert"}}
    yield "gpt2-bare", {**both(gpt2), "config.json": {"model_type": "gpt2"}}


def encoded(tokenizer, *texts):
    encoding = tokenizer(*texts, return_special_tokens_mask=True, return_token_type_ids=True)
    return {
        "texts": list(texts),
        "ids": encoding["input_ids"],
        "types": encoding["token_type_ids"],
        "special": encoding["special_tokens_mask"],
    }


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for name, files in kinds():
        folder = OUT / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1) + "\n"
            (folder / file).write_text(text, newline="")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        cases = [encoded(tokenizer, text) for text in TEXTS] + [encoded(tokenizer, *pair) for pair in PAIRS]
        result = {
            "made_with": {"transformers": transformers.__version__},
            "class": type(tokenizer).__name__,
            "padding_side": tokenizer.padding_side,
            "vocabulary": len(tokenizer),
            "cases": cases,
        }
        (folder / "expected.json").write_text(json.dumps(result, ensure_ascii=False) + "\n")
        print(f"{name}: {type(tokenizer).__name__}, {len(tokenizer)} tokens, {len(cases)} cases")


if __name__ == "__main__":
    main()
