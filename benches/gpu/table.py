"""One table of what the two measured: a line for each model, length and type.

    python3 table.py FOLDER
"""

import json
import os
import sys


def lines(name):
    with open(os.path.join(sys.argv[1], name)) as file:
        return [json.loads(line) for line in file]


torch = {(line["model"], line["dtype"], line["tokens"]): line for line in lines("torch.jsonl")}
columns = ["model", "tokens", "dtype", "load s", "first", "pass", "torch f32", "torch bf16", "ratio", "torch summary", "conditions", "step", "back", "edit", "token", "RSS MB", "card MB"]


def shown(x):
    return "-" if x is None else x if isinstance(x, str) else str(x) if isinstance(x, int) else f"{x:.2f}" if x < 100 else f"{x:.0f}"


rows = []
for line in lines("llmdbg.jsonl"):
    full, half = (torch.get((line["model"], dtype, line["tokens"]), {}) for dtype in ("float32", "bfloat16"))
    pass_ms, beside = line.get("forward_ms"), full.get("hooks_ms")
    rows.append([line["model"], line["tokens"], line["dtype"], line["load_s"], line.get("first_ms"), pass_ms, beside, half.get("hooks_ms"),
                 pass_ms / beside if pass_ms and beside else None, full.get("summaries_ms"), line.get("conditions_ms"), line.get("step_ms"),
                 line.get("back_ms"), line.get("edit_ms"), line.get("token_ms"), line["rss_mb"], line["card_mb"]])
cells = [columns] + [[shown(x) for x in row] for row in rows]
widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
for row in cells:
    print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
print("\nTimes in ms. pass: every value recorded, the smallest of ten after the first, which compiles pipelines. torch: eager, a hook on every module\n"
      "that keeps its output, without TF32. torch summary: the same with a summary of each output read back. conditions: a pass with one on each layer's\n"
      "pattern. step, back: medians. edit: ablating a head in the middle and what follows from it. token: one more token.")
