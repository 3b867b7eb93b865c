"""The examples of the test on which the groups of a comparison differ most, and the scores of each label by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnzoo.compare.collect import ComparedRun
from rnnzoo.compare.comparison import Comparison
from rnnzoo.errors import RunError
from rnnzoo.reports.examples import Examples
from rnnzoo.runs import predictions

MOST, RUNS = 60, 100  # examples; runs whose results are read, as many of each group
LABELS = 40


@dataclass(frozen=True)
class Answer:
    """What a group answers to an example: most of its runs say `text`, `share` of them. score: its runs' mean."""

    text: str | None
    share: float
    score: float


@dataclass(frozen=True)
class Disagreement:
    """An example and each group's answer to it, in the order of the groups; None for a group without results."""

    id: int
    input: str | None
    truth: str | None
    answers: list[Answer | None]


class Results:
    """The per-example results of a comparison's runs, as far as they are there and of the same examples."""

    def __init__(self, comparison: Comparison) -> None:
        self.metric = comparison.main.name.partition("/")[2]
        each = max(1, RUNS // len(comparison.groups))
        self.groups = [
            [one for run in group.runs[: each if number < RUNS else 0] if (one := _read(run, self.metric)) is not None]
            for number, group in enumerate(comparison.groups)
        ]
        found = [one for group in self.groups for one in group]
        if found:
            self.groups = [[one for one in group if _same_examples(one, found[0])] for group in self.groups]

    def disagreements(self, most: int = MOST) -> list[Disagreement]:
        """The examples whose groups' mean scores are farthest apart; none where fewer than two groups have any."""
        scores = [_mean_scores(group) for group in self.groups]
        known = [score for score in scores if score is not None]
        if len(known) < 2:
            return []
        together = np.stack(known)
        with np.errstate(invalid="ignore"):
            apart = np.nan_to_num(together.max(0) - together.min(0))
        order = np.argsort(-apart, kind="stable")
        chosen = [int(index) for index in order[:most] if apart[index] > 0]
        first = next(group[0] for group in self.groups if group)
        return [
            Disagreement(
                id=int(first.file.ids[index]),
                input=first.inputs[index] if first.inputs else None,
                truth=first.truths[index] if first.truths else None,
                answers=[
                    None if score is None else _answer(group, index, float(score[index]))
                    for group, score in zip(self.groups, scores, strict=True)
                ],
            )
            for index in chosen
        ]

    def by_label(self) -> dict[str, list[float | None]]:
        """The F1 of each label, the mean of each group's runs, those first that differ most between groups."""
        scores = [[_label_scores(one.label_pairs()) for one in group] for group in self.groups]
        labels = dict.fromkeys(label for group in scores for run in group for label in run)
        table = {label: [_mean([run.get(label, 0.0) for run in group]) for group in scores] for label in labels}

        def apart(label: str) -> float:
            known = [value for value in table[label] if value is not None]
            return min(known) - max(known)

        return {label: table[label] for label in sorted(table, key=apart)[:LABELS]}


def _read(run: ComparedRun, metric: str) -> Examples | None:
    if run.predictions is None:
        return None
    try:
        file = predictions.read(run.predictions)
        return Examples(file, metric) if metric in file.header.metrics else None
    except RunError:
        return None


def _same_examples(one: Examples, other: Examples) -> bool:
    """Whether two files are of the same rows of the same test set."""
    rows = [found.file.header.scored_rows or found.file.header.fingerprint for found in (one, other)]
    return rows[0] == rows[1] and np.array_equal(one.file.ids, other.file.ids)


def _mean_scores(group: Sequence[Examples]) -> np.ndarray | None:
    """(examples,), higher is better."""
    scores = [one.goodness() for one in group]
    known = [score for score in scores if score is not None]
    return np.mean(known, axis=0) if known else None


def _answer(group: Sequence[Examples], index: int, score: float) -> Answer:
    texts = Counter(one.predictions[index] for one in group if one.predictions)
    text, count = texts.most_common(1)[0] if texts else (None, len(group))
    return Answer(text, count / len(group), score)


def _label_scores(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """2 tp / (2 tp + fp + fn), of each label that is true of any."""
    true, guessed = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    right = Counter(truth for truth, prediction in pairs if truth == prediction)
    return {label: 2 * right[label] / (count + guessed[label]) for label, count in true.items()}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
