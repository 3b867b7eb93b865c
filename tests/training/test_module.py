"""Tests of rnnzoo.training.module: a step is that of all its answers; training's random numbers are its own."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader

import rnnzoo
from rnnzoo import registry
from rnnzoo.testing.tasks.subject import TaskSubject, rows_of
from rnnzoo.training.module import ZooModule

OWN = sorted(entry.name for entry in registry.entries("tasks") if entry.distribution == "rnnzoo")
CLIPPED = {"gradient_clip_val": 0.005}
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "max_epochs": 1,
    "use_distributed_sampler": False,
    "num_sanity_val_steps": 0,
}


def fit(module, data, **options) -> dict[str, torch.Tensor]:
    """The weights after training."""
    trainer = Trainer(**(QUIET | options))
    if isinstance(data, list):
        trainer.fit(module, DataLoader(data, batch_size=None))
    else:
        trainer.fit(module, data)
    return {name: p.detach() for name, p in module.model.named_parameters()}


# -- accumulated batches --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("accumulated", "options"),
    [(3, {}), (5, {}), (3, CLIPPED), (3, CLIPPED | {"gradient_clip_algorithm": "value"})],
    ids=["whole", "last, not full", "clipped by norm", "clipped by value"],
)
def test_accumulated_batches_of_any_sizes_give_the_update_of_one_batch(name, accumulated, options):
    """One step of plain gradient descent at a rate of 1 moves the weights by the gradient itself."""

    def updated(parts, **given):
        task, model, batch = TaskSubject(name).built()
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        module = ZooModule(model, task, {"name": "sgd", "lr": 1.0})
        after = fit(module, [rows_of(batch, rows) for rows in parts], **options, **given)
        return {name: after[name] - before[name] for name in before}

    rows = list(range(9))
    whole = updated([rows])
    parts = updated([rows[:1], rows[1:5], rows[5:]], accumulate_grad_batches=accumulated)
    assert max(change.abs().max() for change in whole.values()) > 1e-4
    for key, change in whole.items():
        torch.testing.assert_close(parts[key], change, atol=1e-6, rtol=0)


def test_the_last_step_of_an_epoch_has_fewer_batches_and_counts_only_theirs():
    recipe = ("toy_tags", "--data.examples=88", "--data.batch_size=8", "--optimizer.name=sgd", "--schedule=constant")
    module, data = rnnzoo.from_recipe(*recipe)
    data.prepare()
    batches = [data.parts["train"][rows] for rows in data.form.batches(data.parts["train"], training=True, seed=1)]
    assert len(batches) % 4 and len({batch.tokens for batch in batches}) > 1
    accumulated = fit(module, data, accumulate_grad_batches=4, gradient_clip_val=0.1)

    by_hand, _ = rnnzoo.from_recipe(*recipe)
    optimizer = torch.optim.SGD(by_hand.model.parameters(), lr=by_hand.optimizer["lr"])
    for start in range(0, len(batches), 4):
        window = batches[start : start + 4]
        optimizer.zero_grad()
        for batch in window:
            loss = by_hand.task.loss(by_hand.model, by_hand.task.forward(by_hand.model, batch), batch)
            (loss * by_hand.task.count(batch) / sum(map(by_hand.task.count, window))).backward()
        torch.nn.utils.clip_grad_norm_(by_hand.model.parameters(), 0.1)
        optimizer.step()
    for name, weight in by_hand.model.named_parameters():
        torch.testing.assert_close(accumulated[name], weight.detach(), atol=1e-6, rtol=0)


# -- random numbers -------------------------------------------------------------------------------------------------


class Draws(Callback):
    """Draws at random wherever it is called, as a stranger's callback may."""

    def __init__(self):
        draw = partial(torch.rand, 3)
        for hook in ("on_train_batch_end", "on_validation_batch_end", "on_sanity_check_start", "on_train_epoch_end"):
            setattr(self, hook, lambda *args, **kwargs: draw())


@pytest.mark.parametrize(
    "recipe",
    [
        ["quickstart", "--data.examples=48", "--model.head.dropout=0.5", "--model.inputs.tokens.word_dropout=0.3"],
        ["toy_text", "--data.examples=40", "--model.architecture.cell={name: zoneout}", "--model.head.dropout=0.4"],
        ["toy_reverse", "--data.examples=64", "--task.teacher_forcing=0.5", "--task.beam=2"],
        ["toy_gaps", "--data.examples=40", "--model.head.locked_dropout=0.4", "--data.batch_size=16"],
    ],
    ids=lambda recipe: recipe[0],
)
def test_training_is_bitwise_the_same_whenever_validation_runs_and_whatever_callbacks_draw(recipe):
    def trained(**options):
        return fit(*rnnzoo.from_recipe(*recipe), max_epochs=2, **options)

    wanted = trained(limit_val_batches=0)
    for options in (
        {},
        {"val_check_interval": 1, "limit_val_batches": 1},
        {"num_sanity_val_steps": 1, "log_every_n_steps": 1, "callbacks": [Draws()]},
    ):
        found = trained(**options)
        for name, weight in wanted.items():
            assert torch.equal(found[name], weight), (options, name)


def test_each_batch_of_each_epoch_has_draws_of_its_own():
    seen = []

    class Looks(Callback):
        def on_train_batch_end(self, *args, **kwargs):
            seen.append(torch.rand(1).item())

    fit(
        *rnnzoo.from_recipe("toy_tags", "--data.examples=64", "--data.batch_size=16"), max_epochs=3, callbacks=[Looks()]
    )
    assert len(set(seen)) == len(seen) > 6


# -- what is reported -----------------------------------------------------------------------------------------------


def validated(recipe, spoil=None):
    module, data = rnnzoo.from_recipe(*recipe)
    data.prepare()
    if spoil is not None:
        spoil(module, data)
    trainer = Trainer(**QUIET)
    trainer.validate(module, data, verbose=False)
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


@pytest.mark.filterwarnings("error:No (positive|negative) samples")
def test_a_metric_of_what_the_part_has_not_is_left_out():
    def one_class(module, data):
        data.parts["dev"].target[:] = 0

    found = validated(("quickstart", "--data.examples=40"), one_class)
    assert sorted(found) == ["val/accuracy", "val/f1", "val/loss"]


@pytest.mark.parametrize("recipe", ["quickstart", "toy_tags", "toy_reverse", "toy_gaps", "toy_text"])
def test_no_metric_of_a_network_that_gives_nan_is_a_number(recipe):
    def broken(module, data):
        with torch.no_grad():
            next(iter(module.model.head.parameters())).fill_(torch.nan)

    found = validated((recipe, "--data.examples=40"), broken)
    assert len(found) > 1 and all(value != value for value in found.values()), found
