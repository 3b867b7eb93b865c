"""A run's numbers as one table, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsFloat

from rnnzoo.runs.folder import slug
from rnnzoo.runs.trackers.base import TrackedRun, Tracker
from rnnzoo.system import files

AXES = ("step", "epoch")
LIMIT = 2**28  # bytes of a table that is read again


class CsvFile(Tracker):
    """Writes metrics.csv: a row for each call with its step, epoch and metrics, as metrics.jsonl has them.

    A row is in the file when the call returns. A metric that comes later becomes a column at the right, empty in the
    rows before. Tables that are logged become files of their own, NAME-STEP.csv.
    """

    def __init__(self, run: TrackedRun) -> None:
        super().__init__()
        self.folder = run.folder
        self.path = run.folder / "metrics.csv"
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = self._read() if run.step and self.path.exists() else []
        kept = [row for row in rows if int(row["step"] or 0) < run.step]
        self.columns = [*(rows[0] if rows else AXES)]
        files.write_text(self.path, _text(self.columns, kept))

    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int | None = None) -> None:
        values = {name: float(value) for name, value in metrics.items() if name != "epoch"}
        epoch = int(float(metrics["epoch"])) if "epoch" in metrics else None
        row = {"step": step, "epoch": epoch, **values}
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            files.write_text(self.path, _text(self.columns, self._read()))
        files.append_text(self.path, _lines(self.columns, [row]))

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int) -> None:
        text = _text(columns, [dict(zip(columns, row, strict=True)) for row in rows])
        files.write_text(self.folder / f"{slug(name)}-{step:06}.csv", text)

    def _read(self) -> list[dict[str, Any]]:
        """The rows so far. Raises: OSError, ValueError for a file that is not what this class writes."""
        reader = csv.DictReader(io.StringIO(files.read_text(self.path, LIMIT, links=False)), strict=True)
        if tuple(reader.fieldnames or ())[: len(AXES)] != AXES:
            raise ValueError(f"{self.path} does not begin with the columns {' and '.join(AXES)}")
        return list(reader)


def _text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """A table with its header."""
    return _lines(columns, [dict(zip(columns, columns, strict=True)), *rows])


def _lines(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()
