#!/usr/bin/env python3
"""Writes what the modules of any PyTorch model give, for `diff FILE` and `load-dump FILE as NAME` in llmdbg.

From a script of yours, around any call:

    from dump_torch import recording
    with recording(model) as values:
        model(ids)
    values.save("out.safetensors")

or from the command line, where build() gives the model and a tuple (or dictionary) of its arguments:

    python tools/dump_torch.py my_model.py:build out.safetensors

Every module without modules of its own is recorded under its path, as `layers.0.attn.q_proj`. Names of your own need a map file
in llmdbg: `load-dump out.safetensors as theirs map map.json`, {"layers.*.attn.q_proj": "blocks.*.attn.q"}; or give the sites here:
`recording(model, {"layers.0.attn.q_proj": "blocks.0.attn.q"})`. Values are one row's: a batch of one loses its axis, a larger one
keeps it. A module that runs several times is recorded only if it is named, as its last call left it.

Needs torch and safetensors.
"""

import argparse
import importlib.util
from contextlib import contextmanager

import safetensors.torch
import torch


class Values(dict):
    """Tensors by name."""

    def __init__(self):
        super().__init__()
        self.calls = {}
        self.notes = {"format": "llmdbg dump 1"}

    def take(self, name, tensor):
        self.calls[name] = self.calls.get(name, 0) + 1
        tensor = tensor.detach()
        if tensor.dim() > 1 and tensor.shape[0] == 1:
            tensor = tensor[0]
        if tensor.is_floating_point():
            tensor = tensor.float()
        self[name] = tensor.contiguous().cpu().clone()

    def save(self, path):
        safetensors.torch.save_file(dict(self), path, metadata=self.notes)


def first_tensor(output):
    """The output of a module, or the first part of it that is a tensor."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, dict):
        output = list(output.values())
    parts = output if isinstance(output, (tuple, list)) else []
    return next((part for part in parts if isinstance(part, torch.Tensor)), None)


@contextmanager
def recording(model, names=None):
    """Records what modules give: those that `names` has sites for, or all that have no modules of their own."""
    values, handles = Values(), []
    modules = dict(model.named_modules())
    missing = [path for path in names or {} if path not in modules]
    if missing:
        raise KeyError(f"no modules {missing}; there are {list(modules)[1:20]} ...")
    leaves = {path: path for path, module in modules.items() if path and not list(module.children())}
    chosen = names or leaves

    def hook(name):
        def record(_module, _inputs, output):
            tensor = first_tensor(output)
            # What gives a tuple is named only on purpose: which part is meant is its own affair.
            if tensor is not None and (names or isinstance(output, torch.Tensor)):
                values.take(name, tensor)

        return record

    try:
        for path, name in chosen.items():
            handles.append(modules[path].register_forward_hook(hook(name)))
        yield values
    finally:
        for handle in handles:
            handle.remove()
    if not names:
        for name in [name for name, calls in values.calls.items() if calls > 1]:
            del values[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", help="FILE.py:FUNCTION that gives a model and its arguments")
    parser.add_argument("out")
    given = parser.parse_args()
    file, function = given.build.rsplit(":", 1)
    spec = importlib.util.spec_from_file_location("built", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model, arguments = getattr(module, function)()
    with torch.no_grad(), recording(model.eval()) as values:
        model(**arguments) if isinstance(arguments, dict) else model(*arguments)
    values.save(given.out)
    print(f"wrote {len(values)} values to {given.out}")


if __name__ == "__main__":
    main()
