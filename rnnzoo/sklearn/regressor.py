"""Numbers for a series of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length

from rnnzoo.sklearn.base import SequenceEstimator
from rnnzoo.sklearn.sequences import Kind, checked
from rnnzoo.sklearn.trained import InvalidData
from rnnzoo.system.files import JsonObject


class SequenceRegressor(RegressorMixin, SequenceEstimator):
    """Predicts a number, or several, of a series of numbers.

    The network learns (y - mean_) / scale_, so that any unit of y can be learned; predictions are in the unit of y.
    Parameters: see `SequenceEstimator`. Fitted attributes: mean_, scale_ (targets,); those of `SequenceEstimator`.
    """

    tasks: ClassVar[Mapping[Kind, str]] = {"series": "regression", "table": "regression"}

    def fit(self, X: Any, y: Any) -> SequenceRegressor:
        """X: rows, y: (rows,) or (rows, targets). Raises: ValueError, RecipeError, RunError."""
        kind = self._kind_of(X)
        rows = checked(self, X, kind, reset=True)
        if y is None:
            raise InvalidData(f"{type(self).__name__} requires y to be passed, but the target y is None")
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(rows, y)
        self._flat = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.mean_, spread = y.mean(axis=0), y.std(axis=0)
        self.scale_ = np.where(spread > 0, spread, 1.0)
        self._train(rows, kind, list((y - self.mean_) / self.scale_))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) or (rows, targets), as y was."""
        values = np.array([answer["values"] for answer in self._answers(X)], dtype=np.float64)
        found = values.reshape(-1, len(self.mean_)) * self.scale_ + self.mean_
        return found[:, 0] if self._flat else found

    def _fitted(self) -> JsonObject:
        return {"mean": self.mean_.tolist(), "scale": self.scale_.tolist(), "flat": self._flat}

    def _set_fitted(self, facts: JsonObject) -> None:
        self.mean_, self.scale_ = (np.array(facts[key], dtype=np.float64) for key in ("mean", "scale"))
        self._flat = bool(facts["flat"])
        if self.mean_.ndim != 1 or self.mean_.shape != self.scale_.shape:
            raise ValueError("mean and scale are no lists of one length")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
