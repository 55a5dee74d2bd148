#!/usr/bin/env python3
"""LIME over token positions as Captum computes it, with the random choices recorded.

    pip install torch transformers captum scikit-learn
    python tools/make_lime_fixtures.py [OUT]

For models of tests/fixtures/models: the embeddings of hidden positions are zero, the surrogate is scikit-learn's Lasso with Captum's
weight of 0.01 and with 0.1, the similarity Captum's exponential kernel over the cosine distance of the embeddings. OUT is
tests/fixtures/attribution/lime.json unless given.
"""

import json
import sys
from pathlib import Path

import torch
from captum._utils.models.linear_model import SkLearnLasso
from captum.attr import Lime
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

ROOT = Path(__file__).parent.parent
SAMPLES = 60


def prepared(name):
    """Prompt, ids, model, logits as a function of embeddings, the embeddings, and the largest logit of a fixture."""
    folder = ROOT / "tests/fixtures/models" / name
    prompt = json.loads((folder / "reference.json").read_text())["prompts"][0]
    kind = AutoModelForSequenceClassification if name.endswith("seqcls") else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids, mask = torch.tensor([prompt["token_ids"]]), torch.tensor([prompt["attention_mask"]])
    embedded = model.get_input_embeddings()(ids).detach()

    def logits(x):
        out = model(inputs_embeds=x, attention_mask=mask.expand(len(x), -1)).logits
        return out if out.ndim == 2 else out[:, -1]

    with torch.no_grad():
        target = int(logits(embedded)[0].argmax())
    return prompt, ids, model, logits, embedded, target


def lime(name):
    prompt, ids, _, logits, embedded, target = prepared(name)
    n = ids.shape[1]
    torch.manual_seed(11)
    masks = torch.bernoulli(torch.full((SAMPLES, n), 0.5)).long()
    groups = torch.arange(n)[None, :, None].expand_as(embedded)
    found = {}
    for alpha in (0.01, 0.1):
        rows = iter(masks)
        method = Lime(
            lambda x: logits(x)[:, target],
            interpretable_model=SkLearnLasso(alpha=alpha, tol=1e-12, max_iter=1000000),
            perturb_func=lambda *a, **k: next(rows)[None],
        )
        with torch.no_grad():
            values = method.attribute(embedded, feature_mask=groups, n_samples=SAMPLES, return_input_shape=False)
        found[str(alpha)] = values[0].tolist()
    return {"text": prompt["text"], "target": target, "shown": masks.tolist(), "values": found}


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/fixtures/attribution/lime.json"
    found = {name: lime(name) for name in ("bert-seqcls", "gpt2", "llama")}
    for name, one in found.items():
        print(name, {alpha: [round(x, 4) for x in values] for alpha, values in one["values"].items()})
    out.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
