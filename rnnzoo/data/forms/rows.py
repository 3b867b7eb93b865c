"""Forms whose batches are rows of similar length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from rnnzoo.batch import IGNORE, UNK, Batch, DataSpec
from rnnzoo.data.base import Examples, Form
from rnnzoo.data.batching import BalancedBatches, BucketBatches
from rnnzoo.data.encoding.text import Ragged, share_of
from rnnzoo.data.shards import SHARDS
from rnnzoo.data.streaming.packing import Kept, Packing
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, checked


def longest_first(lengths: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    """The given row numbers, the longest row first; rows of equal length stay in order."""
    given = np.asarray(rows, dtype=np.int64)
    return given[np.argsort(-lengths[given], kind="stable")]


@dataclass
class RowExamples(Examples):
    """Rows of tokens, batched by row numbers.

    tokens: the input ids. target: None, or one number a row, or a row of numbers each.
    sequence_target: the target has lengths of its own. references: the targets as texts, one a row.
    """

    tokens: Ragged
    target: np.ndarray | Ragged | None = None
    truncated: int = 0
    sequence_target: bool = False
    references: Sequence[str] | None = None

    @property
    def lengths(self) -> np.ndarray:
        return self.tokens.lengths

    @property
    def widths(self) -> np.ndarray:
        """The longer of a row's tokens and its target."""
        return np.maximum(self.lengths, self.target.lengths) if isinstance(self.target, Ragged) else self.lengths

    @property
    def label_ids(self) -> np.ndarray:
        ids = self.target.flat if isinstance(self.target, Ragged) else self.target
        return super().label_ids if ids is None else ids[ids != IGNORE]

    @property
    def unknown_share(self) -> float:
        return share_of(self.tokens.flat, UNK)

    def arrays(self) -> list[np.ndarray]:
        target = [self.target.flat, self.target.offsets] if isinstance(self.target, Ragged) else [self.target]
        return [self.tokens.flat, self.tokens.offsets, *(array for array in target if array is not None)]

    def kept(self) -> dict[str, Kept]:
        """What a store keeps of the rows."""
        found = {"tokens": self.tokens, "target": self.target, "references": self.references}
        return {name: value for name, value in found.items() if value is not None}

    def collate(self, window: Sequence[int]) -> Batch:
        """The batch of the given rows, the longest first; `Batch.index` says which is where."""
        rows = longest_first(self.lengths, window)
        target: Any = None
        target_lengths: Any = None
        if isinstance(self.target, Ragged):
            target = torch.from_numpy(self.target.padded(rows, IGNORE))
            if self.sequence_target:
                target_lengths = torch.from_numpy(self.target.lengths[rows])
        elif self.target is not None:
            target = torch.from_numpy(self.target[rows])
        return Batch(
            {"tokens": torch.from_numpy(self.tokens.padded(rows))},
            torch.from_numpy(self.lengths[rows]),
            target,
            target_lengths,
            torch.from_numpy(rows),
            references=None if self.references is None else [self.references[row] for row in rows],
        )


class RowPacking(Packing):
    """Encodes chunks of rows as their form encodes all of them. Counts among the notes are added up."""

    def __init__(self, form: RowForm, spec: DataSpec) -> None:
        self.form, self.spec = form, spec
        self._counts: Counter[str] = Counter()

    def add(self, columns: dict[str, list[Any]]) -> dict[str, Kept]:
        examples = self.form.encode(columns, self.spec)
        assert isinstance(examples, RowExamples)
        self.truncated += examples.truncated
        self._counts.update({name: value for name, value in examples.notes.items() if isinstance(value, int)})
        self.notes = dict(self._counts)
        return examples.kept()


class RowForm(Form):
    """A form whose batches are rows of similar length. Its first column is the input.

    batches_class: decides which rows make a batch.

    batch_size: rows a batch. batch_tokens: at most so many steps, or tokens, a batch, padding counted. eval_batch_size:
    rows a batch in evaluation; as in training if not given. sampler: "balanced" draws rows of each label alike
    in training, see `BalancedBatches`; it takes no batch_tokens.
    """

    batches_class: ClassVar[type[BucketBatches]] = BucketBatches

    @checked
    def __init__(
        self,
        batch_size: Count = 64,
        batch_tokens: Count | None = None,
        eval_batch_size: Count | None = None,
        sampler: Literal["balanced"] | None = None,
    ) -> None:
        self.batch_size, self.batch_tokens, self.eval_batch_size = batch_size, batch_tokens, eval_batch_size
        self.sampler = sampler
        if sampler is not None and batch_tokens is not None:
            raise ValueError("sampler: balanced draws other rows in each epoch, and batch_tokens needs the same ones")

    def batches(
        self, examples: Examples, *, training: bool, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> BucketBatches:
        make: Callable[..., BucketBatches] = self.batches_class
        if training and self.sampler is not None:
            if examples.window is not None and examples.window < len(examples):
                raise DataError(
                    "data.sampler: balanced draws from all rows at once, and data.streaming shuffles "
                    f"{examples.window:,} at a time.\n"
                    f"  Leave one of them out, or raise data.window to {len(examples):,}."
                )
            if self.target != "label":
                raise DataError(f"data.sampler: balanced is for data with one label a row, and not {self.name}.")
            make = partial(BalancedBatches, labels=examples.label_ids)
        return make(
            examples.widths,
            batch_size=self.batch_size if training else self.eval_batch_size or self.batch_size,
            batch_tokens=self.batch_tokens,
            training=training,
            seed=seed,
            rank=rank,
            world_size=world_size,
            window=examples.window,
        )

    def packing(self, spec: DataSpec) -> Packing:
        return RowPacking(self, spec)

    def unpack(self, kept: Mapping[str, Kept], spec: DataSpec) -> RowExamples:
        none: RowExamples = self.encode({name: [] for name in self.columns}, spec)  # type: ignore[assignment]
        return replace(none, **kept)  # type: ignore[arg-type]  # what `RowExamples.kept` gave

    def shards(self, examples: Examples, window: Any) -> list[Any]:
        """Rows of like length together. Two shards side by side, a long one and a short one, take about as long."""
        rows = longest_first(examples.widths, window)
        parts = [part.tolist() or None for part in np.array_split(rows, SHARDS)]
        middle = SHARDS // 2
        return [part for pair in zip(parts[:middle], reversed(parts[middle:]), strict=True) for part in pair]

    def ask(self, texts: Sequence[str], spec: DataSpec) -> Examples:
        return self.encode({self.columns[0]: list(texts)}, spec)
