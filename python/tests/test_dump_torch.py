"""What dump_torch records is what the modules give: `python -m unittest`, in the folder python."""

import unittest

import torch

from llmdbg_dump import recording


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


class Recording(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.model, self.ids = Net(), torch.tensor([[1, 2, 3]])

    @torch.no_grad()
    def test_every_module_without_children(self):
        with recording(self.model) as values:
            self.model(self.ids)
        self.assertEqual(sorted(values), ["layers.0", "layers.1", "table"])
        self.assertTrue(torch.equal(values["table"], self.model.table.weight[self.ids[0]]))
        self.assertTrue(torch.equal(values["layers.0"], self.model.layers[0](values["table"])))

    @torch.no_grad()
    def test_what_is_named_by_its_last_call_and_the_first_of_a_tuple(self):
        with recording(self.model, {"twice": "logits", "": "whole"}) as values:
            out, _ = self.model(self.ids)
        self.assertTrue(torch.equal(values["logits"], out[0]))
        self.assertTrue(torch.equal(values["whole"], out[0]))

    @torch.no_grad()
    def test_a_larger_batch_keeps_its_axis(self):
        with recording(self.model, {"table": "embed"}) as values:
            self.model(torch.cat([self.ids, self.ids]))
        self.assertEqual(values["embed"].shape, (2, 3, 8))

    def test_a_module_that_is_not_there_is_reported(self):
        with self.assertRaisesRegex(KeyError, "nowhere"):
            with recording(self.model, {"nowhere": "x"}):
                pass


if __name__ == "__main__":
    unittest.main()
