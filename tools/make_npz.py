#!/usr/bin/env python3
"""Makes tests/fixtures/dumps/gpt2.npz from gpt2.safetensors beside it: what numpy.savez_compressed writes, with a batch axis."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

DUMPS = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "dumps"

values = {name: value if name == "tokens" else value[None] for name, value in load_file(DUMPS / "gpt2.safetensors").items()}
# One as Fortran writes it, one in 64 bits.
values["logits"] = np.asfortranarray(values["logits"])
values["blocks.1.resid_pre"] = values["blocks.1.resid_pre"].astype(np.float64)
np.savez_compressed(DUMPS / "gpt2.npz", **values)
