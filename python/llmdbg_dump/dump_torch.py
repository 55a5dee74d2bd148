"""Writes the outputs of the modules of any PyTorch model, for `diff FILE` and `load-dump FILE as NAME` in llmdbg.

In your script, around any call:

    from llmdbg_dump import recording
    with recording(model) as values:
        model(ids)
    values.save("out.safetensors")

or from the command line, where build() returns the model and a tuple (or dictionary) of its arguments:

    llmdbg-dump-torch my_model.py:build out.safetensors

Every module without children is recorded under its path, such as `layers.0.attn.q_proj`. Names that llmdbg does not
know need a map file there: `load-dump out.safetensors as theirs map map.json`, with
{"layers.*.attn.q_proj": "blocks.*.attn.q"}; or give the sites here:
`recording(model, {"layers.0.attn.q_proj": "blocks.0.attn.q"})`. A batch of one loses its axis, a larger one keeps it. A
module that runs several times is recorded only if it is named, with the output of its last call.

It needs torch and safetensors.
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
    """Records the outputs of modules: those that `names` has sites for, or all that have no children."""
    values, handles = Values(), []
    modules = dict(model.named_modules())
    missing = [path for path in names or {} if path not in modules]
    if missing:
        raise KeyError(f"no modules {missing}; choose from {list(modules)[1:20]} ...")
    leaves = {path: path for path, module in modules.items() if path and not list(module.children())}
    chosen = names or leaves

    def hook(name):
        def record(_module, _inputs, output):
            tensor = first_tensor(output)
            # A module with a tuple for its output is recorded only if it is named: which part is meant is a guess.
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
    parser.add_argument("build", help="FILE.py:FUNCTION that returns a model and its arguments")
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
