"""Learning rates by depth: each layer's is a share of that of the layer above."""

import pytest
from lightning.pytorch import Trainer

from rnnzoo import from_recipe
from rnnzoo.training.depth import by_depth
from rnnzoo.training.trainer import OURS

OPTIONS = OURS | {"accelerator": "cpu", "enable_progress_bar": False, "fast_dev_run": True}


def names(model, level):
    held = {id(p) for p in level}
    return {".".join(name.split(".")[:3]) for name, p in model.named_parameters() if id(p) in held}


def rates(name, *overrides):
    """The peak learning rate of each group of parameters, the top one first, and what is in it."""
    module, data = from_recipe(name, *overrides, "--optimizer.lr=0.1", "--schedule=constant")
    Trainer(**OPTIONS).fit(module, data)
    groups = module.optimizers().param_groups
    return [(group["lr"], names(module.model, group["params"])) for group in groups]


def test_both_directions_of_a_layer_learn_at_one_rate():
    found = rates("quickstart", "--layer_decay=0.5", "--model.architecture.num_layers=2")
    assert [rate for rate, _ in found] == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    assert [part for _, part in found] == [
        {"head.weight", "head.bias"},
        {"architecture.layers.2", "architecture.layers.3"},
        {"architecture.layers.0", "architecture.layers.1"},
        {"inputs.0.embedding"},
    ]


def test_a_frozen_layer_still_counts_as_one():
    found = rates("quickstart", "--layer_decay=0.5", "--freeze.architecture=always")
    assert [rate for rate, _ in found] == pytest.approx([0.1, 0.025])


def test_without_a_decay_all_learn_at_one_rate():
    assert [rate for rate, _ in rates("quickstart")] == [0.1]


@pytest.mark.parametrize("name", ["toy_reverse", "toy_text", "toy_gaps", "toy_tags"])
def test_each_parameter_has_one_depth(name):
    module, _ = from_recipe(name)
    held = [id(p) for level in by_depth(module.model) for p in level]
    assert sorted(held) == sorted(id(p) for p in module.model.parameters())


def test_a_schedule_keeps_the_ratios():
    module, data = from_recipe("quickstart", "--layer_decay=0.5", "--schedule=one_cycle")
    Trainer(**OPTIONS).fit(module, data)
    rates = [group["lr"] for group in module.optimizers().param_groups]
    assert [rate / rates[0] for rate in rates] == pytest.approx([1, 0.5, 0.25])
