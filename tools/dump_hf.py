#!/usr/bin/env python3
"""Writes the values inside a transformers model for one text, for `diff FILE.safetensors` in llmdbg.

    python tools/dump_hf.py MODEL TEXT OUT.safetensors [--dtype float32]
    python tools/dump_hf.py MODEL --tokens 1,2,3 OUT.safetensors

Needs torch, transformers and safetensors. Values are written under the names of llmdbg's sites: the residual stream before each
block (`blocks.0.resid_pre`), attention patterns (`blocks.0.attn.pattern`), the token ids and the logits. They are
those of one row, without a batch axis.

For a model of your own, `hooked` records what any modules give, under names of your choice:

    with hooked(model, {"decoder.layers.0.mlp": "blocks.0.mlp.out"}) as values:
        model(ids)
    safetensors.torch.save_file(values, "out.safetensors")
"""

import argparse
from contextlib import contextmanager

import safetensors.torch
import torch


@contextmanager
def hooked(model, names):
    """What modules give, by the names that `names` has for their paths; of a tuple the first part, of a batch of one that one."""
    values, handles = {}, []

    def record(name):
        def hook(_module, _inputs, output):
            tensor = output[0] if isinstance(output, (tuple, list)) else output
            tensor = tensor.detach()
            values[name] = (tensor[0] if tensor.shape[0] == 1 else tensor).float().contiguous().cpu()

        return hook

    modules = dict(model.named_modules())
    missing = [path for path in names if path not in modules]
    if missing:
        raise KeyError(f"no modules {missing}; there are {list(modules)[:20]} ...")
    try:
        for path, name in names.items():
            handles.append(modules[path].register_forward_hook(record(name)))
        yield values
    finally:
        for handle in handles:
            handle.remove()


def dump(model, ids):
    """Values by site for a row of token ids."""
    with torch.no_grad():
        out = model(input_ids=ids[None], output_hidden_states=True, output_attentions=True)
    values = {"tokens": ids.cpu()}
    states = out.hidden_states
    blocks = len(states) - 1
    for block in range(blocks):
        # What a block gives is what the next one gets; the last state has been through the final norm already.
        values[f"blocks.{block}.resid_pre"] = states[block][0]
    for block, pattern in enumerate(out.attentions or ()):
        if pattern is not None:
            values[f"blocks.{block}.attn.pattern"] = pattern[0]
    if getattr(out, "logits", None) is not None:
        values["logits"] = out.logits[0]
    floats = lambda x: x if not x.is_floating_point() else x.float()
    return {name: floats(value.detach()).contiguous().cpu().clone() for name, value in values.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text", nargs="?")
    parser.add_argument("out")
    parser.add_argument("--tokens", help="token ids instead of a text, with commas")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()

    import transformers

    config = transformers.AutoConfig.from_pretrained(given.model)
    architecture = (config.architectures or ["AutoModel"])[0]
    kind = getattr(transformers, architecture, transformers.AutoModel)
    model = kind.from_pretrained(given.model, dtype=getattr(torch, given.dtype), attn_implementation="eager").eval()
    if given.tokens:
        ids = torch.tensor([int(word) for word in given.tokens.split(",")])
    elif given.text is not None:
        ids = transformers.AutoTokenizer.from_pretrained(given.model)(given.text, return_tensors="pt").input_ids[0]
    else:
        parser.error("give a text or --tokens")
    values = dump(model, ids)
    safetensors.torch.save_file(values, given.out)
    print(f"wrote {len(values)} values of {len(ids)} tokens to {given.out}")


if __name__ == "__main__":
    main()
