"""Tests of rnnzoo.training.callbacks.loss_watch: what is said of a loss that jumps or stands still."""

import random

import pytest

from rnnzoo import recipe as recipes
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.training.callbacks.loss_watch import LossWatch


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "rnnzoo"]


def watched(losses, norm=1.0):
    watch = LossWatch()
    for step, loss in enumerate(losses):
        watch.step(step, loss, norm)
    return watch


def noisy(level, steps, seed=0):
    draw = random.Random(seed)
    return [level * draw.uniform(0.7, 1.3) for _ in range(steps)]


def test_a_loss_that_jumps_and_stays_there_is_said_once(caplog):
    watched(noisy(2.0, 100) + noisy(40.0, 30) + noisy(2.0, 200) + noisy(40.0, 30))
    (message,) = messages(caplog)
    assert "has jumped" in message and "at step 104" in message  # the fifth such step, counted from 0


def test_a_single_hard_batch_is_no_jump(caplog):
    watched([loss if step % 30 else 100.0 for step, loss in enumerate(noisy(2.0, 300))])
    assert not messages(caplog)


def test_a_training_near_zero_may_jump_within_what_is_small(caplog):
    watched(noisy(2.0, 50) + noisy(1e-4, 300) + noisy(1e-2, 50))
    assert not messages(caplog)


def test_a_loss_that_is_the_same_number_is_said(caplog):
    watched([1.0986] * 600)
    (message,) = messages(caplog)
    assert "does not move: 1.099 for 500 steps" in message


def test_a_gradient_of_zero_is_said_whatever_batches_differ_by(caplog):
    watched(noisy(2.0, 600), norm=0.0)
    (message,) = messages(caplog)
    assert "does not move: the gradient is 0 for 500 steps" in message


@pytest.mark.parametrize("step", [0.0, 1e-7])
def test_three_epochs_with_the_same_loss_are_said(step, caplog):
    watch = LossWatch()
    for epoch in range(4):
        for number, loss in enumerate(noisy(2.0, 20, seed=epoch)):
            watch.step(20 * epoch + number, loss, 1.0)
        watch.epoch(2.0 - step * epoch)
    (message,) = messages(caplog)
    assert "does not move: 2 for 3 epochs" in message


def test_a_slow_training_and_one_that_has_come_to_its_end_are_not_dead(caplog):
    watch = LossWatch()
    for epoch in range(20):
        for number, loss in enumerate(noisy(2.0 - 0.01 * epoch, 40, seed=epoch)):
            watch.step(40 * epoch + number, loss, 1.0)
        watch.epoch(2.0 - 0.01 * epoch)
    watched(noisy(2.0, 100) + [0.0] * 600, norm=0.0)
    assert not messages(caplog)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "toy_copy", "toy_gaps", "toy_reverse", "toy_tags", "toy_text"])
def test_nothing_is_said_of_trainings_that_work(name, here, caplog):
    fit(resolve(recipes.read(name, ["--trainer.enable_progress_bar=false", "--tracking.mode=disabled"])))
    assert not [message for message in messages(caplog) if "the loss" in message]
