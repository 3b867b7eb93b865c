"""One value a series, a number or a text, as features that every step repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnzoo.errors import DataError

Static = Mapping[str, float | str]


def fitted(rows: Sequence[Static]) -> dict[str, Any]:
    """What the training series have, as JSON: of numbers their mean and deviation, of texts each of them.

    A column with one text is texts throughout. Raises: DataError for a column that a series does not have.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    found: dict[str, Any] = {}
    for name in names:
        values = [_value(row, name) for row in rows]
        if any(isinstance(value, str) for value in values):
            found[name] = {"values": sorted({_text(value) for value in values})}
        else:
            numbers = np.array(values, dtype=np.float64)
            found[name] = {"mean": float(numbers.mean()), "std": float(numbers.std()) or 1.0}
    return found


def feature_names(columns: Mapping[str, Any]) -> list[str]:
    """ "age", and "sex is f" for each text that training has."""
    return [
        feature
        for name, about in columns.items()
        for feature in ([f"{name} is {value}" for value in about["values"]] if "values" in about else [name])
    ]


def features(row: Static, columns: Mapping[str, Any]) -> np.ndarray:
    """(features,) float64: numbers standardised, of texts a 1 among zeros. Raises: DataError for another text."""
    made: list[float] = []
    for name, about in columns.items():
        value = _value(row, name)
        if "values" in about:
            if _text(value) not in about["values"]:
                known = ", ".join(about["values"][:20])
                raise DataError(f"'{name}' is {value!r:.80}, which no training series has.\n  Known: {known}.")
            made += [float(_text(value) == known) for known in about["values"]]
        elif isinstance(value, str):
            raise DataError(f"'{name}' is {value!r:.80}, where the training series have numbers.")
        else:
            made.append((value - about["mean"]) / about["std"])
    return np.array(made)


def _value(row: Static, name: str) -> float | str:
    if name not in row:
        raise DataError(f"the static column '{name}' is missing.\n  Found: {', '.join(row) or 'none'}.")
    if not isinstance(row[name], (int, float, str, np.generic)):
        raise DataError(f"'{name}' is {row[name]!r:.80}, and neither a number nor a text.")
    return row[name]


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.15g}"
