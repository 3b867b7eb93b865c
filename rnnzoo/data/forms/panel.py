"""Windows over several series with covariates: known so far, known in advance, or the same for a whole series."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rnnzoo.batch import DataSpec, Field
from rnnzoo.data.base import Columns, RowError
from rnnzoo.data.encoding import static_features
from rnnzoo.data.encoding.gaps import MASKED, Missing, filled
from rnnzoo.data.forms.channels import channels_of
from rnnzoo.data.forms.forecast import WindowedSeries, WindowExamples
from rnnzoo.data.forms.series import parsed
from rnnzoo.data.readers.tables import is_table
from rnnzoo.data.sources.series_files import AskedSeries, asked_series
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, checked

log = logging.getLogger("rnnzoo")
OPTIONAL: dict[str, Any] = {"past": None, "known": None, "static": {}, "own": 0, "units": {}}  # columns, by default


@dataclass(frozen=True)
class Roles:
    """The channels of a panel, in order: those to be forecast, covariates known so far, and those known in advance."""

    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.targets, *self.past, *self.known)

    @classmethod
    def of(cls, spec: DataSpec) -> Roles:
        options = spec.inputs["values"].options
        return cls(spec.target.names, tuple(options["past"]), tuple(options["known"]))


class PanelSeries(WindowedSeries):
    """Several series, each a row: `lookback` steps are read, and the `horizon` after them are asked for.

    values: a structured array (time,), a field a channel to be forecast. past, known: such arrays of covariates, the
    second for steps that are to come as well: calendars, prices, plans. static: one mapping a series, see `Channels`.
    own: so many first steps are of the split before, for windows to read. units: by channel, as text. All but values
    may be left out. Everything is standardised over the training split.

    missing: as of `Channels`. A window in which a value that is asked for is missing is left out; and with
    "interpolate", one whose last step is missing, as it would be filled from what comes after it.
    lookback, horizon: steps. Batches of windows: see `WindowedSeries`.
    """

    name = "panel_series"
    columns: ClassVar[tuple[str, ...]] = ("values", "past", "known", "static", "own", "units")

    @checked
    def __init__(
        self,
        lookback: Count = 96,
        horizon: Count = 96,
        batch_size: Count = 64,
        eval_batch_size: Count | None = None,
        missing: Missing = "refuse",
    ) -> None:
        super().__init__(lookback, horizon, batch_size, eval_batch_size)
        self.missing = missing

    @classmethod
    def from_spec(cls, spec: DataSpec) -> PanelSeries:
        options = spec.inputs["values"].options
        return cls(options["lookback"], spec.target.options["horizon"], missing=options["missing"])

    def rows(self, columns: Columns, *, need_target: bool = False) -> int:
        return super().rows(_complete(columns), need_target=need_target)

    def fit(self, train: Columns) -> DataSpec:
        """The channels by their roles, with the means and the deviations of the training split's steps."""
        self.rows(train)
        train = _complete(train)
        parts = [channels_of(train[name][0])[0] if train[name][0] is not None else () for name in self.columns[:3]]
        roles = Roles(*parts)
        if repeated := [name for name in roles.names if roles.names.count(name) > 1]:
            raise DataError(
                f"the channel '{repeated[0]}' has two roles.\n  It is a target, known in advance, or neither."
            )
        steps = np.concatenate(
            [self._numbers(row, train, roles)[int(train["own"][row]) :] for row in range(len(train["values"]))]
        )
        there = ~np.isnan(steps)
        if not there.any(0).all():
            name = roles.names[int(np.argmin(there.any(0)))]
            raise DataError(f"'{name}' has no value in the training split.\n  Leave the channel out.")
        mean, std = np.nanmean(steps, 0), np.nanstd(steps, 0)
        constant = std <= 1e-10 * np.abs(mean)  # its deviation is rounding
        if constant.any():
            same = ", ".join(np.array(roles.names)[constant])
            log.warning("constant in the training split, and so shifted by its mean but not scaled: %s.", same)
        static = static_features.fitted(train["static"])
        masks = [f"{name}{MASKED}" for name in roles.names] if self.missing == "mask" else []
        names = (*roles.names, *masks, *static_features.feature_names(static))
        options: dict[str, Any] = {
            "lookback": self.lookback,
            "missing": self.missing,
            "past": list(roles.past),
            "known": list(roles.known),
            "mean": mean.tolist(),
            "std": np.where(constant, 1, std).tolist(),
            "static": static,
        }
        target = {"horizon": self.horizon, "units": _units(train["units"])}
        inputs = {"values": Field("values", names, options=options)}
        return DataSpec(self.name, inputs, Field("values", roles.targets, options=target))

    def _numbers(self, row: int, columns: Columns, roles: Roles) -> np.ndarray:
        """(steps, channels) of a row, NaN where there is no value. What is known may reach further than the rest."""
        parts = []
        for column, names in zip(self.columns[:3], (roles.targets, roles.past, roles.known), strict=True):
            given = columns[column][row]
            found, numbers = ((), np.empty((0, 0))) if given is None else channels_of(given, row)
            if found == () and numbers.shape[1] == len(names):
                parts.append(numbers)
            elif set(found) == set(names):
                parts.append(numbers[:, [found.index(name) for name in names]])
            else:
                said = ", ".join(found) or "none"
                raise RowError(row, column, f"expected the channels {', '.join(names) or 'none'}, found {said}.")
        steps = max(map(len, parts))
        wrong = {len(part) for part in parts[:2] if part.shape[1]}
        if len(wrong) > 1 or (parts[2].shape[1] and len(parts[2]) < max(wrong)):
            raise RowError(row, None, "the covariates have fewer steps than the values, or past ones other ones.")
        return np.concatenate(
            [np.concatenate([part, np.full((steps - len(part), part.shape[1]), np.nan)]) for part in parts], 1
        )

    def _features(self, row: int, numbers: np.ndarray, ends: int, static: Any, spec: DataSpec) -> np.ndarray:
        """(steps, features) float32. ends: from this step on only what is known in advance is there."""
        options, roles = spec.inputs["values"].options, Roles.of(spec)
        mean, std = np.array(options["mean"]), np.array(options["std"])
        first = len(roles.names) - len(roles.known)
        try:
            read = np.empty_like(numbers)
            read[:, first:] = filled(numbers[:, first:], roles.known, options["missing"], mean[first:])
            read[:ends, :first] = filled(numbers[:ends, :first], roles.names[:first], options["missing"], mean[:first])
            read[ends:, :first] = mean[:first]
            repeated = static_features.features(static, options["static"])
        except DataError as error:
            raise RowError(row, None, str(error)) from None
        parts = [(read - mean) / std]
        if options["missing"] == "mask":
            parts.append(~np.isnan(numbers))
        parts.append(np.broadcast_to(repeated, (len(read), len(repeated))))
        with np.errstate(over="ignore"):
            features = np.concatenate(parts, 1).astype(np.float32)
        if not np.isfinite(features).all():
            raise RowError(row, "values", "a number is infinite, or too far from those of the training split.")
        return features

    def encode(self, columns: Columns, spec: DataSpec) -> WindowExamples:
        self.rows(columns)
        columns, roles = _complete(columns), Roles.of(spec)
        arrays, starts, before, short, gone = [], [], 0, [], 0
        for row in range(len(columns["values"])):
            numbers = self._numbers(row, columns, roles)
            length = len(columns["values"][row])
            arrays.append(self._features(row, numbers[:length], length, columns["static"][row], spec))
            found, left = self._windows(
                numbers[:length, : len(roles.targets) + len(roles.past)], int(columns["own"][row])
            )
            short += [] if len(found) else [row]
            gone += left
            starts.append(found + before)
            before += length
        rows = np.concatenate(starts)
        if not len(rows):
            longest = max(map(len, arrays))
            raise DataError(
                f"no series is long enough: the longest has {longest}, where one window takes "
                f"{self.lookback + self.horizon} steps: {self.lookback} of lookback, {self.horizon} of horizon.\n"
                "  Give more steps, or lower lookback or horizon."
            )
        if short:
            log.warning("%d of %d series have no window to ask for, and are not used.", len(short), len(arrays))
        if gone:
            log.warning("%d windows are left out, as values that they need are missing.", gone)
        notes = {"series": len(arrays), "short_series": len(short), "windows_left_out": gone}
        return self._examples(np.concatenate(arrays), rows, self.horizon, spec, notes=notes)

    def _examples(self, values: np.ndarray, starts: np.ndarray, horizon: int, spec: DataSpec, **more: Any) -> Any:
        options, roles = spec.inputs["values"].options, Roles.of(spec)
        known = tuple(range(len(roles.names) - len(roles.known), len(roles.names)))
        if options["missing"] == "mask":
            known += tuple(len(roles.names) + place for place in known)
        targets, ahead = len(roles.targets), self.horizon
        return WindowExamples(values, starts, self.lookback, horizon, targets, known, ahead, **more)

    def _windows(self, numbers: np.ndarray, own: int) -> tuple[np.ndarray, int]:
        """Where the windows of a series begin whose horizon is the split's own, and how many more are left out."""
        first, stop = max(0, own - self.lookback), len(numbers) - self.lookback - self.horizon + 1
        starts = np.arange(first, max(first, stop))
        if not len(starts):
            return starts, 0
        gap = np.isnan(numbers).any(1)
        ahead = np.concatenate([[0], np.cumsum(gap)])
        ends = starts + self.lookback
        sound = ahead[ends + self.horizon] == ahead[ends]
        if self.missing == "interpolate":
            sound &= ~gap[ends - 1]
        return starts[sound], int((~sound).sum())

    def read_file(self, path: Path, spec: DataSpec, settings: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
        """The series of a table as the training one. Rows at its end without values to forecast are steps to come."""
        if not (is_table(path) or path.is_dir() or set(path.name) & set("*?[")):
            return None
        options = spec.inputs["values"].options
        channels = (*spec.target.names, *options["past"], *options["known"])
        found = asked_series(path, self.name, settings, channels, list(options["static"]))
        return [(one.id, one) for one in found]

    def ask(self, texts: Sequence[Any], spec: DataSpec) -> WindowExamples:
        """Series as mappings, as JSON of them, or as `read_file` gives them, in the data's own units: what follows
        their ends is asked.

        A mapping has for each channel its list of numbers, those known in advance `horizon` more than the others:
        {"sales": [10, 12], "holiday": [0, 0, 1]}. Where there is one channel in all, its numbers alone will do.
        """
        roles, options = Roles.of(spec), spec.inputs["values"].options
        asked = [_asked(number, parsed(number, text), roles, options) for number, text in enumerate(texts, 1)]
        arrays, echoes = [], []
        for one in asked:
            numbers = np.stack([one.values[name] for name in roles.names], 1)
            there = ~np.isnan(numbers[:, : len(roles.targets)]).all(1)
            end = int(np.flatnonzero(there)[-1]) + 1 if there.any() else 0
            ahead = numbers[end : end + self.horizon]
            self._check(one.id, end, len(ahead), roles)
            ahead = np.concatenate([ahead, np.full((self.horizon - len(ahead), len(roles.names)), np.nan)])
            window = np.concatenate([numbers[:end], ahead])
            try:
                features = self._features(0, window, end, one.static, spec)
            except RowError as error:
                raise DataError(f"series '{one.id}': {error.text}") from None
            arrays.append(features[end - self.lookback :])
            echoes.append(self._echo(one, end))
        width = len(spec.inputs["values"].names)
        values = np.concatenate([np.empty((0, width), np.float32), *arrays])
        return self._examples(values, np.arange(len(arrays)) * (self.lookback + self.horizon), 0, spec, echoes=echoes)

    def _check(self, name: str, steps: int, ahead: int, roles: Roles) -> None:
        if steps < self.lookback:
            raise DataError(
                f"series '{name}': {steps} steps, where a forecast takes {self.lookback}.\n"
                "  Give the model's lookback, or more: its last steps are read."
            )
        if roles.known and ahead < self.horizon:
            raise DataError(
                f"series '{name}': {', '.join(roles.known)} must be known for the {self.horizon} steps to come, and "
                f"{ahead} are given.\n"
                f"  In a table these are rows at its end, without {', '.join(roles.targets)}."
            )

    def _echo(self, one: AskedSeries, end: int) -> dict[str, object]:
        echo: dict[str, object] = {"series": one.id} if one.file is not None else {}
        times = one.next_times(end, self.horizon)
        return echo | ({"times": times} if times else {})


def _complete(columns: Columns) -> Columns:
    """The columns, with those that may be left out as they are by default."""
    count = len(columns.get("values", ()))
    return {**{name: [value] * count for name, value in OPTIONAL.items()}, **columns}


def _units(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The unit of each channel. Raises: DataError where two series have another."""
    found: dict[str, str] = {}
    for units in rows:
        for name, unit in units.items():
            if found.setdefault(name, unit) != unit:
                raise DataError(f"'{name}' is in {found[name]} in one series and in {unit} in another.")
    return found


def _asked(number: int, given: Any, roles: Roles, options: Mapping[str, Any]) -> AskedSeries:
    """A series to predict for, all channels as long as the longest. Raises: DataError."""
    if isinstance(given, AskedSeries):
        return given
    if not isinstance(given, Mapping):
        if len(roles.names) > 1:
            raise DataError(f"series {number}: expected a mapping with {', '.join(roles.names)}, got {given!r:.80}.")
        given = {roles.names[0]: given}
    known = [*roles.names, *options["static"]]
    if wrong := [*(set(known) - given.keys()), *(given.keys() - set(known))]:
        found = ", ".join(map(str, given)) or "none"
        raise DataError(f"series {number}: '{wrong[0]}' is not as expected: {', '.join(known)}.\n  Found: {found}.")
    try:
        columns = [np.array(given[name], dtype=np.float64).reshape(-1) for name in roles.names]
    except (TypeError, ValueError):
        raise DataError(f"series {number}: expected a list of numbers for each channel.") from None
    values: Any = np.full(max(map(len, columns)), np.nan, dtype=[(name, np.float64) for name in roles.names])
    for name, column in zip(roles.names, columns, strict=True):
        values[name][: len(column)] = column
    return AskedSeries(str(number), values, {name: given[name] for name in options["static"]})
