"""Trackio as a tracker."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, SupportsFloat

from rnnzoo.runs.trackers.base import TrackedRun, Tracker
from rnnzoo.system.plain import plain

PROJECT = "rnnzoo"  # where nobody names one
ROWS = 200  # of a table that are kept


class Trackio(Tracker):
    """Writes Trackio's own database in the run's folder: `TRACKIO_DIR=RUN/trackers/trackio trackio show`.

    Where the environment has a TRACKIO_DIR, all runs go there, into one dashboard. Nothing leaves this machine,
    whatever the environment says of Spaces and servers, and no account is looked up.
    """

    requires: ClassVar[Mapping[str, str]] = {"trackio": "rnnzoo[trackio]"}
    unfinished = "its last rows may be missing"

    def __init__(self, run: TrackedRun) -> None:
        super().__init__()
        folder = Path(os.environ.get("TRACKIO_DIR") or run.folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        _write_to(folder)
        self.run = _local_run(
            project=run.options.project or PROJECT,
            name=run.options.run_name or run.name,
            run_id=run.id,
            group=run.options.group,
            config=plain(run.config),
        )

    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int | None = None) -> None:
        self._log({name: float(value) for name, value in metrics.items()}, step)

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int) -> None:
        from trackio import Table

        self._log({name: Table(columns=list(columns), data=[plain(list(row)) for row in rows[:ROWS]])}, step)

    def summarise(self, facts: Mapping[str, object]) -> None:
        self._log({f"summary/{name}": plain(value) for name, value in facts.items()}, None)

    def close(self, ok: bool, timeout: float) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it says that it uploads, which it does not
            self.run.finish()
        self._raise_failure()

    def _log(self, values: dict[str, Any], step: int | None) -> None:
        self._raise_failure()
        self.run.log(values, step)

    def _raise_failure(self) -> None:
        if self.run.failure is not None:
            raise RuntimeError(self.run.failure)


def _write_to(folder: Path) -> None:
    """Have Trackio write to a folder. It reads TRACKIO_DIR once, when it is imported; a later run moves it."""
    before = os.environ.get("TRACKIO_DIR")
    os.environ["TRACKIO_DIR"] = str(folder)
    try:
        importlib.import_module("trackio")
    finally:
        if before is None:
            del os.environ["TRACKIO_DIR"]
        else:
            os.environ["TRACKIO_DIR"] = before
    paths = {"TRACKIO_DIR": folder, "MEDIA_DIR": folder / "media", "ARTIFACTS_DIR": folder / "artifacts"}
    for name in [name for name in sys.modules if name.partition(".")[0] == "trackio"]:
        for constant in paths.keys() & vars(sys.modules[name]).keys():
            setattr(sys.modules[name], constant, paths[constant])


def _local_run(**options: Any) -> Any:
    """A run of Trackio on this machine. `trackio.init` would ask the environment for a Space, and print."""
    from trackio.run import Run

    class LocalRun(Run):  # type: ignore[misc]  # Trackio has no types
        failure: str | None = None  # of its thread, which Trackio only warns of

        def _get_username(self) -> None:
            """Nobody: asking the Hub would need a network."""

        def _warn_once(self, key: str, message: str) -> None:
            self.failure = message

    return LocalRun(url=None, client=None, **options)
