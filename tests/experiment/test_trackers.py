"""Tests of rnnzoo.experiment.trackers, and of runs with trackers beside W&B."""

import csv
import importlib.util
import json

import pytest
import torch

from rnnzoo import TrackedRun, Tracker, load, registry, runs
from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.evaluate import evaluate
from rnnzoo.experiment.facts import used_parts
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.experiment.resume import prepare
from rnnzoo.runs import tracking

SMALL = (
    *("--data.examples=48", "--model.architecture.hidden_size=4", "--trainer.max_epochs=1"),
    *("--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu", "--tracking.mode=disabled"),
)


def resolved(also: str, *more: str):
    return resolve(recipes.read("quickstart", [*SMALL, f"--tracking.also={also}", *more]))


def without_times(line: dict) -> dict:
    return {name: value for name, value in line.items() if name != "time" and not name.endswith("seconds")}


@pytest.fixture
def named(monkeypatch):
    """Registers trackers for a test."""
    names = []

    def name(part, name):
        registry.register("trackers", name, part)
        names.append(name)

    yield name
    for each in names:
        registry.unregister("trackers", each)


def test_trackers_are_named_alone_in_a_list_or_with_settings():
    assert resolved("csv")["tracking"]["also"] == [{"name": "csv"}]
    assert resolved("[csv, {name: tensorboard}]")["tracking"]["also"] == [{"name": "csv"}, {"name": "tensorboard"}]
    assert resolve(recipes.read("quickstart"))["tracking"]["also"] == []


def test_every_mistake_is_told_at_once(named):
    class Asks(Tracker):
        requires = {"no_such_module": "asks-more"}  # noqa: RUF012

        def __init__(self, run: TrackedRun, digits: int = 3) -> None:
            super().__init__()

        def log_metrics(self, metrics, step=None) -> None:
            """Nothing."""

    named(Asks, "asks")
    with pytest.raises(RecipeError) as error:
        resolved("[cvs, csv, csv, wandb, {name: asks, digit: 3}, 5]")
    told = "\n".join(error.value.messages)
    assert "no tracker is named 'cvs'.\n  Did you mean 'csv'?" in told
    assert "'csv' is there 2 times" in told and "'wandb' is always there" in told
    assert "tracking.also[4].digit: unknown key" in told and "Did you mean 'digits'?" in told
    assert "'asks' needs the package no_such_module, which is not installed: pip install 'asks-more'" in told
    assert "tracking.also[5]: must be a name" in told


@pytest.mark.parametrize("name", ["tensorboard", "trackio"])
def test_an_extra_that_is_missing_is_one_line_before_any_training(name, here, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None if module == name else find(module))
    with pytest.raises(RecipeError) as error:
        resolved(name)
    (message,) = error.value.messages
    assert message.endswith(f"needs the package {name}, which is not installed: pip install 'rnnzoo[{name}]'")
    assert "\n" not in message and not list(here.iterdir())


def test_a_recipes_digest_does_not_depend_on_its_trackers_and_its_parts_list_them():
    plain, tracked = resolved("[]"), resolved("csv")
    assert recipes.digest(plain) == recipes.digest(tracked)
    assert [part for part in used_parts(tracked) if part not in used_parts(plain)] == [
        registry.find("trackers", "csv")._asdict()
    ]
    del tracked["tracking"]["also"]  # as in a run of before there were trackers
    assert used_parts(tracked) == used_parts(plain)


def test_each_tracker_has_what_the_metrics_file_has(here, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    summary, run = fit(resolved("[csv, tensorboard]", "--trainer.log_every_n_steps=1"))
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    with open(run.path / "trackers" / "csv" / "metrics.csv", newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    assert [without_times(row) for row in rows] == [without_times(line) for line in lines]
    events = EventAccumulator(str(run.path / "trackers" / "tensorboard"), {"scalars": 0}).Reload()
    wanted = {line["step"]: line["train/loss_step"] for line in lines if "train/loss_step" in line}
    assert {e.step: e.value for e in events.Scalars("train/loss_step")} == pytest.approx(wanted) and wanted
    assert events.Scalars("best/accuracy")[-1].value == pytest.approx(summary["metrics"]["best/accuracy"])


def test_the_table_of_a_resumed_run_is_that_of_its_metrics_file(here):
    _, run = fit(resolved("csv", "--trainer.log_every_n_steps=1"))
    resumption = prepare(run.path, ["--trainer.max_epochs=3"])
    run.release()
    _, run = fit(resumption.recipe, resumption=resumption)
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    with open(run.path / "trackers" / "csv" / "metrics.csv", newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    assert [without_times(row) for row in rows] == [without_times(line) for line in lines]
    assert {row["epoch"] for row in rows if "val/loss" in row} == {0, 1, 2}


class Raises(Tracker):
    """Works until its last call but one, and then in no method."""

    calls = 0

    def __init__(self, run: TrackedRun, at: int = 0) -> None:
        super().__init__()
        self.at = at
        self._count()

    def _count(self) -> None:
        Raises.calls += 1
        if Raises.calls > self.at:
            raise SystemExit("no space left on the tracker")

    def __getattribute__(self, name: str):
        if name in dir(Tracker) and not name.startswith("_"):
            object.__getattribute__(self, "_count")()
        return object.__getattribute__(self, name)

    def log_metrics(self, metrics, step=None) -> None:
        """Nothing."""


@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_tracker_that_raises_in_every_method_is_one_warning_and_changes_no_weight(at, here, named, caplog):
    named(Raises, "raises")
    Raises.calls = 0
    _, run = fit(resolved(f"{{name: raises, at: {at}}}"))
    warnings = [record.getMessage() for record in caplog.records if record.name == "rnnzoo" and record.levelno >= 30]
    assert [text for text in warnings if "tracker 'raises' failed: no space left" in text] == warnings
    assert len(warnings) == 1
    _, other = fit(resolved("[]"))
    for name, weight in load(run.path).model.state_dict().items():
        assert torch.equal(weight, load(other.path).model.state_dict()[name])
    lines = [
        [without_times(json.loads(line)) for line in each.metrics.read_text().splitlines()] for each in (run, other)
    ]
    assert lines[0] == lines[1]


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv(runs.SHARED, "")
    run = runs.create("imdb", tmp_path / "run")
    (run.path / "trackers").write_text("in the way")
    loggers = tracking.make_loggers({"mode": "disabled", "also": [{"name": "csv"}]}, run, {})
    assert len(loggers) == 1 and len(caplog.records) == 1
    assert "tracker 'csv' failed" in caplog.text


def test_only_the_first_process_makes_trackers(tmp_path):
    child = runs.Run(tmp_path / "run", "imdb", 1, writer=False)
    assert len(tracking.make_loggers({"mode": "disabled", "also": [{"name": "csv"}]}, child, {})) == 1
    assert not child.path.exists()


def test_a_run_whose_tracker_is_gone_is_loaded_tested_and_resumed_without_it(here, named):
    class Gone(Tracker):
        """Does nothing."""

        def __init__(self, run: TrackedRun) -> None:
            super().__init__()

        def log_metrics(self, metrics, step=None) -> None:
            """Nothing."""

    named(Gone, "gone")
    summary, run = fit(resolved("gone"))
    registry.unregister("trackers", "gone")
    assert load(run.path).predict(["a good film"])
    scores = evaluate(run.path, "test", {"trainer": {"enable_progress_bar": False}})
    assert scores == pytest.approx({k: v for k, v in summary["metrics"].items() if k in scores})
    with pytest.raises(RecipeError, match="no tracker is named 'gone'"):
        prepare(run.path, ["--trainer.max_epochs=2"])
    assert prepare(run.path, ["--trainer.max_epochs=2", "--tracking.also=[]"]).recipe["tracking"]["also"] == []
