"""What every tracker promises. Runs are made up in a temporary folder, and small networks trained without a network."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as pl
from torch import Tensor

from rnnzoo import registry
from rnnzoo.experiment import build
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs.trackers.base import TrackedRun, Tracker
from rnnzoo.runs.trackers.guard import Guarded, guarded
from rnnzoo.system.files import TEMPORARY
from rnnzoo.testing.base import NotApplicable, checks_in
from rnnzoo.testing.buildable import check_builds_from_json
from rnnzoo.testing.subject import Subject
from rnnzoo.training.trainer import quiet

SMALL = ("--data.examples=40", "--model.architecture.hidden_size=4", "--model.inputs.tokens.size=4")
CANARY = "canary0123456789abcdef0123456789abcdef01"  # of a secret
CLOSING = 60.0  # seconds at most


class TrackerSubject(Subject):
    """A tracker under test: a class, or a function that makes one."""

    kind = "trackers"

    def build(self, run: TrackedRun) -> Tracker:
        """Raises: NotApplicable if it lacks settings or packages, or has nothing to do here."""
        if self.missing_parameters:
            raise NotApplicable(f"no value is given for {', '.join(self.missing_parameters)}")
        required = getattr(self.maker, "requires", {})
        self.require(isinstance(required, Mapping), f"expected a mapping as requires, found {required!r}")
        for module in required:
            if importlib.util.find_spec(module.partition(".")[0]) is None:
                raise NotApplicable(f"{module} is not installed")
        tracker = registry.make(self.maker, self.parameters, run)
        if tracker is None:
            raise NotApplicable("it is disabled here")
        self.require(isinstance(tracker, Tracker), f"expected a rnnzoo.Tracker, found {type(tracker)}")
        return tracker


@contextlib.contextmanager
def a_run() -> Iterator[TrackedRun]:
    """A run's folder, as empty as a tracker finds it."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as folder:
        path = Path(folder).resolve() / "runs" / "made-up" / "id7"
        path.mkdir(parents=True)
        (path / "metrics.jsonl").touch()
        config = {"seed": 1, "model": {"architecture": {"name": "recurrent", "num_layers": 2}}, "data": {"name": "x"}}
        options = TrackingOptions(mode="offline", group="checks", tags=["a"])
        yield TrackedRun(path, path / "trackers" / "checked", "id7", "made-up-seed1", config, options)


def use(tracker: Tracker, steps: range, close: bool = True) -> None:
    """Every call that a run makes, some with odd values."""
    tracker.log_hyperparams({})
    tracker.use_data({"id": "x", "revision": None, "fingerprint": "ab12", "sizes": {"train": 3}})
    for step in steps:
        tracker.log_metrics({"train/loss": 1 / (step + 1), "epoch": 0}, step)
        tracker.save()
    tracker.log_metrics({"train/loss": float("nan"), "val/loss": float("inf"), "epoch": 1}, steps[-1])
    tracker.log_picture("attention_1", '<svg xmlns="http://www.w3.org/2000/svg"/>', steps[-1])
    columns = ["input", "truth", "confidence"]
    rows: list[list[object]] = [["a <b> | c\n, d\u2028", None, 0.5], ["", "yes", float("nan")], ["\U0001f600", True, 3]]
    tracker.log_table("val/predictions", columns, rows, steps[-1])
    tracker.log_table("empty", columns, [], steps[-1])
    tracker.finalize("success")
    tracker.log_metrics({"test/accuracy": 1.0}, steps[-1])
    tracker.summarise({"best/accuracy": 0.5, "test/accuracy": None, "parameters": 12, "hardware": {"cpu": "x"}})
    tracker.summarise({"best/accuracy": 0.5})
    if close:
        tracker.close(True, CLOSING)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def check_takes_every_call(subject: TrackerSubject) -> None:
    """It raises at no call of a run: also not for NaN, metrics that come late, odd texts, or a table without rows."""
    with a_run() as run:
        tracker = subject.build(run)
        use(tracker, range(5))
        place = tracker.place
        subject.require(place is None or isinstance(place, dict), f"expected a mapping or None, found place {place!r}")


def check_goes_on_with_a_run_that_was_resumed(subject: TrackerSubject) -> None:
    """A second one continues in the same folder, where the first was never closed."""
    with a_run() as run:
        first = subject.build(run)
        use(first, range(5), close=False)
        first.close(False, CLOSING)
        use(subject.build(replace(run, step=3)), range(3, 8))


def check_writes_in_its_runs_folder_alone(subject: TrackerSubject) -> str:
    """Nothing is left in the current folder or in HOME, and the run's own files stay as they are."""
    with a_run() as run, tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as other:
        home, here = Path(other, "home"), Path(other, "here")
        for folder in (home, here):
            folder.mkdir()
        with _environment(HOME=str(home), USERPROFILE=str(home)), _current(here):
            use(subject.build(run), range(3))
        left = names(home) | names(here) | (names(run.path.parents[2]) - {"runs", "runs/made-up", "runs/made-up/id7"})
        inside = {name.removeprefix("runs/made-up/id7/") for name in left if name.startswith("runs/made-up/id7/")}
        outside = sorted(left - {f"runs/made-up/id7/{name}" for name in inside})
        subject.require(not outside, f"expected files in the run's folder alone, found {', '.join(outside[:3])}")
        subject.require("metrics.jsonl" in inside, "the run's metrics.jsonl is gone")
        subject.require(not (run.path / "metrics.jsonl").stat().st_size, "it has written to the run's metrics.jsonl")
        return f"{len(inside - {'metrics.jsonl'})} files and folders"


def check_keeps_no_secret_of_the_machine(subject: TrackerSubject) -> None:
    """No byte of what it writes has a token of the environment, or a word of the command line."""
    with a_run() as run, _environment(HF_TOKEN=CANARY, WANDB_API_KEY=CANARY):
        words, sys.argv = sys.argv, ["rnnzoo", "--data.password", CANARY]
        try:
            use(subject.build(run), range(3))
        finally:
            sys.argv = words
        files = [path for path in run.path.rglob("*") if path.is_file()]
        leaks = [path.name for path in files if CANARY.encode() in path.read_bytes()]
        subject.require(not leaks, f"expected no secret, found one in {', '.join(leaks)}")


def check_a_training_ends_with_the_same_weights(subject: TrackerSubject) -> None:
    """With the same seed, bit for bit those of a training without it."""
    with a_run() as run:
        tracker = subject.build(run)
        found = _fit(tracker)
        tracker.close(True, CLOSING)
    for name, wanted in _fit(None).items():
        subject.agree(found[name], wanted, f"{name} after a training with it", tolerance=0)


def check_a_folder_that_cannot_be_made_is_one_warning_at_most(subject: TrackerSubject) -> None:
    """Where a file is in the place of its folder, a guarded run goes on, with a single warning."""
    with a_run() as run, _warnings() as warnings:
        run.folder.parent.touch()
        subject_or_none = guarded("tracker", subject.build, run)
        if subject_or_none is not None:
            use(subject_or_none, range(3))
    skipped = [text for text in warnings if "is not installed" in text or "is disabled here" in text]
    if skipped:
        raise NotApplicable(skipped[0])
    subject.require(len(warnings) <= 1, f"expected one warning, found {len(warnings)}: {warnings[:2]}")


def check_closes_in_time(subject: TrackerSubject) -> None:
    """It closes within a minute, of a run that failed, too."""
    for ok in (True, False):
        with a_run() as run, _warnings() as warnings:
            tracker = Guarded(subject.build(run), "tracker")
            use(tracker, range(3), close=False)
            tracker.close(ok, CLOSING)
        subject.require(not warnings, f"expected no warning, found {warnings[:1]}")


def _fit(tracker: Tracker | None) -> dict[str, Tensor]:
    """The weights after two epochs, always from the same seed."""
    module, data = build.from_recipe("quickstart", *SMALL)
    with quiet():
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=2,
            logger=tracker or False,
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, data)
    return {name: p.detach().clone() for name, p in module.model.named_parameters()}


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _current(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What rnnzoo warns of."""
    heard: list[str] = []

    class Hears(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    handler, log = Hears(logging.WARNING), logging.getLogger("rnnzoo")
    log.addHandler(handler)
    try:
        yield heard
    finally:
        log.removeHandler(handler)


SUBJECT = TrackerSubject
CHECKS = (check_builds_from_json, *checks_in(sys.modules[__name__]))
