"""Writes the values inside a transformers model for one text, for `diff FILE` and `load-dump FILE as NAME` in llmdbg.

    llmdbg-dump-hf MODEL TEXT OUT.safetensors [--dtype float32]
    llmdbg-dump-hf MODEL --tokens 1,2,3 OUT.safetensors

and then

    llmdbg MODEL -p TEXT -ex run -ex 'diff OUT.safetensors' -ex 'bisect OUT.safetensors'

It writes the residual stream before each block, attention patterns, token ids and logits under the names of llmdbg's
sites, and the output of every module with weights under its path in the model (`model.layers.0.self_attn.q_proj`). Of a
model with an encoder and a decoder, the encoder reads the text, and the decoder the tokens that it begins with. It
needs torch, transformers and safetensors. For a model from elsewhere see dump_torch.py.
"""

import argparse

import torch

from .dump_torch import recording


def dump(model, ids):
    """Values for a row of token ids: sites, and outputs of modules by their paths."""
    pair = getattr(model.config, "is_encoder_decoder", False)
    begin = begins_with(model).to(ids.device) if pair else ids
    lengths = {len(ids), len(begin)}
    length = len(ids)
    more = {"decoder_input_ids": begin[None], "use_cache": False} if pair else {}
    with torch.no_grad(), recording(model) as values:
        out = model(input_ids=ids[None], output_hidden_states=True, output_attentions=True, **more)
    parameters = {name.rsplit(".", 1)[0] for name, _ in model.named_parameters()}
    heads = [setting(model.config, key) for key in ("num_attention_heads", "n_head", "num_key_value_heads")]
    for path in list(values):
        tensor = values[path]
        # Activations and dropouts have no weights; experts see a part of the tokens.
        if path not in parameters or (tensor.dim() > 1 and not lengths & set(tensor.shape)):
            del values[path]
        elif tensor.dim() == 3 and tensor.shape[0] in heads and tensor.shape[1] == length:
            # Norms of queries and keys come before or after the exchange of heads and positions.
            if tensor.shape[0] == length:
                del values[path]
            else:
                values[path] = tensor.transpose(0, 1).contiguous()
        elif tensor.dim() == 1 and path.endswith("embed_positions"):
            # Tables of positions have no batch, and a decoder may have one position.
            values[path] = tensor[None]
    values["tokens"] = begin.cpu()
    if pair:
        values["encoder.tokens"] = ids.cpu()
        streams = {"encoder.": out.encoder_hidden_states, "": out.decoder_hidden_states}
        for prefix, states in streams.items():
            for block in range(len(states) - 1):
                values.take(f"{prefix}blocks.{block}.resid_pre", states[block])
        patterns = {"encoder.blocks.{}.attn": out.encoder_attentions, "blocks.{}.attn": out.decoder_attentions,
                    "blocks.{}.cross": out.cross_attentions}  # fmt: skip
        for name, found in patterns.items():
            for block, pattern in enumerate(found):
                values.take(f"{name.format(block)}.pattern", pattern)
        values.take("logits", out.logits)
        return values
    states = out.hidden_states
    # The output of a block is the input of the next; the last state has already been through the final norm.
    # These list what each block gives, and not what it reads.
    late = int(model.config.model_type in ("mamba", "mamba2", "falcon_mamba"))
    for block in range(late, len(states) - 1):
        values.take(f"blocks.{block}.resid_pre", states[block - late])
    patterns = getattr(out, "attentions", None) or ()
    # Layers without attention have no pattern in the list.
    kinds = getattr(model.config, "layer_types", None) or getattr(model.config, "layers_block_type", None) or ()
    others = ("linear_attention", "conv", "mamba", "mlp", "moe")
    attend = [block for block, kind in enumerate(kinds) if kind not in others]
    for block, pattern in zip(attend if len(attend) == len(patterns) else range(len(patterns)), patterns):
        if pattern is not None:
            values.take(f"blocks.{block}.attn.pattern", pattern)
    if getattr(out, "logits", None) is not None:
        values.take("logits", out.logits)
    return values


def begins_with(model):
    """The tokens that the decoder of a model with an encoder begins with, whatever its logits are."""
    config = model.generation_config
    first = [config.decoder_start_token_id, getattr(config, "forced_bos_token_id", None)]
    return torch.tensor([token for token in first if token is not None])


def setting(config, key):
    """A setting of the whole model; None if there is none, or if its layers differ in it."""
    try:
        return getattr(config, key, None)
    except RuntimeError:
        return None


def load(path, dtype):
    """A model with the head that it was saved with, and attention whose parts can be seen."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(path)
    architecture = (config.architectures or ["AutoModel"])[0]
    kind = getattr(transformers, architecture, transformers.AutoModel)
    return kind.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text", nargs="?")
    parser.add_argument("out")
    parser.add_argument("--tokens", help="token ids instead of a text, with commas")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()

    import transformers

    model = load(given.model, getattr(torch, given.dtype))
    if given.tokens:
        ids = torch.tensor([int(word) for word in given.tokens.split(",")])
    elif given.text is not None:
        ids = transformers.AutoTokenizer.from_pretrained(given.model)(given.text, return_tensors="pt").input_ids[0]
    else:
        parser.error("give a text or --tokens")
    values = dump(model, ids)
    values.notes.update(
        model=given.model,
        architecture=type(model).__name__,
        dtype=given.dtype,
        attention="eager",
        transformers=transformers.__version__,
        torch=torch.__version__,
    )
    values.save(given.out)
    print(f"wrote {len(values)} values of {len(ids)} tokens to {given.out}")


if __name__ == "__main__":
    main()
