"""A training that was stopped and goes on equals one that never stopped, bit for bit."""

import json
import math
import signal

import pytest
import torch
from lightning.pytorch import Callback
from spoiling import Spoil

from rnnzoo import recipe as recipes
from rnnzoo.errors import RunError
from rnnzoo.experiment import build, fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import snapshot
from rnnzoo.runs.tracking import MetricsFile
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.costs import Costs
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.snapshots import SnapshotIO, Snapshots
from rnnzoo.training.callbacks.step_numbers import StepNumbers
from rnnzoo.training.trainer import make_trainer, minutes, quiet

FORECASTING = """
data: {name: csv_series, path: waves.csv, time_column: hour, lookback: 24, horizon: 6, batch_size: 16}
task: {name: forecasting}
model: {architecture: {name: gru, hidden_size: 8}}
"""
SMALL = ["--trainer.limit_train_batches", "8", "--trainer.limit_val_batches", "2", "--trainer.log_every_n_steps", "1"]


class StopAfter(Callback):
    """Asks the process to stop after so many batches, as a signal does."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_train_batch_end(self, *args: object) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGTERM)


def forecasting(folder):
    """A recipe over a series of its own."""
    lines = [f"{hour},{math.sin(hour / 4):.4f},{math.cos(hour / 9):.4f}" for hour in range(600)]
    (folder / "waves.csv").write_text("\n".join(["hour,sine,cosine", *lines]))
    recipe = folder / "forecasting.yaml"
    recipe.write_text(FORECASTING.replace("waves.csv", str(folder / "waves.csv")))
    return recipe


def train(folder, name, overrides, stop_after=None, resume=None, bad=None):
    """The weights after a training, or after it was stopped."""
    folder.mkdir(exist_ok=True)
    recipe = resolve(recipes.read(forecasting(folder) if name == "forecasting" else name, [*SMALL, *overrides]))
    build.seed_everything(recipe["seed"])
    data = build.make_data(recipe)
    module = build.make_module(recipe, data.spec)
    log = folder / "metrics.jsonl"
    time = minutes(recipe["trainer"]["max_time"])
    states = Snapshots(folder / "resume", {"recipe": name}, metrics=log, max_minutes=time)
    finite = Finite(**recipe["bad_numbers"])
    callbacks = [states, finite, StepNumbers(finite), Costs(), Spoil(bad or {})]
    callbacks += [Checkpoints(folder / "checkpoints", {}, {}, *module.monitor)]
    callbacks += fit.make_callbacks(recipe, module)
    if stop_after:
        callbacks.append(StopAfter(stop_after))
    trainer = make_trainer(recipe, callbacks=callbacks, logger=[MetricsFile(log)], plugins=[SnapshotIO()])
    try:
        with quiet():
            trainer.fit(module, data, ckpt_path=resume)
    except (SystemExit, KeyboardInterrupt):
        assert stop_after
    return {name: value.clone() for name, value in module.state_dict().items()}


def rows(folder):
    """The metric log without its clocks."""
    clocks = ("time", "train_seconds", "cpu_seconds")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in clocks} for line in lines]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_what_was_saved_is_what_was_trained(tmp_path):
    """What the other tests compare does change from step to step."""
    first = train(tmp_path / "a", "quickstart", ["--trainer.max_epochs", "1"], stop_after=4)
    assert not same(first, train(tmp_path / "b", "quickstart", ["--trainer.max_epochs", "1"]))


TRAININGS = {
    "sentiment": ("quickstart", ["--model.head.dropout", "0.3"]),
    "accumulation": ("quickstart", ["--trainer.accumulate_grad_batches", "3"]),
    "stream": ("toy_text", []),
    "stream of workers": ("toy_text", ["--data.num_workers", "2"]),
    "tagging": ("toy_tags", []),
    "translation": ("toy_reverse", []),
    "gaps": ("toy_gaps", []),
    "forecasting": ("forecasting", []),
    "validated within epochs": ("toy_tags", ["--trainer.val_check_interval", "3", "--schedule", "plateau"]),
    "one cycle": ("quickstart", ["--schedule", "one_cycle", "--optimizer", "sgd", "--optimizer.momentum", "0.9"]),
    "early stopping": ("toy_text", ["--callbacks.early_stopping.patience", "1", "--optimizer.lr", "0.0001"]),
    "ema": ("toy_tags", ["--callbacks.ema.decay", "0.9"]),
    "swa": ("toy_tags", ["--callbacks.swa.lr", "0.01", "--callbacks.swa.start", "0.3", "--schedule", "cosine"]),
    "thawing": ("toy_tags", ["--freeze.inputs", "1", "--freeze.architecture", "2", "--layer_decay", "0.4"]),
    "nt_asgd": ("toy_tags", ["--callbacks.nt_asgd.interval", "1", "--optimizer", "sgd", "--optimizer.lr", "5.0"]),
}


@pytest.mark.parametrize(
    ("training", "stop_after"),
    [(training, 13) for training in TRAININGS]
    + [
        ("sentiment", 4),
        ("sentiment", 8),
        ("accumulation", 4),
        ("stream", 4),
        ("stream", 8),
        ("gaps", 8),
        ("swa", 8),
        ("thawing", 4),
    ],
)
def test_a_stopped_training_goes_on_as_if_it_had_not(training, stop_after, tmp_path):
    name, overrides = TRAININGS[training]
    overrides = [*overrides, "--trainer.max_epochs", "3"]
    full = train(tmp_path / "full", name, [*overrides, "--data.num_workers", "0"])
    train(tmp_path / "stopped", name, overrides, stop_after)
    newest, *_ = snapshot.complete(tmp_path / "stopped" / "resume")
    resumed = train(tmp_path / "stopped", name, overrides, resume=newest)
    assert same(full, resumed)
    assert rows(tmp_path / "full") == rows(tmp_path / "stopped")
    pointers = [tmp_path / which / "checkpoints" / "best" for which in ("full", "stopped")]
    assert len({pointer.read_text() for pointer in pointers}) == 1


def test_a_training_whose_time_is_over_ends_and_goes_on(tmp_path):
    overrides = ["--trainer.max_epochs", "2"]
    full = train(tmp_path / "full", "toy_tags", overrides)
    train(tmp_path / "short", "toy_tags", [*overrides, "--trainer.max_time", "00:00:00:00"])
    newest, *_ = snapshot.complete(tmp_path / "short" / "resume")
    assert newest.name.startswith("step-000000000")  # its time was over at once
    assert same(full, train(tmp_path / "short", "toy_tags", overrides, resume=newest))


@pytest.mark.parametrize(
    ("training", "steps", "more"),
    [
        ("sentiment", 5, ["--trainer.max_epochs", "2"]),
        ("accumulation", 4, ["--trainer.max_steps", "6"]),
        ("stream", 13, ["--trainer.max_epochs", "2"]),
        pytest.param("sentiment", 8, ["--trainer.max_epochs", "2"], marks=pytest.mark.slow),  # at an epoch's end
        pytest.param("sentiment", 11, ["--trainer.max_steps", "14"], marks=pytest.mark.slow),
        pytest.param("stream of workers", 5, ["--trainer.max_epochs", "2"], marks=pytest.mark.slow),
        pytest.param("validated within epochs", 3, ["--trainer.max_epochs", "1"], marks=pytest.mark.slow),
        pytest.param("ema", 5, ["--trainer.max_epochs", "2"], marks=pytest.mark.slow),
    ],
)
def test_a_training_that_was_given_more_steps_goes_on_as_if_it_had_had_them(training, steps, more, tmp_path):
    """Also in the middle of an epoch, with the rest of its batches."""
    name, overrides = TRAININGS[training]
    if "--schedule" not in overrides:
        overrides = [*overrides, "--schedule", "constant"]
    full = train(tmp_path / "full", name, [*overrides, *more])
    train(tmp_path / "short", name, [*overrides, "--trainer.max_steps", str(steps)])
    newest, *_ = snapshot.complete(tmp_path / "short" / "resume")
    assert same(full, train(tmp_path / "short", name, [*overrides, *more], resume=newest))
    assert rows(tmp_path / "full") == rows(tmp_path / "short")


def test_another_number_of_processes_is_refused(tmp_path):
    train(tmp_path, "toy_tags", ["--trainer.max_epochs", "2"], stop_after=3)
    newest, *_ = snapshot.complete(tmp_path / "resume")
    state = snapshot.read(newest)
    state["rnnzoo"]["processes"] *= 2
    snapshot.write(newest, state)
    newest, *_ = snapshot.complete(tmp_path / "resume")
    with pytest.raises(RunError, match="was stopped with 2 processes"):
        train(tmp_path, "toy_tags", ["--trainer.max_epochs", "2"], resume=newest)


@pytest.mark.parametrize("policy", ["skip", "rollback"])
@pytest.mark.parametrize("stop_after", [5, 6, 7, 9])
@pytest.mark.parametrize(("name", "accumulated"), [("toy_text", 1), ("toy_tags", 3)])
def test_a_training_that_went_on_after_bad_numbers_goes_on_as_if_it_had_not_stopped(
    policy, stop_after, name, accumulated, tmp_path
):
    """The loss is NaN in the sixth batch, before, within, or after the step that is stopped."""
    options = [f"--bad_numbers.policy={policy}", "--bad_numbers.every_n_steps=2", "--trainer.max_epochs=2"]
    options.append(f"--trainer.accumulate_grad_batches={accumulated}")
    full = train(tmp_path / "full", name, options, bad={5: math.nan})
    train(tmp_path / "stopped", name, options, stop_after, bad={5: math.nan})
    newest, *_ = snapshot.complete(tmp_path / "stopped" / "resume")
    assert same(full, train(tmp_path / "stopped", name, options, resume=newest, bad={5: math.nan}))
    assert rows(tmp_path / "full") == rows(tmp_path / "stopped")
