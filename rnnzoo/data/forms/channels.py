"""Series of named channels, as tables have them: scaled, and their gaps filled by a policy."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from rnnzoo.batch import DataSpec, Field
from rnnzoo.data.base import Columns, RowError
from rnnzoo.data.encoding import static_features
from rnnzoo.data.encoding.gaps import MASKED, Missing, filled
from rnnzoo.data.forms.series import LabelledSeries, MeasuredSeries, Series, SeriesExamples, parsed
from rnnzoo.data.readers.tables import is_table
from rnnzoo.data.sources.series_files import AskedSeries, asked_series
from rnnzoo.errors import DataError
from rnnzoo.limits import checked

log = logging.getLogger("rnnzoo")


@dataclass
class ChannelExamples(SeriesExamples):
    """Series whose predictions repeat which series they are of. asked: of each row, the facts that are repeated."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    def echoed(self, row: int) -> dict[str, object]:
        return self.asked[row] if self.asked else {}


class Channels(Series):
    """A series of named channels. A row of `values` is a structured array (time,), with NaN where there is no value.

    A row of `static` is a mapping: by name a number, or a text among those of training. Each is a feature that all
    steps of the series repeat; the column may be left out.

    missing: what to read where a value is missing: "refuse" it, carry the value before it "forward", "interpolate" it
    from both sides, or "mask" it: read the channel's mean, and for every channel a further feature that is 1 where its
    value is there and 0 where not. scale: "standard" gives each channel mean 0 and deviation 1, over all steps of the
    training split; "none" leaves numbers as they are. Batches: see `RowForm`.
    """

    @checked
    def __init__(
        self, missing: Missing = "refuse", scale: Literal["standard", "none"] = "standard", **batching: Any
    ) -> None:
        super().__init__(**batching)
        self.missing, self.scale = missing, scale

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Channels:
        options = spec.inputs["values"].options
        return cls(options["missing"], options["scale"])

    def rows(self, columns: Columns, *, need_target: bool = False) -> int:
        return super().rows(_with_static(columns), need_target=need_target)

    def input_field(self, train: Columns) -> Field:
        names, first = channels_of(train["values"][0])
        steps = np.concatenate([first, *(self._named(row, value, names) for row, value in enumerate(train["values"]))])
        mean, std = self._scaling(steps[len(first) :], names)
        static = static_features.fitted(_with_static(train)["static"])
        masks = [f"{name}{MASKED}" for name in names] if self.missing == "mask" else []
        options: dict[str, Any] = {"channels": list(names), "missing": self.missing, "scale": self.scale}
        options |= {"mean": mean.tolist(), "std": std.tolist(), "static": static}
        return Field("values", (*names, *masks, *static_features.feature_names(static)), options=options)

    def _scaling(self, steps: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the deviation of each channel. Raises: DataError for one without a value."""
        there = ~np.isnan(steps)
        if not there.any(0).all():
            name = names[int(np.argmin(there.any(0)))]
            raise DataError(f"column 'values': '{name}' has no value in the training split.\n  Leave the channel out.")
        mean, std = np.nanmean(steps, 0), np.nanstd(steps, 0)
        constant = std <= 1e-10 * np.abs(mean)  # its deviation is rounding
        if constant.any():
            same = ", ".join(np.array(names)[constant])
            log.warning("constant in the training split, so that nothing can be learned from it: %s.", same)
        if self.scale == "none":
            return mean, np.ones(len(names))
        return mean, np.where(constant, 1, std)

    def _named(self, row: int, value: Any, names: tuple[str, ...]) -> np.ndarray:
        """(steps, channels) float64, NaN where there is no value, in the order of `names`. Raises: RowError."""
        found, numbers = channels_of(value, row)
        if found == () and numbers.shape[1] == len(names):  # without names: in their order
            return numbers
        if set(found) != set(names):
            said = ", ".join(found) or f"{numbers.shape[1]} without names"
            raise RowError(row, "values", f"expected the channels {', '.join(names)}, found {said}.")
        return numbers[:, [found.index(name) for name in names]]

    def input_arrays(self, columns: Columns, field: Field) -> list[np.ndarray]:
        options = field.options
        names, mean, std = tuple(options["channels"]), np.array(options["mean"]), np.array(options["std"])
        shift = mean if options["scale"] == "standard" else 0.0
        arrays = []
        for row, (value, static) in enumerate(zip(columns["values"], _with_static(columns)["static"], strict=True)):
            numbers = self._named(row, value, names)
            try:
                parts = [(filled(numbers, names, options["missing"], mean) - shift) / std]
                repeated = static_features.features(static, options["static"])
            except DataError as error:
                raise RowError(row, None, str(error)) from None
            if options["missing"] == "mask":
                parts.append(~np.isnan(numbers))
            parts.append(np.broadcast_to(repeated, (len(numbers), len(repeated))))
            with np.errstate(over="ignore"):
                array = np.concatenate(parts, 1).astype(np.float32)
            if not np.isfinite(array).all():
                raise RowError(row, "values", "a number is infinite, or too far from those of the training split.")
            arrays.append(array)
        return arrays

    def encode(self, columns: Columns, spec: DataSpec) -> ChannelExamples:
        examples = super().encode(columns, spec)
        return ChannelExamples(examples.values, examples.offsets, examples.target)

    def read_file(self, path: Path, spec: DataSpec, settings: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
        """The series of a table, or of a folder or a pattern of tables, as the training ones, without a target."""
        if not (is_table(path) or path.is_dir() or set(path.name) & set("*?[")):
            return None
        names = spec.inputs["values"].options
        found = asked_series(path, self.name, settings, names["channels"], list(names["static"]))
        return [(one.id, one) for one in found]

    def ask(self, texts: Sequence[Any], spec: DataSpec) -> ChannelExamples:
        """Series as arrays (time, channels), as mappings, as JSON of either, or as `read_file` gives them.

        A mapping has for each channel its list of numbers, null where there is none, and for each static column its
        value: {"heart rate": [60, 61], "age": 40}.
        """
        options = spec.inputs["values"].options
        rows = [_asked(number, parsed(number, text), options) for number, text in enumerate(texts, start=1)]
        columns: Columns = {"values": [row.values for row in rows], "static": [dict(row.static) for row in rows]}
        try:
            examples = self.encode(columns, spec)
        except RowError as error:
            raise DataError(f"series {rows[error.row].id}: {error.text}") from error
        return replace(examples, asked=[self.repeated(row) for row in rows])

    def repeated(self, asked: AskedSeries) -> dict[str, Any]:
        """What an answer repeats of a series that was asked about."""
        return {"series": asked.id} if asked.file is not None else {}


class LabelledChannels(Channels, LabelledSeries):
    """A series of named channels and the one label it has."""

    name = "labelled_channels"
    columns: ClassVar[tuple[str, ...]] = ("values", "static", "label")


class MeasuredChannels(Channels, MeasuredSeries):
    """A series of named channels and the numbers that are wanted of it, as a mapping by their names.

    The numbers are standardised by the training split's; answers are in the data's own units.
    """

    name = "measured_channels"
    columns: ClassVar[tuple[str, ...]] = ("values", "static", "target")

    def target_field(self, train: Columns) -> Field:
        names = tuple(train["target"][0])
        numbers = self._targets(train, names)
        std = numbers.std(0)
        scale = {"mean": numbers.mean(0).tolist(), "std": np.where(std > 0, std, 1).tolist()}
        return Field("values", names, options=scale)

    def target_array(self, columns: Columns, field: Field) -> np.ndarray:
        numbers = self._targets(columns, field.names)
        return ((numbers - np.array(field.options["mean"])) / np.array(field.options["std"])).astype(np.float32)

    @staticmethod
    def _targets(columns: Columns, names: tuple[str, ...]) -> np.ndarray:
        """(rows, targets) float64. Raises: RowError."""
        found = np.empty((len(columns["target"]), len(names)))
        for row, numbers in enumerate(columns["target"]):
            for place, name in enumerate(names):
                number = numbers.get(name)
                if not isinstance(number, (int, float)) or not np.isfinite(number):
                    raise RowError(row, "target", f"'{name}' is {number!r:.80}, not a finite number.")
                found[row, place] = number
        return found


def _with_static(columns: Columns) -> Columns:
    """The columns, with nothing static where they have no such column."""
    return columns if "static" in columns else {**columns, "static": [{}] * len(columns.get("values", ()))}


def channels_of(value: Any, row: int = 0) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of a series' channels, () where it has none, and (steps, channels) float64. Raises: RowError."""
    try:
        array = np.asarray(value)
        if names := array.dtype.names:
            return names, np.stack([array[name].astype(np.float64) for name in names], 1)
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise RowError(row, "values", f"expected numbers, as many each step, got {value!r:.80}.") from None
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise RowError(row, "values", f"expected (time, channels), at least one of each, got {array.shape}.")
    return (), array


def _asked(number: int, given: Any, options: Mapping[str, Any]) -> AskedSeries:
    """A series to predict for. Raises: DataError for a mapping that lacks a channel."""
    if isinstance(given, AskedSeries) or not isinstance(given, Mapping):
        return given if isinstance(given, AskedSeries) else AskedSeries(str(number), given)
    known = [*options["channels"], *options["static"]]
    if wrong := [*(set(known) - given.keys()), *(given.keys() - set(known))]:
        found = ", ".join(map(str, given)) or "none"
        raise DataError(f"series {number}: '{wrong[0]}' is not as expected: {', '.join(known)}.\n  Found: {found}.")
    try:
        values = np.stack([np.array(given[name], dtype=np.float64).reshape(-1) for name in options["channels"]], 1)
    except (TypeError, ValueError):
        raise DataError(f"series {number}: expected a list of numbers for each channel, all of one length.") from None
    return AskedSeries(str(number), values, {name: given[name] for name in options["static"]})
