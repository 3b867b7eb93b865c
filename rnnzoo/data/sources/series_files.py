"""The user's own series of numbers, in tables: to be labelled, measured, tagged or forecast, as the task asks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnzoo.data.base import Columns
from rnnzoo.data.readers.cells import as_number, not_a_number
from rnnzoo.data.readers.delimited import check_delimiter
from rnnzoo.data.readers.even_steps import even_steps
from rnnzoo.data.readers.numbers import NumberFormat
from rnnzoo.data.readers.recorded import Recorded, labels_of, tags_of
from rnnzoo.data.readers.series_table import Layout, SeriesTable
from rnnzoo.data.readers.time_column import Moments
from rnnzoo.data.readers.times import Uneven, count_steps, following, written
from rnnzoo.data.sources.own_files import FileSource, unreadable
from rnnzoo.data.splits import cut_in_time
from rnnzoo.errors import DataError
from rnnzoo.limits import Fraction, checked

FORMS = ("labelled_channels", "measured_channels", "tagged_channels", "panel_series")
PANEL = FORMS[3]


class AskedSeries(NamedTuple):
    """A series to predict for. values: structured (steps,), or (steps, channels). file: where it is from."""

    id: str
    values: Any
    static: Mapping[str, float | str] = {}
    times: Sequence[str] | None = None
    file: Path | None = None
    moments: Moments | None = None

    def next_times(self, end: int, count: int) -> list[str]:
        """The times of the `count` steps from step `end` on, as they are written, or in the same steps; none if no time
        is known.
        """
        if self.times is None or self.moments is None or end < 1:
            return []
        given = list(self.times[end : end + count])
        if len(given) == count:
            return given
        if self.moments.times is None:
            places = self.moments.places
            step = count_steps(places[:end]).positions[-1] if end > 1 else 0
            size = (places[end - 1] - places[0]) / step if step else 0
            return [f"{places[end - 1] + size * number:.15g}" for number in range(1, count + 1)] if step else []
        try:
            times = self.moments.times[:end]  # a step that was missing has the time of the one before
            found = following([time for step, time in enumerate(times) if not step or time != times[step - 1]], count)
        except (Uneven, ValueError, OverflowError):  # one step alone, or the end of the calendar
            return []
        return [written(time, self.times[end - 1]) for time in found]


class SeriesFiles(FileSource):
    """Your own series of numbers: CSV, TSV, JSON lines or Parquet. The task says what is asked of them.

    As in `data: {name: series_files, train: walks.csv, series_id: walk, time: time, label: activity}`.

    train, dev, test: tables; or folders, or patterns such as "walks/*.csv", of one table a series. Without dev, the
    last `dev_fraction` of the training series of each label are held out; without test, there is none.

    layout: how a table is written. "long": a row a step, whose series the column `series_id` names. "wide": a row a
    series, a column a step, as many as it has: an empty end is no step. "files": a row a series, whose table the column
    `file` names, a path that begins at the table's folder. If not given: files where `file` is, long where `series_id`
    is or where steps have labels, else wide.
    time: the column by which the rows of a series are ordered, ISO 8601 or numbers. elapsed: the time since the step
    before is a channel, too (seconds, or as the numbers are), for steps that are not even.
    columns: the channels, or of a wide table the steps; if not given, all columns that are not named otherwise.
    label: classification: the column with the label, the same in all rows of a series; tagging: a label a step.
    targets: regression: the columns of numbers that are asked for, the same in all rows of a series.
    static: columns that have one value a series, numbers or texts; each step has them as features.

    Forecasting: a table without series_id is one series. targets: the columns to be forecast; if not given, all that
    are not named otherwise. known: covariates that are known for the steps to come, too; rows at a table's end without
    a target say them. past: covariates that are known so far. Times are to be even steps, of the clock or the calendar;
    steps that are missing have no values. Without dev and test, the end of each series is cut off for them:
    `test_fraction` of its steps (as dev_fraction if not given), and `dev_fraction` before these.

    missing_label: see `TextFiles`. decimal, thousands, units, na_values: how numbers are written; see `NumberFormat`.
    """

    form = FORMS[0]
    forms = FORMS

    @checked
    def __init__(
        self,
        train: str,
        dev: str | None = None,
        test: str | None = None,
        layout: Layout | None = None,
        series_id: str | None = None,
        time: str | None = None,
        file: str | None = None,
        columns: list[str] | None = None,
        label: str | None = None,
        targets: list[str] | None = None,
        known: list[str] | None = None,
        past: list[str] | None = None,
        static: list[str] | None = None,
        elapsed: bool = False,
        dev_fraction: Fraction = 0.1,
        test_fraction: Fraction | None = None,
        missing_label: str | None = None,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        decimal: str = ".",
        thousands: str | None = None,
        units: list[str] | None = None,
        na_values: list[str | int | float] | None = None,
    ) -> None:
        check_delimiter(delimiter)
        super().__init__({"train": train, "dev": dev, "test": test}, encoding, dev_fraction)
        if elapsed and time is None:
            raise ValueError("elapsed needs time, the column with the time of each step")
        if layout not in (None, "long", "wide", "files"):
            raise ValueError(f"layout must be long, wide or files, got {layout!r}")
        self.layout, self.series_id, self.time, self.file, self.elapsed = layout, series_id, time, file, elapsed
        self.channels, self.static = tuple(columns or ()), tuple(static or ())
        self.label, self.targets = label, tuple(targets or ())
        self.known, self.past, self.test_fraction = tuple(known or ()), tuple(past or ()), test_fraction
        self.missing_label, self.delimiter = missing_label, delimiter
        self.numbers = NumberFormat(decimal, thousands, units or (), na_values or ())
        self._ids: dict[Path, list[str]] = {}

    def reader(self, with_target: bool = True) -> SeriesTable:
        """How the tables are read for `form`. with_target: or without what is asked for. Raises: DataError."""
        tags = self.form == "tagged_channels"
        a_step_a_row = self.series_id or self.form in ("tagged_channels", PANEL)
        layout: Layout = self.layout or ("files" if self.file else "long" if a_step_a_row else "wide")
        if self.form == PANEL:
            channels = (*self.targets, *self.past, *self.known) if self.targets else self.channels
            return self._table(layout, channels)
        asked = self._asked() if with_target else ()
        return self._table(
            layout,
            self.channels,
            of_series=() if tags else asked,
            of_steps=asked if tags else (),
            ignored=() if with_target else (self.label or "label", *self.targets),
        )

    def _table(self, layout: Layout, channels: Sequence[str], **more: Sequence[str]) -> SeriesTable:
        return SeriesTable(
            layout,
            self.series_id,
            self.time,
            channels,
            self.static,
            **more,
            file=self.file or "file",
            elapsed=self.elapsed,
            encoding=self.encoding,
            delimiter=self.delimiter,
            numbers=self.numbers,
        )

    def _asked(self) -> tuple[str, ...]:
        """The columns of what is asked for. Raises: DataError if they are not said."""
        if self.form == "measured_channels":
            if not self.targets:
                raise DataError("data.targets: missing; it names the columns of the numbers that are asked for.")
            return self.targets
        return (self.label or "label",)

    def files(self, path: Path) -> list[Path]:
        return self.reader().files(path)

    def unreadable(self, part: str, path: Path) -> str | None:
        return unreadable(part, path)

    def columns(self, path: Path) -> Columns:
        found = self.reader().read(path)
        self._ids[path] = [one.id for one in found]
        if self.form == PANEL:
            return panel_columns([even_steps(one) for one in found], self.known, self.past)
        columns: Columns = {"values": [one.values for one in found], "static": [one.static for one in found]}
        return columns | self._targets(found)

    def _targets(self, found: Sequence[Recorded]) -> Columns:
        if self.form == "labelled_channels":
            return {"label": labels_of(found, self._asked()[0], self.missing_label)}
        if self.form == "tagged_channels":
            return {"tags": [tags_of(one, self._asked()[0], self.missing_label) for one in found]}
        return {"target": [{name: self._number(one, name) for name in self.targets} for one in found]}

    def _number(self, one: Recorded, column: str) -> float:
        """A number that is asked for; NaN, which the form refuses, where there is none. Raises: DataError."""
        cell = one.of_steps[column][0]
        try:
            return as_number(cell, self.numbers)
        except ValueError:
            hint = "`targets` names the numbers that are asked for"
            raise not_a_number(one.file, column, one.row - 1, cell, self.numbers, hint) from None

    def cut(self, parts: dict[str, Columns]) -> dict[str, Columns]:
        if self.form != PANEL:
            if self.test_fraction is not None:
                raise DataError("data.test_fraction: it cuts off the end of series to be forecast; give a test file.")
            return super().cut(parts)
        shares = {"test": self.test_fraction or self.dev_fraction, "dev": self.dev_fraction}
        missing = {part: share for part, share in shares.items() if part not in parts}
        cut = cut_in_time(parts["train"], missing)
        rows = list(range(len(parts["train"]["values"])))
        self._rows = {part: rows for part in cut}
        return {**parts, **cut}

    def row_in_file(self, path: Path, row: int) -> str:
        return f"series '{self._ids[path][row]}'"


def panel_columns(found: Sequence[Recorded], known: Sequence[str], past: Sequence[str]) -> Columns:
    """The columns of series to be forecast; steps at their ends without a value to forecast are left out.

    Raises: DataError where nothing is left to forecast, or for a covariate that is not there.
    """
    names = found[0].values.dtype.names or ()
    targets = [name for name in names if name not in (*known, *past)]
    if strange := [name for name in (*known, *past) if name not in names]:
        raise DataError(f"{found[0].file} has no column of numbers '{strange[0]}'.\n  Found: {', '.join(names)}.")
    columns: Columns = {name: [] for name in ("values", "past", "known", "static", "own", "units")}
    for one in found:
        there = np.any([~np.isnan(one.values[name]) for name in targets], 0) if targets else np.zeros(1, bool)
        if not there.any():
            raise DataError(
                f"{one.file}: series '{one.id}' has nothing to be forecast.\n  `targets` names the columns."
            )
        values = one.values[: int(np.flatnonzero(there)[-1]) + 1]
        for column, chosen in (("values", targets), ("past", past), ("known", known)):
            columns[column].append(_fields(values, chosen) if chosen else None)
        columns["static"].append(one.static)
        columns["own"].append(0)
        columns["units"].append(dict(one.units))
    return columns


def _fields(values: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A copy of some fields of a structured array."""
    taken: Any = np.empty(len(values), dtype=[(name, np.float64) for name in names])
    for name in names:
        taken[name] = values[name]
    return taken


def asked_series(
    path: Path, form: str, settings: Mapping[str, Any], channels: Sequence[str], static: Sequence[str]
) -> list[AskedSeries]:
    """The series of a table, without what is asked for, read as the data of a run were. settings: of its data.

    Raises: DataError.
    """
    known = inspect.signature(SeriesFiles).parameters.keys() - {"train", "dev", "test"}
    source = SeriesFiles(**({key: value for key, value in settings.items() if key in known} | {"train": str(path)}))
    source.give(form)
    if form == PANEL:
        source.targets, source.known, source.past = (), (), ()
    if source.layout != "wide" and not (source.layout is None and source.reader(False).layout == "wide"):
        source.channels = tuple(name for name in channels if not (source.elapsed and name == "elapsed"))
    source.static = tuple(static)
    try:
        found = source.reader(with_target=False).read(path)
    except OSError as cause:
        raise DataError(f"cannot read {path}: {cause.strerror or cause}.") from cause
    if form == PANEL:
        found = [even_steps(one) for one in found]
    return [AskedSeries(one.id, one.values, one.static, one.times, one.file, one.moments) for one in found]
