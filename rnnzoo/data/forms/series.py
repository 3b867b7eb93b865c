"""Series of numbers: what is known at each step is a vector, not a token. A whole series has a label, or some numbers.

Lengths may differ from row to row; the features of a step may not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.data.base import Arriving, Columns, Examples, RowError, check_type, label_ids, named_labels
from rnnzoo.data.forms.arriving import ArrivingSeries
from rnnzoo.data.forms.rows import RowForm, longest_first
from rnnzoo.errors import DataError
from rnnzoo.system import files


@dataclass
class SeriesExamples(Examples):
    """Series end to end: row i is values[offsets[i]:offsets[i + 1]].

    values: (steps, features) float32. offsets: (rows + 1,) int64, from 0 to steps.
    target: None, (rows,) int64 label numbers, or (rows, targets) float32.
    """

    values: np.ndarray
    offsets: np.ndarray
    target: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    @property
    def label_ids(self) -> np.ndarray:
        return super().label_ids if self.target is None else self.target

    @property
    def unknown_share(self) -> float:
        """Numbers are all known."""
        return 0.0

    def arrays(self) -> list[np.ndarray]:
        return [self.values, self.offsets, *([] if self.target is None else [self.target])]

    def collate(self, window: Sequence[int]) -> Batch:
        """The batch of the given rows, the longest first, zeros past their ends; `Batch.index` says which is where."""
        rows = longest_first(self.lengths, window)
        lengths = self.lengths[rows]
        values = np.zeros((len(rows), lengths.max(initial=0), self.values.shape[1]), dtype=np.float32)
        for place, (start, length) in enumerate(zip(self.offsets[rows], lengths, strict=True)):
            values[place, :length] = self.values[start : start + length]
        target: Any = None if self.target is None else torch.from_numpy(self.target[rows])
        return Batch(
            {"values": torch.from_numpy(values)},
            torch.from_numpy(lengths),
            target,
            index=torch.from_numpy(rows),
        )


class Series(RowForm):
    """A form whose input is a series of numbers; a one-dimensional row has one feature a step.

    Batches: see `RowForm`.
    """

    asks = "series"

    @classmethod
    def fields(cls, settings: Mapping[str, Any]) -> dict[str, str]:
        return {"values": "values"}

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Series:
        return cls()

    def fit(self, train: Columns) -> DataSpec:
        self.rows(train, need_target=True)
        return DataSpec(self.name, {"values": self.input_field(train)}, self.target_field(train))

    def input_field(self, train: Columns) -> Field:
        """What the features of the training rows are."""
        return Field("values", size=_arrays("values", train["values"])[0].shape[1])

    def input_arrays(self, columns: Columns, field: Field) -> list[np.ndarray]:
        """Each row as (time, features) float32."""
        return _arrays("values", columns["values"], field.size)

    def target_field(self, train: Columns) -> Field:
        """What the targets of the training rows are."""
        raise NotImplementedError

    def target_array(self, columns: Columns, field: Field) -> np.ndarray:
        """The targets of all rows."""
        raise NotImplementedError

    def encode(self, columns: Columns, spec: DataSpec) -> SeriesExamples:
        self.rows(columns)
        arrays = self.input_arrays(columns, spec.inputs["values"])
        offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
        target = self.target_array(columns, spec.target) if self.target in columns else None
        return SeriesExamples(np.concatenate(arrays), offsets, target)

    def ask(self, texts: Sequence[Any], spec: DataSpec) -> SeriesExamples:
        """Series, as arrays or as JSON: "[0.5, 0.1]" has two steps of one feature, "[[0.5, 0.1]]" one step of two."""
        return self.encode({"values": [parsed(row, text) for row, text in enumerate(texts, start=1)]}, spec)

    def arriving(self, spec: DataSpec) -> Arriving:
        return ArrivingSeries(self, spec, spec.inputs["values"].size)


class LabelledSeries(Series):
    """A series of numbers and the one label it has."""

    name = "labelled_series"
    columns: ClassVar[tuple[str, ...]] = ("values", "label")
    target = "label"

    def target_field(self, train: Columns) -> Field:
        check_type("label", train["label"], str, "a label, as text")
        return Field("label", named_labels("label", train["label"]))

    def target_array(self, columns: Columns, field: Field) -> np.ndarray:
        return label_ids("label", columns["label"], field.names)


class MeasuredSeries(Series):
    """A series of numbers and the number, or the numbers, that are wanted of it."""

    name = "measured_series"
    columns: ClassVar[tuple[str, ...]] = ("values", "target")
    target = "target"

    def target_field(self, train: Columns) -> Field:
        return Field("values", size=_targets(train["target"])[0].size)

    def target_array(self, columns: Columns, field: Field) -> np.ndarray:
        """(rows, targets) float32."""
        return np.stack(_targets(columns["target"], field.size))


def _arrays(column: str, rows: Sequence[Any], features: int | None = None) -> list[np.ndarray]:
    """Each row as (time, features) float32; as many features as given, or as the first row has.

    Raises: RowError for what is no such series, has another number of features, or is not finite.
    """
    arrays = []
    for number, row in enumerate(rows):
        array = _numbers(column, number, row)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2 or not array.size:
            raise RowError(number, column, f"expected (time, features), at least one of each, got {array.shape}.")
        features = features or array.shape[1]
        if array.shape[1] != features:
            raise RowError(
                number,
                column,
                f"{array.shape[1]} features a step, where {features} are expected.\n"
                "  Give every step of every row the same features.",
            )
        arrays.append(array)
    return arrays


def _targets(rows: Sequence[Any], size: int | None = None) -> list[np.ndarray]:
    """Each row's numbers as (targets,) float32; as many as given, or as the first row has. Raises: RowError."""
    arrays = []
    for number, row in enumerate(rows):
        array = _numbers("target", number, row).reshape(-1)
        size = size or array.size
        if array.size != size or not size:
            raise RowError(number, "target", f"{array.size} numbers, where {size or 'some'} are expected.")
        arrays.append(array)
    return arrays


def _numbers(column: str, number: int, row: Any) -> np.ndarray:
    """One row as float32. Raises: RowError if it is not numbers, or not finite ones."""
    try:
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
            array = np.asarray(row, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise RowError(number, column, f"expected numbers, got {row!r:.80}.") from None
    if not np.isfinite(array).all():
        raise RowError(
            number,
            column,
            "a number is missing, infinite or not a number.\n  Fill the gaps, or leave the row out.",
        )
    return array


def parsed(number: int, text: Any) -> Any:
    """A series that was given as JSON, or as it is. Raises: DataError."""
    if not isinstance(text, str):
        return text
    try:
        return files.json_value(text, nan=True)  # NaN is reported later, with its step
    except ValueError:
        raise DataError(
            f"series {number}: expected numbers as JSON, got {text!r:.80}.\n"
            "  One feature a step: [0.5, 0.1]. Two features a step: [[0.5, 0.0], [0.1, 1.0]]."
        ) from None
