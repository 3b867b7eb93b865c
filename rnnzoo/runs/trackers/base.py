"""What a run asks of a tracker beside what Lightning asks of a logger."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch.loggers.logger import Logger

from rnnzoo.runs.summary import TrackerPlace


class Tracker(Logger):
    """A logger that neither stops nor changes a training, nor delays it by more than seconds.

    Its first failure is one warning, and the last that it does.
    """

    @property
    def place(self) -> TrackerPlace | None:
        """Where people find the run, for its summary; None if in its own folder."""
        return None

    def log_picture(self, name: str, svg: str, step: int) -> None:
        """Keep a picture of a step. Called in the first process alone."""

    def summarise(self, scores: Mapping[str, float | None]) -> None:
        """Take a finished run's scores: `best/*` and `test/*`, of the checkpoint kept."""

    def close(self, ok: bool, timeout: float) -> None:
        """End the run, waiting at most `timeout` seconds. ok: whether it finished."""
