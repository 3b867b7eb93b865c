"""The file of JSON lines that every run has."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from rnnzoo.runs.record import last_records
from rnnzoo.runs.trackers.base import Tracker
from rnnzoo.system import files
from rnnzoo.system.plain import plain

log = logging.getLogger("rnnzoo")


class MetricsFile(Tracker):
    """Appends a JSON line per call: step, epoch, time (seconds of work so far), axes and metrics; rank 0 only.

    NaN and infinity are null, and named in the line's "not_finite". The file is open only while a line is written, so
    what was logged is there whatever happens next. A disk that is full is one warning.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._start = time.monotonic() - _seconds(path)
        self._warned = False

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def version(self) -> str:
        return self.path.parent.name

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: object, *args: object, **kwargs: object) -> None:
        """Nothing: the run's config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int | None = None) -> None:
        values = {name: _number(value) for name, value in {**self.axes(), **metrics}.items() if name != "epoch"}
        bad = {name: str(value) for name, value in values.items() if not math.isfinite(value)}
        epoch = int(float(metrics["epoch"])) if "epoch" in metrics else None
        line = {"step": step, "epoch": epoch, "time": round(time.monotonic() - self._start, 3), **values}
        text = json.dumps(plain(line | ({"not_finite": bad} if bad else {})), allow_nan=False)
        self._write(self.path, text + "\n")

    @rank_zero_only
    def log_picture(self, name: str, svg: str, step: int) -> None:
        path = self.path.parent / "pictures" / f"{name}-{step:06}.svg"
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
        self._write(path, svg)

    def _write(self, path: Path, text: str) -> None:
        try:
            files.append_text(path, text)
        except OSError as error:
            if not self._warned:
                log.warning("metrics are not written to %s: %s. The run continues.", path, error.strerror)
            self._warned = True


def _number(value: SupportsFloat) -> float:
    return value if isinstance(value, int) else float(value)


def _seconds(path: Path) -> float:
    """Of work on a run so far, as its last line says; 0 for a new one."""
    seconds = [record.get("time") for record in last_records(path, 1)]
    return float(seconds[-1]) if seconds and isinstance(seconds[-1], (int, float)) else 0.0
