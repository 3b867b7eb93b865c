"""What a run asks of a tracker beside what Lightning asks of a logger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lightning.pytorch.loggers.logger import Logger

from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs.summary import TrackerPlace


@dataclass(frozen=True)
class TrackedRun:
    """The run that a tracker is made for.

    path: the run's folder. folder: the tracker's own inside it, which it makes when it writes, and the only one that it
    writes to. id: the folder's name. name: for people. config: the resolved recipe, nested plain values, without
    secrets. options: the recipe's `tracking`: project, group, tags. step: optimizer steps that were made before, of a
    run that is resumed: what was logged of later ones comes again. wandb_id: W&B's id of such a run.
    job_type: what kind of run it is, where nobody says otherwise: "fit", or "test" of a trained model.
    """

    path: Path
    folder: Path
    id: str
    name: str
    config: Recipe
    options: TrackingOptions
    step: int = 0
    wandb_id: str | None = None
    job_type: str = "fit"


class Tracker(Logger):
    """A logger that takes more than numbers. A subclass writes `log_metrics`, and the others where it has use for them.

    Its first argument is a `TrackedRun`; the others are settings of a recipe's `tracking.also`. It raises where it can
    do nothing. A run calls the methods in its first process alone, and guards each call (`rnnzoo.runs.trackers.guard`):
    the first that raises is one warning and, but for `close`, the tracker's last.
    """

    axes: Callable[[], Mapping[str, float]] = dict  # what a training has cost so far, see `tracking.add_axes`
    requires: ClassVar[Mapping[str, str]] = {}  # by module that must be there, what to install
    unfinished = "what it had not written is lost"  # what follows where `close` takes too long

    @property
    def name(self) -> str | None:
        return type(self).__name__

    @property
    def version(self) -> int | str | None:
        return None

    @property
    def place(self) -> TrackerPlace | None:
        """Where people find the run, for its summary; None if in its own folder."""
        return None

    def log_hyperparams(self, params: object, *args: object, **kwargs: object) -> None:
        """Nothing: a tracker has the config from its start, redacted."""

    def log_picture(self, name: str, svg: str, step: int) -> None:
        """Keep a picture of a step."""

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int) -> None:
        """Keep a table of a step: each row has a plain value (text, number, truth value or None) per column."""

    def log_checkpoint(self, folder: Path, aliases: Sequence[str], metadata: Mapping[str, object]) -> None:
        """Keep a complete checkpoint, or name it. aliases: "best", "latest". metadata: plain values."""

    def use_data(self, identity: Mapping[str, object]) -> None:
        """Take the identity of the data that the run reads: id, revision, fingerprint, sizes."""

    def summarise(self, facts: Mapping[str, object]) -> None:
        """Take facts of the whole run: `best/*` and `test/*`, of the checkpoint kept, and others. May come twice."""

    def close(self, ok: bool, timeout: float) -> None:
        """End the run within `timeout` seconds; what takes longer goes on in a thread. ok: whether it finished."""
