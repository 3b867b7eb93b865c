"""A tag for each word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sklearn.utils.validation import check_consistent_length

from rnnzoo.sklearn.base import SequenceEstimator
from rnnzoo.sklearn.sequences import Kind, checked
from rnnzoo.sklearn.trained import InvalidData
from rnnzoo.system.files import JsonObject


class SequenceTagger(SequenceEstimator):
    """Tags each word of a sentence. X: lists of words, y: lists of tags, as long.

    Parameters: see `SequenceEstimator`; `pooling` has no use here. Fitted attributes: classes_, all tags in order.
    """

    tasks: ClassVar[Mapping[Kind, str]] = {"words": "tagging"}

    def fit(self, X: Any, y: Any) -> SequenceTagger:
        """Raises: ValueError, RecipeError, RunError."""
        rows = checked(self, X, self._kind_of(X), reset=True)
        if y is None:
            raise InvalidData(f"{type(self).__name__} requires y to be passed, but the target y is None")
        check_consistent_length(rows, y)
        tags = [[str(tag) for tag in row] for row in y]
        self.classes_ = sorted({tag for row in tags for tag in row})
        self._train(rows, "words", tags)
        return self

    def predict(self, X: Any) -> list[list[str]]:
        """A list of tags for each row of X."""
        return [answer["tags"] for answer in self._answers(X)]

    def score(self, X: Any, y: Any) -> float:
        """The share of words that are tagged right."""
        pairs = zip(self.predict(X), y, strict=True)
        right = [tag == str(wanted) for tags, row in pairs for tag, wanted in zip(tags, row, strict=True)]
        return sum(right) / max(1, len(right))

    def _fitted(self) -> JsonObject:
        return {"classes": self.classes_}

    def _set_fitted(self, facts: JsonObject) -> None:
        self.classes_ = [str(tag) for tag in facts["classes"]]
