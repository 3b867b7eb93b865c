"""The results of a run's test, one by one: which were worst, some at random, and the pairs of labels that they give."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnzoo.pictures.forecast import Forecast
from rnnzoo.runs.predictions import Predictions
from rnnzoo.runs.statistics import STATISTICS

PAIRS = 2_000_000  # of labels that are counted


@dataclass(frozen=True)
class Example:
    """One unit of the test. score: what the main metric gives it alone; None where that cannot be said."""

    id: int
    input: str | None
    truth: str | None
    prediction: str | None
    confidence: float | None
    score: float | None


@dataclass
class Examples:
    """The texts of a file of predictions, each read once, when it is asked for.

    metric: the one that tells good from bad, if any.
    """

    file: Predictions
    metric: str | None

    @cached_property
    def inputs(self) -> list[str | None] | None:
        return self.file.texts("input")

    @cached_property
    def truths(self) -> list[str | None] | None:
        return self.file.texts("truth")

    @cached_property
    def predictions(self) -> list[str | None] | None:
        return self.file.texts("prediction")

    def worst(self, count: int) -> list[Example]:
        """The units with the worst score, of equal ones the most confident first; none where there is no score."""
        scores, good = self._scores(), self.goodness()
        if scores is None or good is None:
            return []
        confidence = self.file.confidence
        sure = np.zeros(len(good)) if confidence is None else np.nan_to_num(confidence)
        known = np.flatnonzero(np.isfinite(good))
        order = known[np.lexsort((known, -sure[known], good[known]))]
        return [self._example(index, scores) for index in order[:count]]

    def goodness(self) -> np.ndarray | None:
        """(rows,): the metric of each unit alone, negative where less is better; None where it cannot be said."""
        scores = self._scores()
        if scores is None or self.metric is None:
            return None
        return scores if self.file.header.metrics[self.metric].mode == "max" else -scores

    def random(self, count: int) -> list[Example]:
        """Units drawn by chance, the same ones each time, in their order."""
        rows = len(self.file)
        chosen = np.sort(np.random.default_rng(0).choice(rows, min(count, rows), replace=False))
        scores = self._scores()
        return [self._example(index, scores) for index in chosen]

    def label_pairs(self) -> list[tuple[str, str]]:
        """(truth, prediction) of each label: of an example, or of each word of a sentence; none where it has none."""
        labels = set(self.file.header.labels)
        if not labels or self.truths is None or self.predictions is None:
            return []
        pairs: list[tuple[str, str]] = []
        for truth, prediction in zip(self.truths, self.predictions, strict=True):
            if truth is not None and prediction is not None and len(pairs) < PAIRS:
                pairs += _pairs(truth, prediction, labels)
        return pairs

    def confidences(self) -> list[tuple[float, bool]]:
        """(confidence, whether it is right) of each example that has both."""
        sure = self.file.confidence
        if sure is None or self.truths is None or self.predictions is None:
            return []
        rows = zip(sure.tolist(), self.truths, self.predictions, strict=True)
        return [(value, truth == prediction) for value, truth, prediction in rows if value == value]

    def numbers(self) -> list[tuple[float, float]]:
        """(truth, prediction) of each number, where both are numbers."""
        if self.file.header.labels or self.truths is None or self.predictions is None:
            return []
        return list(_numbers(self.truths, self.predictions))

    def forecasts(self) -> dict[str, Forecast]:
        """The best, the median and the worst forecast of the test, by these names; none of another task."""
        names = ("history", "truth", "prediction", "low", "high")
        columns = [self.file.texts(name) for name in names]
        good = self.goodness()
        if columns[0] is None or good is None or not np.isfinite(good).any():
            return {}
        order = np.flatnonzero(np.isfinite(good))
        order = order[np.argsort(-good[order], kind="stable")]
        chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
        found = {}
        for name, row in chosen.items():
            with contextlib.suppress(ValueError):
                rows = [() if column is None else [*map(float, (column[row] or "").split())] for column in columns]
                found[name] = Forecast(*rows)
        return found

    def _scores(self) -> np.ndarray | None:
        """(rows,): the metric of each row alone."""
        if self.metric is None:
            return None
        statistic = STATISTICS.get(self.file.header.metrics[self.metric].statistic)
        return None if statistic is None else np.asarray(statistic(self.file.counts(self.metric)))

    def _example(self, index: int, scores: np.ndarray | None) -> Example:
        asked, truth, prediction = (
            None if column is None else column[index] for column in (self.inputs, self.truths, self.predictions)
        )
        sure = None if self.file.confidence is None else float(self.file.confidence[index])
        score = None if scores is None or not np.isfinite(scores[index]) else float(scores[index])
        sure = sure if sure is not None and sure == sure else None
        return Example(int(self.file.ids[index]), asked, truth, prediction, sure, score)


def _pairs(truth: str, prediction: str, labels: set[str]) -> Iterator[tuple[str, str]]:
    if truth in labels and prediction in labels:
        yield truth, prediction
        return
    for pair in zip(truth.split(" "), prediction.split(" "), strict=False):  # the end of a long text is cut off
        if labels.issuperset(pair):
            yield pair


def _numbers(truths: Sequence[str | None], predictions: Sequence[str | None]) -> Iterator[tuple[float, float]]:
    for truth, prediction in zip(truths, predictions, strict=True):
        try:
            pairs = [*zip(map(float, (truth or "").split()), map(float, (prediction or "").split()), strict=True)]
        except ValueError:
            return
        yield from pairs
