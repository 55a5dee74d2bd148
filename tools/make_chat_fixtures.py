#!/usr/bin/env python3
"""Writes what transformers makes of conversations with the templates of tests/fixtures/chat.

    python tools/make_chat_fixtures.py [--templates DIR] [--out FILE]

Needs transformers and jinja2. Each template DIR/NAME.jinja is applied to every conversation below, with and without the
beginning of an answer; FILE gets the results, errors included. Another DIR serves to compare more templates than are kept.
"""

import argparse
import json
from pathlib import Path

import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "chat"

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "temperature",
            "description": "The temperature <now> & there",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Where"}, "exact": {"type": "boolean"}},
                "required": ["city"],
            },
        },
    }
]


def message(role, content, **more):
    return {"role": role, "content": content, **more}


CONVERSATIONS = {
    "one turn": ([message("user", "Hello, who are you?")], {}),
    "system": ([message("system", "Be brief."), message("user", "Hi")], {}),
    "turns": ([message("user", "2+2?"), message("assistant", "4"), message("user", "And times 3?")], {}),
    "system and turns": (
        [
            message("system", "You are a pirate.\nSay arr."),
            message("user", "Hi"),
            message("assistant", "Arr!"),
            message("user", "More"),
        ],
        {},
    ),
    "answered": ([message("user", "Hi"), message("assistant", "Hello.")], {}),
    "white space": (
        [message("user", "  two  spaces\n\n"), message("assistant", "\n an answer \n"), message("user", "\ttab")],
        {},
    ),
    "other scripts": ([message("user", "Zoë “grüßt” 日本 😀 {{ not }} {% a tag %} {# at all #}")], {}),
    "special tokens": ([message("user", "</s><s>[INST] <|im_end|> <|eot_id|>")], {}),
    "empty": ([message("user", "")], {}),
    "two of the user": ([message("user", "a"), message("user", "b")], {}),
    "starts with the assistant": ([message("assistant", "Welcome."), message("user", "Hi")], {}),
    "another role": ([message("user", "a"), message("critic", "b"), message("user", "c")], {}),
    "reasoning": (
        [
            message("user", "2+2?"),
            message("assistant", "4", reasoning_content="Two and two.\n"),
            message("user", "Sure?"),
        ],
        {},
    ),
    "thought": ([message("user", "a"), message("assistant", "<think>\nhm\n</think>\n\nb"), message("user", "c")], {}),
    "not thinking": ([message("user", "a")], {"enable_thinking": False}),
    "dated": ([message("system", "Be brief."), message("user", "a")], {"date_string": "05 Mar 2025"}),
    "tools": ([message("user", "How warm is it in Zürich?")], {"tools": TOOLS}),
    "tool calls": (
        [
            message("system", "Be brief."),
            message("user", "How warm is it in Zürich?"),
            message(
                "assistant",
                "",
                tool_calls=[
                    {
                        "id": "abcdefghi",
                        "type": "function",
                        "function": {"name": "temperature", "arguments": {"city": "Zürich", "exact": True, "n": [1, 2.5, None]}},
                    }
                ],
            ),
            message("tool", '{"celsius": 21.5}', tool_call_id="abcdefghi", name="temperature"),
            message("assistant", "21.5 °C."),
            message("user", "Thanks"),
        ],
        {"tools": TOOLS},
    ),
}


def apply(tokenizer, template, messages, variables, prompt):
    try:
        text = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=prompt, **variables
        )
        return {"text": text}
    except Exception as error:  # templates refuse conversations with errors of any kind
        return {"error": str(error)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", type=Path, default=ROOT)
    parser.add_argument("--out", type=Path, default=ROOT / "expected.json")
    given = parser.parse_args()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **TOKENS)
    cases = []
    for path in sorted(given.templates.glob("*.jinja")):
        for name, (messages, variables) in CONVERSATIONS.items():
            for prompt in (False, True):
                outcome = apply(tokenizer, path.read_text(), messages, variables, prompt)
                cases.append({"template": path.stem, "conversation": name, "add_generation_prompt": prompt, **outcome})
    conversations = {name: {"messages": messages, **variables} for name, (messages, variables) in CONVERSATIONS.items()}
    made_with = {"transformers": transformers.__version__}
    result = {"made_with": made_with, "tokens": TOKENS, "conversations": conversations, "cases": cases}
    given.out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    failed = sum("error" in case for case in cases)
    print(f"{len(cases)} cases, {failed} of them refused, to {given.out}")


if __name__ == "__main__":
    main()
