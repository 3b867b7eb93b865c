"""TensorBoard as a tracker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, SupportsFloat

from rnnzoo.runs.summary import is_number
from rnnzoo.runs.trackers.base import TrackedRun, Tracker
from rnnzoo.system.plain import plain

FLUSH_SECONDS = 10
ROWS = 200  # of a table that are shown


class TensorBoard(Tracker):
    """Writes event files: `tensorboard --logdir runs` shows the curves of all runs, their tables, and HPARAMS.

    HPARAMS compares runs by their configs, flattened, and by the facts of the whole run that are numbers.
    """

    requires: ClassVar[Mapping[str, str]] = {"tensorboard": "rnnzoo[tensorboard]"}

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        super().__init__()
        self.config = run.config
        self.facts: dict[str, object] = {}
        self.last_step = run.step
        run.folder.mkdir(parents=True, exist_ok=True)
        self.writer = SummaryWriter(str(run.folder), purge_step=run.step or None, flush_secs=FLUSH_SECONDS)

    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int | None = None) -> None:
        self.last_step = self.last_step if step is None else step
        for name, value in metrics.items():
            self.writer.add_scalar(name, float(value), self.last_step)

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int) -> None:
        lines = [columns, ["---"] * len(columns), *rows[:ROWS]]
        self.writer.add_text(name, "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines), step)

    def summarise(self, facts: Mapping[str, object]) -> None:
        self.facts.update(facts)

    def close(self, ok: bool, timeout: float) -> None:
        numbers = {name: float(value) for name, value in _flat(self.facts) if is_number(value)}
        config = {name: value if is_number(value) else str(value) for name, value in _flat(self.config)}
        self.writer.add_hparams(config, numbers, run_name=".", global_step=self.last_step)
        self.writer.close()


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by dotted names; a list is its JSON."""
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(plain(value)) if isinstance(value, (list, tuple)) else value


def _cell(value: object) -> str:
    """A value as a cell of Markdown."""
    text = " ".join(("" if value is None else str(value)).split())
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
