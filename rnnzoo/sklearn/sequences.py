"""What scikit-learn calls X, as rows of texts, of words or of series."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from rnnzoo.sklearn.trained import InvalidData

Kind = Literal["text", "words", "series", "table"]
SHAPES = "X is a list of texts, a list of arrays (time, features), or an array (n, time) or (n, time, features)"


def kind_of(X: Any) -> Kind:
    """What the rows of X are, by its type and its first row: "table" for all of one number of steps of one feature."""
    if getattr(X, "ndim", None) == 3:
        return "series"
    if getattr(X, "ndim", None) == 2 or hasattr(X, "nnz") or hasattr(X, "columns"):
        return "table"
    try:
        rows = list(X)
    except TypeError:
        return "table"  # scikit-learn says what is wrong
    first = rows[0] if rows else None
    if isinstance(first, str):
        return "text"
    if isinstance(first, (list, tuple, np.ndarray)) and len(first) and isinstance(first[0], str):
        return "words"
    shapes = {np.shape(row) for row in rows[:1]} if _scalar(rows) else {_shape(row) for row in rows}
    return "series" if any(len(shape) >= 2 for shape in shapes) or len(shapes - {()}) > 1 else "table"


def _scalar(rows: list[Any]) -> bool:
    return all(np.isscalar(row) for row in rows[:1])


def _shape(row: Any) -> tuple[int, ...]:
    try:
        return np.shape(row)
    except ValueError:  # of unequal lengths
        return ()


def checked(estimator: BaseEstimator, X: Any, kind: Kind, *, reset: bool) -> list[Any]:
    """The rows of X: texts, lists of words, or arrays (time, features) float64.

    reset: whether the estimator is fitted to it, and gets `n_features_in_`. Raises: ValueError, TypeError.
    """
    if kind == "text":
        return [_text(row, number) for number, row in enumerate(X, start=1)]
    if kind == "words":
        return [[_text(word, number) for word in row] for number, row in enumerate(X, start=1)]
    if kind == "table":
        found = X if reset or kind_of(X) == "table" else _as_table(X)
        return [row[:, None] for row in validate_data(estimator, found, reset=reset, dtype=np.float64)]
    rows = [_series(row, number) for number, row in enumerate(X, start=1)]
    if not rows:
        raise InvalidData(f"X has no rows.\n  {SHAPES}.")
    if reset:
        estimator.n_features_in_ = rows[0].shape[1]
    for number, row in enumerate(rows, start=1):
        if row.shape[1] != estimator.n_features_in_:
            raise InvalidData(
                f"X, row {number}: {row.shape[1]} features a step, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input."
            )
    return rows


def _as_table(X: Any) -> np.ndarray:
    """Raises: InvalidData where the estimator was fitted to a table, and X is none."""
    raise InvalidData(f"X: the estimator was fitted to a table (n, time), got {kind_of(X)}.\n  {SHAPES}.")


def _text(row: Any, number: int) -> str:
    if not isinstance(row, str):
        raise InvalidData(f"X, row {number}: expected text, got {row!r:.60}.\n  {SHAPES}.")
    return str(row)


def _series(row: Any, number: int) -> np.ndarray:
    """(time, features). Raises: InvalidData."""
    try:
        row = np.asarray(row.detach().cpu() if hasattr(row, "detach") else row)
        array = check_array(row[:, None] if row.ndim == 1 else row, dtype=np.float64, input_name=f"X, row {number},")
    except (ValueError, IndexError) as cause:
        raise InvalidData(f"X, row {number}: {cause}") from cause
    return array
