"""The trackers of a run: always a file of JSON lines, which is the truth; Weights & Biases too, where it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightning.pytorch.loggers.logger import Logger

from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs.folder import Run
from rnnzoo.runs.summary import TrackerPlace
from rnnzoo.runs.trackers.base import Tracker
from rnnzoo.runs.trackers.metrics_file import MetricsFile
from rnnzoo.runs.trackers.wandb_logger import make_wandb
from rnnzoo.runs.trackers.wandb_run import FINISH_SECONDS
from rnnzoo.system.redaction import redact


def make_loggers(options: Mapping[str, object], run: Run, config: Recipe, name: str | None = None) -> list[Logger]:
    """The loggers of a run: its metrics file, and W&B unless its mode is disabled or it fails.

    options: the recipe's, see `TrackingOptions`. config: the resolved recipe; secrets are taken out. name: what W&B
    calls a run that nobody has named. What the recipe leaves open is as W&B's environment says (WANDB_PROJECT, ...) or
    the settings of `wandb init`, and a default only after these. WANDB_MODE alone goes before the recipe's mode, as it
    is about the machine; disabled always holds.
    """
    chosen = TrackingOptions(**redact(dict(options)))
    wandb = make_wandb(chosen, run, config, name or run.id) if run.writer else None
    return [MetricsFile(run.metrics), *([wandb] if wandb else [])]


def where(loggers: Sequence[Logger]) -> TrackerPlace:
    """For the summary: W&B's run id and mode, and its url (online) or its folder in the run's folder (offline)."""
    places = (tracker.place for tracker in _trackers(loggers))
    return next((place for place in places if place), TrackerPlace(mode="disabled"))


def finish(loggers: Sequence[Logger], ok: bool = True, timeout: float = FINISH_SECONDS) -> None:
    """Close the trackers, waiting at most `timeout` seconds for an upload. For a `finally`; never raises."""
    for tracker in _trackers(loggers):
        tracker.close(ok, timeout)


def summarise(loggers: Sequence[Logger], scores: Mapping[str, float | None]) -> None:
    """Put a finished run's scores into W&B's summary: `best/*` and `test/*`, of the checkpoint kept. Never raises."""
    for tracker in _trackers(loggers):
        tracker.summarise(scores)


def draw(loggers: Sequence[Logger], name: str, svg: str, step: int) -> None:
    """Keep a picture: in the run's folder, as pictures/<name>-<step>.svg, and in W&B. Rank 0 only; never raises."""
    for tracker in _trackers(loggers):
        tracker.log_picture(name, svg, step)


def _trackers(loggers: Sequence[Logger]) -> list[Tracker]:
    return [logger for logger in loggers if isinstance(logger, Tracker)]
