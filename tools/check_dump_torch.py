#!/usr/bin/env python3
"""Checks dump_torch.py: what it records is what the modules give. Run with `python tools/check_dump_torch.py`; silent if all is well."""

import torch
from dump_torch import recording


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(10, 8)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(8, 8) for _ in range(2))
        self.twice = torch.nn.Linear(8, 8)

    def forward(self, ids):
        x = self.table(ids)
        for layer in self.layers:
            x = x + torch.relu(layer(x))
        return self.twice(self.twice(x)), x


torch.manual_seed(0)
model, ids = Net(), torch.tensor([[1, 2, 3]])
with torch.no_grad(), recording(model) as values:
    out, before = model(ids)
assert sorted(values) == ["layers.0", "layers.1", "table"], sorted(values)
assert torch.equal(values["table"], model.table.weight[ids[0]])
assert torch.equal(values["layers.0"], model.layers[0](values["table"]))
# What runs twice is recorded if it is named, as its last call left it; what gives a tuple by its first part.
with torch.no_grad(), recording(model, {"twice": "logits", "": "whole"}) as values:
    model(ids)
assert torch.equal(values["logits"], out[0]) and torch.equal(values["whole"], out[0])
with torch.no_grad(), recording(model, {"table": "embed"}) as values:
    model(torch.cat([ids, ids]))
assert values["embed"].shape == (2, 3, 8)
try:
    with recording(model, {"nowhere": "x"}):
        raise AssertionError("a module that is not there must be told")
except KeyError as error:
    assert "nowhere" in str(error)
