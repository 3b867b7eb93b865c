"""A label for a text or for a series of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from rnnzoo.sklearn.base import SequenceEstimator
from rnnzoo.sklearn.sequences import Kind, checked
from rnnzoo.sklearn.trained import InvalidData
from rnnzoo.system.files import JsonObject


class SequenceClassifier(ClassifierMixin, SequenceEstimator):
    """Labels texts or series of numbers.

    Parameters: see `SequenceEstimator`. Fitted attributes: classes_, in order; those of `SequenceEstimator`.
    """

    tasks: ClassVar[Mapping[Kind, str]] = {
        "text": "sentiment",
        "series": "classification",
        "table": "classification",
    }

    def fit(self, X: Any, y: Any) -> SequenceClassifier:
        """X: rows, y: a label for each, of any type that numpy can sort. Raises: ValueError, RecipeError, RunError."""
        kind = self._kind_of(X)
        rows = checked(self, X, kind, reset=True)
        if y is None:
            raise InvalidData(f"{type(self).__name__} requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_consistent_length(rows, y)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InvalidData(f"y has one class only ({self.classes_[0]!r}); {type(self).__name__} needs at least 2.")
        names = self._names()
        self._train(rows, kind, [names[number] for number in numbers])
        return self

    def _names(self) -> list[str]:
        """What the network calls the classes: as they are written, where that tells them apart."""
        names = [str(label) for label in self.classes_.tolist()]
        apart = len(set(names)) == len(names) and all(name and name == name.strip() for name in names)
        return names if apart else [str(number) for number in range(len(names))]

    def predict_proba(self, X: Any) -> np.ndarray:
        """(rows, classes): the probability of each class, in the order of `classes_`."""
        answers, names = self._answers(X), self._names()
        rows = [[answer["probabilities"][name] for name in names] for answer in answers]
        found = np.array(rows, dtype=np.float64).reshape(-1, len(names))
        return found / found.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """(rows,): the most probable class of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _fitted(self) -> JsonObject:
        return {"classes": self.classes_.tolist(), "dtype": self.classes_.dtype.str}

    def _set_fitted(self, facts: JsonObject) -> None:
        dtype = np.dtype(str(facts["dtype"]))
        if dtype.kind not in "biufUO" or not isinstance(facts["classes"], list):
            raise ValueError(f"classes of the type {dtype}")
        self.classes_ = np.array(facts["classes"], dtype=dtype)
