"""The trackers of a run: always a file of JSON lines, which is the truth; Weights & Biases and others where they can.

Whatever is called here on the loggers of `make_loggers` never raises: each but the metrics file is guarded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lightning.pytorch.loggers.logger import Logger

from rnnzoo import registry
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs.folder import Run
from rnnzoo.runs.summary import TrackerPlace
from rnnzoo.runs.trackers.base import TrackedRun, Tracker
from rnnzoo.runs.trackers.guard import guarded
from rnnzoo.runs.trackers.metrics_file import MetricsFile
from rnnzoo.runs.trackers.wandb_logger import open_wandb
from rnnzoo.runs.trackers.wandb_run import FINISH_SECONDS
from rnnzoo.system.redaction import redact


def make_loggers(
    options: Mapping[str, object], run: Run, config: Recipe, name: str | None = None, step: int = 0
) -> list[Logger]:
    """The loggers of a run: its metrics file, W&B unless its mode is disabled, and those of `also`, but failed ones.

    options: the recipe's, see `TrackingOptions`. config: the resolved recipe; secrets are taken out. name: what W&B
    calls a run that nobody has named. step: optimizer steps that were made before, of a run that is resumed. What the
    recipe leaves open is as W&B's environment says (WANDB_PROJECT, ...) or the settings of `wandb init`, and a default
    only after these. WANDB_MODE alone goes before the recipe's mode, as it is about the machine; disabled always holds.
    """
    loggers: list[Logger] = [MetricsFile(run.metrics)]
    if not run.writer:
        return loggers
    folder, chosen = run.path / "trackers", options_of(options)
    tracked = TrackedRun(run.path, folder, run.id, name or run.id, redact(config), chosen, step, run.wandb_id)
    return [*loggers, *make_trackers(tracked)]


def options_of(options: Mapping[str, object]) -> TrackingOptions:
    """A recipe's `tracking`, without secrets."""
    return TrackingOptions(**redact(dict(options)))


def make_trackers(run: TrackedRun) -> list[Logger]:
    """W&B unless its mode is disabled, and what `also` names, but failed ones; each with a folder in `run.folder`."""
    makers = {"wandb": ("W&B", open_wandb)}
    for component in run.options.also:
        bare = component["name"].rpartition(":")[2]
        makers[bare] = (f"tracker '{bare}'", partial(registry.build, "trackers", component))
    made = [guarded(title, make, replace(run, folder=run.folder / name)) for name, (title, make) in makers.items()]
    return [tracker for tracker in made if tracker is not None]


def where(loggers: Sequence[Logger]) -> TrackerPlace:
    """For the summary: W&B's run id and mode, and its url (online) or its folder in the run's folder (offline)."""
    places = (tracker.place for tracker in _trackers(loggers))
    return next((place for place in places if place), TrackerPlace(mode="disabled"))


def finish(loggers: Sequence[Logger], ok: bool = True, timeout: float = FINISH_SECONDS) -> None:
    """Close the trackers, waiting at most `timeout` seconds for an upload. For a `finally`."""
    for tracker in _trackers(loggers):
        tracker.close(ok, timeout)


def add_axes(loggers: Sequence[Logger], axes: Callable[[], Mapping[str, float]]) -> None:
    """Have every line of metrics hold what `axes` gives at that moment, too."""
    for tracker in _trackers(loggers):
        tracker.axes = axes


def summarise(loggers: Sequence[Logger], facts: Mapping[str, object]) -> None:
    """Give the trackers facts of the whole run: `best/*` and `test/*`, of the checkpoint kept, and others."""
    for tracker in _trackers(loggers):
        tracker.summarise(facts)


def draw(loggers: Sequence[Logger], name: str, svg: str, step: int) -> None:
    """Keep a picture: in the run's folder, as pictures/<name>-<step>.svg, and in trackers. Rank 0 only."""
    for tracker in _trackers(loggers):
        tracker.log_picture(name, svg, step)


def has_trackers(loggers: Sequence[Logger]) -> bool:
    """Whether anything is tracked outside of the run's own files."""
    return len(_elsewhere(loggers)) > 0


def show(loggers: Sequence[Logger], name: str, svg: str, step: int) -> None:
    """Give the trackers a picture that the run's folder keeps by itself. Rank 0 only."""
    for tracker in _elsewhere(loggers):
        tracker.log_picture(name, svg, step)


def log_table(
    loggers: Sequence[Logger], name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int
) -> None:
    """Keep a table in the trackers that keep tables: plain values, a row per line. Rank 0 only."""
    for tracker in _trackers(loggers):
        tracker.log_table(name, columns, rows, step)


def log_checkpoint(
    loggers: Sequence[Logger], folder: Path, aliases: Sequence[str], metadata: Mapping[str, object]
) -> None:
    """Give the trackers a complete checkpoint. aliases: "best", "latest". Rank 0 only."""
    for tracker in _trackers(loggers):
        tracker.log_checkpoint(folder, aliases, metadata)


def use_data(loggers: Sequence[Logger], identity: Mapping[str, object]) -> None:
    """Tell the trackers which data the run reads: id, revision, fingerprint, sizes. Rank 0 only."""
    for tracker in _trackers(loggers):
        tracker.use_data(identity)


def _elsewhere(loggers: Sequence[Logger]) -> list[Tracker]:
    return [tracker for tracker in _trackers(loggers) if not isinstance(tracker, MetricsFile)]


def _trackers(loggers: Sequence[Logger]) -> list[Tracker]:
    return [logger for logger in loggers if isinstance(logger, Tracker)]
