#!/usr/bin/env python3
"""Makes tests/fixtures/dumps/NAME.safetensors with dump_hf.py from every model in tests/fixtures/models.

    python tools/make_dumps.py [NAME ...]
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from llmdbg_dump.dump_hf import dump, load

MODELS = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "models"
LENGTH = 7

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
out = MODELS.parent / "dumps"
out.mkdir(exist_ok=True)
for folder in sorted(MODELS.iterdir()):
    if not (folder / "config.json").exists() or sys.argv[1:] and folder.name not in sys.argv[1:]:
        continue
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    ids = torch.tensor([(37 * i + 11) % (vocab - 20) + 10 for i in range(LENGTH)])
    values = dump(load(folder, torch.float32), ids)
    values.notes["model"] = folder.name
    values.save(out / f"{folder.name}.safetensors")
    print(folder.name, len(values))
