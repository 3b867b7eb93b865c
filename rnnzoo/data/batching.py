"""Which rows make a batch, in which order, on which rank."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from rnnzoo.errors import DataError

T = TypeVar("T", covariant=True)


class Batches(Protocol[T]):
    """The batches of one epoch. Their order depends on the seed, the epoch and the number of ranks only."""

    def set_epoch(self, epoch: int) -> None: ...

    def __iter__(self) -> Iterator[T]: ...

    def __len__(self) -> int: ...


class BucketBatches:
    """Batches of rows of similar length, as lists of row numbers.

    All rows are sorted by length, longest first. For training, rows of equal length are shuffled, neighbours are
    shuffled within buckets of `bucket` batches, and at last the batches are shuffled. Every row is in every epoch
    exactly once, and the number of batches is the same in every epoch. For evaluation nothing is shuffled.

    batch_size: rows a batch. batch_tokens: steps a batch, padding included (longest row x rows); a row longer than
    that is a batch of its own. The order is a function of (seed, epoch). The batches go to the ranks in turn. In
    training, batches of like length share a step, as the ranks wait for the slowest of them, and batches repeat so that
    all ranks take equally many steps; evaluation repeats none and uses smaller batches if there are fewer batches than
    ranks. Which rows share a batch does not depend on the number of ranks.

    window: of rows that are too many for all that: as many neighbouring rows are sorted and shuffled at a time, and in
    training the windows are shuffled. Memory grows with the window then; the lengths take 8 bytes a row.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
        training: bool = True,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        bucket: int = 8,
        window: int | None = None,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.training, self.seed, self.rank, self.world_size = training, seed, rank, world_size
        self.epoch = 0
        if not training:
            batch_size = max(1, min(batch_size, len(self.lengths) // world_size))
        self.batch_size, self.batch_tokens, self.bucket = batch_size, batch_tokens, bucket if training else 1
        count = len(self.lengths)
        size = max(1, count if window is None else min(window, count))
        self.windows = [range(start, min(start + size, count)) for start in range(0, count, size)] or [range(0)]
        self.total = sum(self._count(rows) for rows in self.windows)  # batches, all ranks

    def _count(self, rows: range) -> int:
        """The batches of a window."""
        return sum(-(-(stop - start) // size) for start, stop, size in self._cut(self.lengths[rows.start : rows.stop]))

    def _cut(self, lengths: np.ndarray) -> list[tuple[int, int, int]]:
        """(start, stop, rows a batch) of each bucket, as positions in the order of falling length."""
        batch_size, batch_tokens, bucket = self.batch_size, self.batch_tokens, self.bucket
        ordered = -np.sort(-lengths)
        buckets, start = [], 0
        while start < len(ordered):
            rows = batch_size
            if batch_tokens is not None:
                rows = min(batch_size, max(1, batch_tokens // int(ordered[start])))
            stop = min(start + rows * bucket, len(ordered))
            buckets.append((start, stop, rows))
            start = stop
        return buckets

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def _of_window(self, rows: range, rng: np.random.Generator) -> list[list[int]]:
        """The batches of a window's rows, for all ranks."""
        lengths = self.lengths[rows.start : rows.stop]
        drawn = self._drawn(lengths, rng)
        ties = rng.random(len(drawn)) if self.training else np.arange(len(drawn))
        order = drawn[np.lexsort((ties, -lengths[drawn]))]
        batches = []
        for start, stop, size in self._cut(lengths):
            rows_of_bucket = order[start:stop]
            if self.training:
                rows_of_bucket = rng.permutation(rows_of_bucket)
            rows_of_bucket = rows_of_bucket + rows.start
            batches += [rows_of_bucket[at : at + size].tolist() for at in range(0, len(rows_of_bucket), size)]
        if self.training:
            batches = [batches[index] for index in self._dealt(len(batches), rng)]
        return batches

    def _everything(self) -> Iterator[list[int]]:
        """The batches of all ranks, in order. Those that do not go round in one window share steps with the next's."""
        if len(self.windows) == 1:
            yield from self._of_window(self.windows[0], np.random.default_rng((self.seed, self.epoch)))
            return
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.windows))
        left: list[list[int]] = []
        for number in order.tolist() if self.training else range(len(self.windows)):
            batches = self._of_window(self.windows[number], np.random.default_rng((self.seed, self.epoch, number)))
            whole = len(batches) - len(batches) % self.world_size if self.training else len(batches)
            yield from batches[:whole]
            left += batches[whole:]
            while len(left) >= self.world_size:
                yield from left[: self.world_size]
                del left[: self.world_size]
        yield from left

    def _dealt(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count,) batches by number, neighbours in length side by side, one for each rank; the steps are shuffled.

        Where the batches do not go round, those of the last step are of any length.
        """
        steps, left = divmod(count, self.world_size)
        at = self.world_size * int(rng.integers(steps + 1)) if left else 0
        numbers = np.arange(count)
        groups = np.delete(numbers, slice(at, at + left)).reshape(steps, self.world_size)
        groups = rng.permuted(groups[rng.permutation(steps)], axis=1)
        return np.concatenate([groups.ravel(), numbers[at : at + left]])

    def _drawn(self, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The rows of the epoch, counted from the window's first."""
        return np.arange(len(lengths))

    def _endless(self) -> Iterator[list[int]]:
        """The batches of all ranks, and then the first ones again, as many as there are ranks."""
        first: list[list[int]] = []
        for batch in self._everything():
            if len(first) < self.world_size:
                first.append(batch)
            yield batch
        yield from cycle(first)

    def __iter__(self) -> Iterator[list[int]]:
        stop = self.rank + len(self) * self.world_size
        return islice(self._endless(), self.rank, stop, self.world_size)

    def __len__(self) -> int:
        if self.training:
            return -(-self.total // self.world_size)
        return len(range(self.rank, self.total, self.world_size))


class BalancedBatches(BucketBatches):
    """Batches for training in which every label is as frequent: as many rows an epoch, drawn anew in each.

    The labels take turns; the rows of each are drawn in random order, all of them before one is drawn again. Rows of
    frequent labels wait for a later epoch. labels: (rows,) numbers.
    """

    def __init__(self, lengths: np.ndarray, labels: np.ndarray, **settings: Any) -> None:
        super().__init__(lengths, **settings)
        self.rows_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def _drawn(self, lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size, labels = len(lengths), rng.permutation(len(self.rows_of))
        drawn = []
        for place, label in enumerate(labels):
            rows, many = self.rows_of[label], len(range(place, size, len(labels)))
            rounds = [rng.permutation(rows) for _ in range(-(-many // len(rows)))]
            drawn.append(np.concatenate(rounds)[:many] if many else rows[:0])
        return np.concatenate(drawn)


class Window(NamedTuple):
    """A stretch of some columns of a stream: column `columns[i]` from step `starts[i]`, `lengths[i]` steps."""

    columns: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    fresh: bool


class StreamBatches:
    """One long sequence cut into columns side by side, read in windows of `tbptt_steps`, each where the last one ended.

    The `steps` steps of the sequence are dealt to the columns in order, so each is in exactly one window. Columns
    differ in length by one at most, the longer ones first; the last window is as long as it takes, `tbptt_steps + 1` at
    most, so that no row of it is empty. Every epoch is the same, unless windows are to jitter.

    jitter: in training, windows end elsewhere in each epoch, as (seed, epoch) has it: their lengths are normal around
    `tbptt_steps`, or in one of twenty cases around half of it, with a standard deviation of 5 (Merity et al.,
    arXiv:1708.02182). Differs: there are as many windows as without, so lengths are stretched to add up; the learning
    rate is left alone.
    columns: side by side on each rank in training. A rank has neighbouring columns, so 2 ranks of 4 columns read what 1
    rank of 8 does.

    In evaluation the sequence is one column, so that each step is predicted from all before it, whatever the sizes, and
    windows are as many steps as in `columns` columns. The state goes from step to step, so every rank reads all of it,
    and quotients of sums over ranks are those of one.
    """

    def __init__(
        self,
        steps: int,
        *,
        columns: int,
        tbptt_steps: int,
        training: bool = True,
        jitter: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        total = columns * world_size
        if not training:
            tbptt_steps, total, rank, world_size = tbptt_steps * columns, 1, 0, 1
        if training and steps < total:
            raise DataError(
                f"the training text has {steps + 1} tokens, too few for {total} columns side by side.\n"
                "  Lower batch_size."
            )
        shortest, longer = divmod(steps, total)
        ends = np.cumsum([shortest + (column < longer) for column in range(total)])
        self.columns = np.array_split(np.arange(total), world_size)[rank]
        self.ends = ends[self.columns]
        self.starts = np.concatenate([[0], ends[:-1]])[self.columns]
        self.shortest, self.tbptt_steps, self.jitter = shortest, tbptt_steps, jitter and training
        self.windows = -(-shortest // tbptt_steps)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def _cuts(self) -> np.ndarray:
        """(windows,) where each window begins, in steps from a column's start."""
        numbers = np.arange(self.windows)
        if not self.jitter:
            return numbers * self.tbptt_steps
        rng = np.random.default_rng((self.seed, self.epoch))
        mean = self.tbptt_steps * np.where(rng.random(self.windows) < 0.95, 1, 0.5)
        wanted = rng.normal(mean, 5).clip(min=5).cumsum()
        stretched = np.floor((self.shortest - self.windows) * wanted / wanted[-1]).astype(np.int64)
        return numbers + np.concatenate([[0], stretched[:-1]])  # each window has one step at least

    def __iter__(self) -> Iterator[Window]:
        cuts = self._cuts()
        for window, cut in enumerate(cuts):
            starts = self.starts + cut
            last = window == self.windows - 1
            ends = self.ends if last else self.starts + cuts[window + 1]
            yield Window(self.columns, starts, ends - starts, fresh=window == 0)

    def __len__(self) -> int:
        return self.windows


class Remaining(Generic[T]):
    """Batches without the first `done` ones in the first epoch, and all of them in each later one."""

    def __init__(self, batches: Batches[T] | list[T], done: int) -> None:
        self.batches, self.done = batches, done

    def set_epoch(self, epoch: int) -> None:
        if not isinstance(self.batches, list):
            self.batches.set_epoch(epoch)

    def __iter__(self) -> Iterator[T]:
        done, self.done = self.done, 0  # at the first batch: the Trainer asks for an iterator before it says the epoch
        yield from islice(self.batches, done, None)

    def __len__(self) -> int:
        return len(self.batches)
