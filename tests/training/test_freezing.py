"""Frozen parts stay as they are to the bit, until their epoch; the others train."""

from itertools import pairwise

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn

from rnnzoo import from_recipe
from rnnzoo.errors import RecipeError
from rnnzoo.training.freezing import Freezing
from rnnzoo.training.trainer import OURS

TINY = (
    "--data.examples=32",
    "--data.batch_size=16",
    "--model.inputs.tokens.size=4",
    "--model.architecture.hidden_size=4",
)


class Epochs(Callback):
    """Keeps the weights after each epoch."""

    def __init__(self, module):
        self.weights = [self.copied(module)]

    @staticmethod
    def copied(module):
        return {name: p.detach().clone() for name, p in module.model.named_parameters()}

    def on_train_epoch_end(self, trainer, module):
        self.weights.append(self.copied(module))


def trained(*overrides, epochs=3):
    """The weights before training and after each epoch."""
    module, data = from_recipe("quickstart", *TINY, *overrides)
    kept = Epochs(module)
    options = OURS | {"accelerator": "cpu", "enable_progress_bar": False, "max_epochs": epochs}
    Trainer(**options, callbacks=[kept]).fit(module, data)
    return kept.weights


def changed(before, after):
    """The parts of which a parameter changed."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_a_frozen_part_is_trained_from_its_epoch_on():
    weights = trained("--freeze.inputs=1", "--freeze.architecture=2", "--optimizer=adamw")
    steps = [changed(*pair) for pair in pairwise(weights)]
    assert steps == [{"head"}, {"head", "inputs"}, {"head", "inputs", "architecture"}]


def test_a_part_that_is_frozen_for_good_never_changes():
    weights = trained("--freeze.architecture=always")
    assert changed(weights[0], weights[-1]) == {"inputs", "head"}


def test_a_part_of_an_input_or_a_layer_can_be_frozen_by_its_name():
    module, _ = from_recipe("quickstart", *TINY, '--freeze={"inputs.tokens": always, "architecture.layers.1": always}')
    frozen = {name for name, p in module.model.named_parameters() if not p.requires_grad}
    assert {name.rpartition(".")[0] for name in frozen} == {"inputs.0.embedding", "architecture.layers.1.cell"}


def test_0_takes_back_what_a_base_froze():
    module, _ = from_recipe("quickstart", *TINY, "--freeze={inputs: 0}")
    module.freezing.apply(0)
    assert all(p.requires_grad for p in module.model.parameters())


def test_what_was_frozen_by_its_own_setting_stays_frozen():
    module, _ = from_recipe("quickstart", *TINY, "--freeze.inputs=1")
    module.model.head.bias.requires_grad_(False)
    freezing = Freezing(module.model, {"head": 1})
    freezing.apply(1)
    assert not module.model.head.bias.requires_grad and module.model.head.weight.requires_grad


def test_a_frozen_batch_normalisation_keeps_its_statistics():
    module, _ = from_recipe("quickstart", *TINY)
    norm = nn.BatchNorm1d(3)
    module.model.head = nn.Sequential(norm, nn.Linear(3, 2))
    freezing = Freezing(module.model, {"head": 1})
    for epoch, moves in ((0, False), (1, True)):
        freezing.apply(epoch)
        before = norm.running_mean.clone()
        norm(torch.randn(8, 3))
        assert (not torch.equal(norm.running_mean, before)) == moves


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--freeze.inptus=1", "freeze: the model has no part 'inptus'.\n  Did you mean 'inputs'?"),
        ("--freeze={inputs: always, architecture: always, head: always}", "nothing would be trained"),
        ("--freeze=inputs", "freeze: must be a mapping, each value a whole number >= 0 or always"),
        ("--freeze.inputs=-1", "freeze: must be a mapping, each value a whole number >= 0 or always"),
    ],
)
def test_what_cannot_be_frozen_is_refused_in_words(override, message):
    with pytest.raises(RecipeError) as caught:
        from_recipe("quickstart", *TINY, override)
    assert message in str(caught.value)
