"""Windows over one long series of several variables: the steps of a window, and those to forecast from it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.data.base import Arriving, Columns, Examples
from rnnzoo.data.forms.arriving import ArrivingWindows
from rnnzoo.data.forms.rows import RowForm
from rnnzoo.data.forms.series import parsed
from rnnzoo.data.readers.table import TEXT_ENDINGS
from rnnzoo.data.sources.csv_series import CsvSeries
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, checked

log = logging.getLogger("rnnzoo")


@dataclass
class WindowExamples(Examples):
    """Windows of one series: row i reads `lookback` steps from starts[i] on, and is asked for the `horizon` after them.

    values: (steps, variables) float32, kept once, however many windows read it. starts: (rows,) int64.
    horizon: 0 where nothing is asked: in prediction. targets: the first so many variables are asked for, all if None.
    known: those that are known for `ahead` steps after the window, too. echoes: what a prediction for a row repeats.
    """

    values: np.ndarray
    starts: np.ndarray
    lookback: int
    horizon: int
    targets: int | None = None
    known: tuple[int, ...] = ()
    ahead: int = 0
    echoes: Sequence[dict[str, object]] = ()
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def lengths(self) -> np.ndarray:
        return np.full(len(self.starts), self.lookback, dtype=np.int64)

    @property
    def unknown_share(self) -> float:
        """Numbers are all known."""
        return 0.0

    def arrays(self) -> list[np.ndarray]:
        return [self.values, self.starts]

    def echoed(self, row: int) -> dict[str, object]:
        return dict(self.echoes[row]) if self.echoes else {}

    def collate(self, window: Sequence[int]) -> Batch:
        """The batch of the given rows: inputs (batch, lookback, variables), target (batch, horizon, targets), and what
        is known in advance, if anything: input "known" (batch, lookback + ahead, known).
        """
        rows = np.asarray(window, dtype=np.int64)
        first = self.starts[rows, None]
        target: Any = None
        if self.horizon:
            steps: np.ndarray = self.values[first + np.arange(self.lookback, self.lookback + self.horizon)]
            target = torch.from_numpy(np.ascontiguousarray(steps[..., : self.targets]))
        inputs = {"values": torch.from_numpy(self.values[first + np.arange(self.lookback)])}
        if self.known:
            ahead: np.ndarray = self.values[first + np.arange(self.lookback + self.ahead)]
            inputs["known"] = torch.from_numpy(np.ascontiguousarray(ahead[..., list(self.known)]))
        return Batch(
            inputs,
            torch.full((len(rows),), self.lookback),
            target,
            index=torch.from_numpy(rows),
        )


class WindowedSeries(RowForm):
    """One long series: from `lookback` steps in a row, the `horizon` steps after them, at every place where both fit.

    Each variable is standardised by its mean and standard deviation over the training split. A split may begin with
    steps that are not its own: windows read them, and are not asked for them. So each of its own steps is asked for.
    lookback, horizon: steps. batch_size: windows a batch. eval_batch_size: windows a batch in evaluation; as in
    training if not given.
    """

    name = "windowed_series"
    hub_task = "time-series-forecasting"
    columns: ClassVar[tuple[str, ...]] = ("values", "own")
    in_order = True
    asks = "series"

    @checked
    def __init__(
        self, lookback: Count = 96, horizon: Count = 96, batch_size: Count = 64, eval_batch_size: Count | None = None
    ) -> None:
        self.lookback, self.horizon = lookback, horizon
        super().__init__(batch_size=batch_size, eval_batch_size=eval_batch_size)

    @classmethod
    def fields(cls, settings: Mapping[str, Any]) -> dict[str, str]:
        return {"values": "values"}

    @classmethod
    def from_spec(cls, spec: DataSpec) -> WindowedSeries:
        return cls(spec.inputs["values"].options["lookback"], spec.target.options["horizon"])

    def fit(self, train: Columns) -> DataSpec:
        """The variables, with the mean and the standard deviation that they are standardised by."""
        self.rows(train)
        names, values = _table(train["values"])
        self._starts(train["own"])
        values = values[np.asarray(train["own"])]
        mean, std = values.mean(0), values.std(0)
        constant = std <= 1e-10 * np.abs(mean)  # its deviation is rounding
        if constant.any():
            unscaled = ", ".join(np.array(names)[constant])
            log.warning("constant in the training split, and so shifted by its mean but not scaled: %s.", unscaled)
        scale = {"mean": mean.tolist(), "std": np.where(constant, 1, std).tolist()}
        return DataSpec(
            self.name,
            {"values": Field("values", names, options={"lookback": self.lookback, **scale})},
            Field("values", names, options={"horizon": self.horizon}),
        )

    def encode(self, columns: Columns, spec: DataSpec) -> WindowExamples:
        self.rows(columns)
        names, values = _table(columns["values"])
        known = spec.inputs["values"].names
        if names != known:
            raise DataError(f"expected the variables {', '.join(known)}, found {', '.join(names)}.")
        starts = self._starts(columns["own"])
        values = standardised(values[starts[0] :], spec)
        return WindowExamples(values, starts - starts[0], self.lookback, self.horizon)

    def read_file(self, path: Path, spec: DataSpec, settings: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
        """A table as the training one, CSV or TSV: its last steps are read."""
        if path.suffix.lower() not in TEXT_ENDINGS:
            return None
        names = list(spec.inputs["values"].names)
        known = inspect.signature(CsvSeries).parameters.keys() - {"dev_size", "test_size"}
        shared = {key: value for key, value in settings.items() if key in known}
        series = CsvSeries(**(shared | {"path": str(path), "columns": names})).series()
        return [(str(path), np.stack([series[name] for name in names], -1))]

    def ask(self, texts: Sequence[Any], spec: DataSpec) -> WindowExamples:
        """Series (time, variables), as arrays or as JSON, in the data's own units: what follows their ends is asked."""
        rows = [self._asked(f"series {number}", parsed(number, text), spec) for number, text in enumerate(texts, 1)]
        values = np.concatenate([np.empty((0, len(spec.inputs["values"].names)), np.float32), *rows])
        return WindowExamples(values, np.arange(len(rows)) * self.lookback, self.lookback, 0)

    def arriving(self, spec: DataSpec) -> Arriving:
        return ArrivingWindows(self, spec, spec.inputs["values"].size, self.lookback)

    def _asked(self, what: str, series: Any, spec: DataSpec) -> np.ndarray:
        """The last `lookback` steps of a series, standardised. Raises: DataError."""
        names, values = _table(series, what, flat=True)
        known = spec.inputs["values"].names
        if names not in (known, tuple(str(number) for number in range(1, len(known) + 1))):
            raise DataError(
                f"{what}: {len(names)} features a step, where {len(known)} are expected.\n"
                f"  Expected: {', '.join(known)}. Found: {', '.join(names)}."
            )
        if len(values) < self.lookback:
            raise DataError(
                f"{what}: {len(values)} steps, where a forecast takes {self.lookback}.\n"
                "  Give the model's lookback, or more: its last steps are read."
            )
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
            read = standardised(values[len(values) - self.lookback :], spec)
        if not np.isfinite(read).all():
            raise DataError(f"{what}: a number is too far from those of the training split to be read.")
        return read

    def _starts(self, own: Sequence[bool]) -> np.ndarray:
        """(windows,) where each window begins, among all steps. Raises: DataError if there is none."""
        mine = np.asarray(own, dtype=bool)
        before = int(np.argmax(mine)) if mine.any() else len(mine)
        if not mine[before:].all():
            raise DataError("column 'own': the steps that are not a part's own must stand before those that are.")
        first, stop = max(0, before - self.lookback), len(mine) - self.lookback - self.horizon + 1
        if stop <= first:
            raise DataError(
                f"{len(mine) - before} steps, and {before} before them, where one window takes "
                f"{self.lookback + self.horizon}: {self.lookback} of lookback, {self.horizon} of horizon.\n"
                "  Give more steps, or lower lookback or horizon."
            )
        return np.arange(first, stop)


def standardised(values: np.ndarray, spec: DataSpec) -> np.ndarray:
    """(steps, variables) in the data's own units, as float32 of the training split's mean 0 and deviation 1."""
    scale = spec.inputs["values"].options
    return ((values - np.array(scale["mean"])) / np.array(scale["std"])).astype(np.float32)


def _table(values: Any, what: str = "column 'values'", flat: bool = False) -> tuple[tuple[str, ...], np.ndarray]:
    """The variables' names, and (steps, variables) float64. flat: one number a step is one variable.

    Raises: DataError for what is not finite numbers.
    """
    try:
        array = np.asarray(values)
        names = array.dtype.names
        if names:
            from numpy.lib.recfunctions import structured_to_unstructured  # which imports all of masked arrays

            array = structured_to_unstructured(array)
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{what}: expected numbers, as many each step.") from None
    if flat and array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise DataError(f"{what}: expected (steps, variables), got {array.shape}.")
    names = names or tuple(str(number) for number in range(1, array.shape[1] + 1))
    if not np.isfinite(array).all():
        step, variable = np.argwhere(~np.isfinite(array))[0]
        raise DataError(
            f"{what}, step {step + 1}: '{names[variable]}' is missing, infinite or not a number.\n  Fill the gaps."
        )
    return names, array
