"""Trains the dictionaries of features of tiny-gpt2 that come with the program.

    cd tools; python -m dictionaries ../models/dictionaries [NAME...]

A sparse autoencoder of the residual stream after block 2, with the 12 largest features active, and a transcoder of the
MLP of each block, whose features have a price. Both are written in 16 bits, in the files of SAELens 6. The texts are
what tiny-gpt2 says itself, so nothing comes from a corpus. The same seed gives the same files on the same machine. What
is printed is measured on texts that were not trained on.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

MODEL = Path(__file__).parents[2] / "models" / "tiny-gpt2"
LENGTH = 32
STEPS = 3000
BATCH = 2048
LARGEST = 12  # features of the autoencoder that are active
PRICE = 4e-3  # of a feature of a transcoder, for each unit that it writes


def texts(model, count):
    """`count` texts of LENGTH tokens, sampled from the model: `[count, LENGTH]`."""
    ids = torch.zeros(count, 1, dtype=torch.long)
    for _ in range(LENGTH):
        parts = [model(some).logits[:, -1] for some in ids.split(1024)]
        ids = torch.cat([ids, torch.multinomial(torch.softmax(torch.cat(parts), -1), 1)], 1)
    return ids[:, 1:]


def values(model, ids, module):
    """What a module reads and gives, at all positions: two of `[n, d]`."""
    found = []
    first = lambda some: some[0] if isinstance(some, tuple) else some
    kept = module.register_forward_hook(lambda _, given, out: found.append((first(given), first(out))))
    for some in ids.split(256):
        model(some)
    kept.remove()
    return [torch.cat(all).flatten(0, 1) for all in zip(*found)]


def encode(t, x, k):
    """Features `[n, N]`: the `k` largest above zero of an autoencoder, without `k` all above zero of a transcoder."""
    h = (x - t["b_dec"] if k else x) @ t["W_enc"] + t["b_enc"]
    if not k:
        return h, h.relu()
    top = h.topk(k)
    return h, torch.zeros_like(h).scatter(1, top.indices, top.values.relu())


def train(x, y, features, k):
    """A dictionary that rebuilds `y` of `x`, in the layout of SAELens."""
    w_dec = torch.randn(features, y.shape[1])
    w_dec /= w_dec.norm(dim=1, keepdim=True)
    w_enc = w_dec.T.clone() if k else torch.randn(x.shape[1], features) / x.shape[1] ** 0.5
    t = dict(W_enc=w_enc, W_dec=w_dec, b_enc=torch.zeros(features), b_dec=y.mean(0).clone())
    t = {name: tensor.requires_grad_() for name, tensor in t.items()}
    optimizer = torch.optim.Adam(t.values(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    spread = y.var(0).mean()
    silent = torch.zeros(features)
    for step in range(STEPS):
        at = torch.randint(len(x), (BATCH,))
        h, f = encode(t, x[at], k)
        left = y[at] - f @ t["W_dec"] - t["b_dec"]
        loss = left.square().mean() / spread
        silent = torch.where((f > 0).any(0), torch.zeros_like(silent), silent + 1)
        dead = silent > 50
        if not k:
            cost = (f * t["W_dec"].norm(dim=1)).sum(1).mean() / spread.sqrt()
            loss = loss + PRICE * min(1.0, 4 * step / STEPS) * cost
        elif dead.any():
            # Features that are never active learn what the others leave out.
            some = torch.where(dead, h, torch.full_like(h, -torch.inf)).topk(min(k, int(dead.sum())))
            more = torch.zeros_like(h).scatter(1, some.indices, some.values.relu())
            loss = loss + 0.1 * (left.detach() - more @ t["W_dec"]).square().mean() / spread
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if k:
            with torch.no_grad():
                t["W_dec"] /= t["W_dec"].norm(dim=1, keepdim=True)
    return {name: tensor.detach().half().contiguous() for name, tensor in t.items()}


def write(folder, tensors, settings, metadata):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "sae_weights.safetensors")
    common = dict(dtype="float16", device="cpu", apply_b_dec_to_input=settings["architecture"] == "topk",
                  normalize_activations="none", reshape_activations="none")
    metadata = dict(model_name="tiny-gpt2", prepend_bos=False, **metadata)
    (folder / "cfg.json").write_text(json.dumps({**settings, **common, "metadata": metadata}, indent=2) + "\n")


def main(folder, names):
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    model = AutoModelForCausalLM.from_pretrained(MODEL).eval()
    ids, heldout = texts(model, 4000), texts(model, 400)

    def made(name, module, autoencodes, features, k, settings, metadata):
        if names and name not in names:
            return
        torch.manual_seed(1)
        x, y = values(model, ids, module)
        held_x, held_y = values(model, heldout, module)
        if autoencodes:
            x, held_x = y, held_y
        with torch.enable_grad():
            tensors = train(x, y, features, k)
        t = {name: tensor.float() for name, tensor in tensors.items()}
        f = encode(t, held_x, k)[1]
        left = held_y - f @ t["W_dec"] - t["b_dec"]
        share = 1 - float(left.square().sum() / (held_y - held_y.mean(0)).square().sum())
        active, alive = float((f > 0).float().sum(1).mean()), int((f > 0).any(0).sum())
        print(f"{name}: {share:.4f} of the variance, {active:.1f} features active, {alive} of {features} alive", flush=True)
        write(folder / name, tensors, {**settings, "d_in": x.shape[1], "d_sae": features}, metadata)

    blocks = model.transformer.h
    made("tiny-gpt2-sae", blocks[2], True, 256, LARGEST, dict(architecture="topk", k=LARGEST),
         dict(hook_name="blocks.2.hook_resid_post"))
    for layer, block in enumerate(blocks):
        made(f"tiny-gpt2-transcoders/L{layer}", block.mlp, False, 64, None, dict(architecture="transcoder", d_out=128),
             dict(hook_name=f"blocks.{layer}.ln2.out", hook_name_out=f"blocks.{layer}.hook_mlp_out"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
