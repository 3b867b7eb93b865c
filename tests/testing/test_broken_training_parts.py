"""Inputs, optimizers, schedules, callbacks and trackers that break a promise fail its check, and no other."""

import gc
import logging
import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR

from rnnzoo import Tracker, testing
from rnnzoo.inputs.base import Input


class Climbs(torch.optim.SGD):
    """Goes up."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr, maximize=True)


class Forgets(torch.optim.SGD):
    """Keeps its momentum beside its state."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        self.last = {}

    def step(self, closure=None):
        for group in self.param_groups:
            for w in group["params"]:
                move = w.grad + self.last.get(w, 0)
                self.last[w] = 0.5 * move
                w.data.sub_(move, alpha=group["lr"])


class Deaf(torch.optim.SGD):
    """Takes no notice of its groups."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)

    def step(self, closure=None):
        for group in self.param_groups:
            for w in group["params"]:
                w.data.sub_(w.grad, alpha=self.defaults["lr"])


@pytest.mark.parametrize(
    ("optimizer", "failed"),
    [
        (Climbs, {"lowers_a_quadratic"}),
        (Forgets, {"resumes_exactly_from_its_state_dict", "a_copy_is_its_own"}),
        (Deaf, {"keeps_its_groups"}),
    ],
)
def test_a_broken_optimizer_fails(optimizer, failed):
    report = testing.check_optimizer(optimizer, raise_failures=False)
    assert {result.name for result in report.failed} == failed


def below_zero(optimizer, total_steps):
    return LambdaLR(optimizer, lambda step: 1 - 2 * step / total_steps)


def midnight(optimizer):
    scheduler = ExponentialLR(optimizer, 0.9)
    scheduler.interval = "midnight"
    return scheduler


@pytest.mark.parametrize(
    ("schedule", "failed"),
    [(below_zero, {"rates_are_finite_and_never_negative"}), (midnight, {"says_when_it_steps"}), (ExponentialLR, set())],
)
def test_a_broken_schedule_fails(schedule, failed):
    part = schedule if schedule is not ExponentialLR else lambda optimizer, gamma=0.9: ExponentialLR(optimizer, gamma)
    report = testing.check_schedule(part, raise_failures=False)
    assert {result.name for result in report.failed} == failed


class Sums(Input):
    """Adds up all steps, padding included."""

    reads = frozenset({"tokens"})

    def __init__(self, field):
        super().__init__()
        self.embedding, self.output_size = nn.Embedding(field.size, 4), 4
        self.unused = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return self.embedding(x).sum(1, keepdim=True).expand(-1, x.shape[1], -1)


def test_an_input_that_mixes_padding_in_and_has_an_idle_weight_fails():
    report = testing.check_input(Sums, raise_failures=False)
    assert {result.name for result in report.failed} == {
        "padding_never_changes_an_answer",
        "a_sequence_alone_is_as_in_a_batch",
        "gradients_reach_all_parameters",
    }


class Meddles(Callback):
    """Halves the weights after the first epoch, and keeps no count of it in its state."""

    def __init__(self):
        self.times = 0

    def on_train_epoch_end(self, trainer, pl_module):
        self.times += 1
        for weight in pl_module.model.parameters():
            weight.data.mul_(0.5)

    def state_dict(self):
        return {"times": self.times}


def test_a_callback_that_meddles_with_the_weights_and_loses_its_state_fails():
    report = testing.check_callback(Meddles, raise_failures=False)
    assert {result.name for result in report.failed} == {"leaves_training_alone", "its_state_dict_is_loaded_as_it_was"}


class Careless(Tracker):
    """Raises at NaN, writes in the current folder, keeps the environment, and halves weights."""

    def __init__(self, run):
        super().__init__()
        self.path = run.folder
        run.folder.mkdir(parents=True, exist_ok=True)

    def log_metrics(self, metrics, step=None):
        for weight in [thing for thing in gc.get_objects() if type(thing) is nn.Parameter]:
            weight.data.mul_(0.5)
        Path("log.txt").touch()
        (self.path / "environment.txt").write_text(str(dict(os.environ)))
        round(metrics.get("val/loss", 0.0))


class Alone(Tracker):
    """Works once in a folder, warns of what it also raises and at each close, and changes the run's own file."""

    def __init__(self, run):
        super().__init__()
        self.run = run
        try:
            run.folder.mkdir(parents=True)
        except NotADirectoryError:
            logging.getLogger("rnnzoo").warning("no folder")
            raise

    def log_metrics(self, metrics, step=None):
        (self.run.path / "metrics.jsonl").write_text("mine")

    def close(self, ok, timeout):
        logging.getLogger("rnnzoo").warning("closed")


def test_trackers_that_harm_a_run_or_tell_a_secret_fail(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = testing.check_tracker(Careless, raise_failures=False)
    assert {result.name for result in report.failed} == {
        "takes_every_call",
        "goes_on_with_a_run_that_was_resumed",
        "writes_in_its_runs_folder_alone",
        "keeps_no_secret_of_the_machine",
        "a_training_ends_with_the_same_weights",
        "closes_in_time",
    }
    report = testing.check_tracker(Alone, raise_failures=False)
    assert {result.name for result in report.failed} == {
        "goes_on_with_a_run_that_was_resumed",
        "writes_in_its_runs_folder_alone",
        "a_folder_that_cannot_be_made_is_one_warning_at_most",
        "closes_in_time",
    }
