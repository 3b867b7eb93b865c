"""Cross-validation: the rows of train and dev in parts of equal size, of which each is the dev split once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rnnzoo.data.base import Columns, Source
from rnnzoo.data.splits import strata, taken
from rnnzoo.errors import DataError


class Folded(Source):
    """A source with one of `folds` parts of its train and dev rows as dev split, and the others as train split.

    fold: which part, from 1. The test split stays as it is. Rows with a label are cut label by label. Rows that follow
    each other stay together, as in scikit-learn's `StratifiedKFold`, so that near copies are not torn apart.
    """

    def __init__(self, source: Source, folds: int, fold: int) -> None:
        self.source, self.folds, self.fold = source, folds, fold
        self.form = source.form
        self._rows: dict[str, list[int]] = {}  # of the pooled rows, those that each part has
        self._train = 0  # of the pooled rows, those that come from the source's own train split

    def read(self) -> dict[str, Columns]:
        parts = dict(self.source.read())
        self._train = len(next(iter(parts["train"].values())))
        pooled = {name: [*values, *parts["dev"][name]] for name, values in parts["train"].items()}
        count = len(next(iter(pooled.values())))
        train, dev = folded(strata(pooled, count), self.folds, self.fold)
        if not train or not dev:
            raise DataError(f"{count} rows of train and dev are too few for {self.folds} folds.\n  Ask for fewer.")
        self._rows = {"train": train, "dev": dev}
        return parts | {part: taken(pooled, rows) for part, rows in self._rows.items()}

    def identity(self) -> dict[str, str | None]:
        return self.source.identity()

    def part_name(self, part: str) -> str:
        if part not in self._rows:
            return self.source.part_name(part)
        return f"{part} split of fold {self.fold}"

    def row_name(self, part: str, row: int) -> str:
        if part in self._rows:
            row = self._rows[part][row]
            part, row = ("train", row) if row < self._train else ("dev", row - self._train)
        return self.source.row_name(part, row)


def folded(labels: Sequence[Any], folds: int, fold: int) -> tuple[list[int], list[int]]:
    """The rows to train on, and those of a fold, counted from 1: of each label about one in `folds`, in a row.

    The only row of a label is in no fold: there would be nothing to learn it from.
    """
    rows = defaultdict(list)
    for row, label in enumerate(labels):
        rows[label].append(row)
    train: list[int] = []
    dev: list[int] = []
    begun = 0  # rows before a label's own: their blocks begin one after the other, so that folds have about equal size
    for own in rows.values():
        for number, row in enumerate(own):
            inside = len(own) > 1 and (begun + number * folds // len(own)) % folds == fold - 1
            (dev if inside else train).append(row)
        begun += len(own)
    return sorted(train), sorted(dev)
