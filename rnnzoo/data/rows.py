"""Forms whose batches are rows of similar length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnzoo.batch import DataSpec
from rnnzoo.data.base import Examples, Form
from rnnzoo.data.batching import BucketBatches


def longest_first(lengths: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """The given row numbers, the longest row first; rows of equal length stay in order."""
    given = np.asarray(rows, dtype=np.int64)
    return given[np.argsort(-lengths[given], kind="stable")]


class RowForm(Form):
    """A form whose batches are rows of similar length. Its first column is the input."""

    batch_size: int
    batch_tokens: int | None
    eval_batch_size: int | None

    def batches(
        self, examples: Examples, *, training: bool, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> BucketBatches:
        return BucketBatches(
            examples.widths,
            batch_size=self.batch_size if training else self.eval_batch_size or self.batch_size,
            batch_tokens=self.batch_tokens,
            training=training,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def ask(self, texts: Sequence[str], spec: DataSpec) -> Examples:
        return self.encode({self.columns[0]: list(texts)}, spec)
