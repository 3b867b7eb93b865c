"""Batches of all processes, cut into a fixed number of shards.

What is added up, and in which order, is then the same for every number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnzoo.batch import Batch
from rnnzoo.data.base import Examples
from rnnzoo.data.batching import Batches

SHARDS = 4  # of each batch; as many processes at most


def own_shards(rank: int, world_size: int) -> range:
    """The numbers of a rank's shards, neighbours; `world_size` divides `SHARDS`."""
    each = SHARDS // world_size
    return range(rank * each, (rank + 1) * each)


@dataclass
class Sharded:
    """A rank's shards of one batch, by number. A shard without rows is left out.

    Its lengths, row numbers and counts are those of its own rows, as those of a `Batch`.
    """

    shards: dict[int, Batch]

    def __len__(self) -> int:
        return sum(map(len, self.shards.values()))

    @property
    def tokens(self) -> int:
        """Steps that are not padding."""
        return sum(shard.tokens for shard in self.shards.values())

    @property
    def lengths(self) -> Tensor:
        """(rows,) int64; one 0 where there are no rows."""
        return torch.cat([shard.lengths for shard in self.shards.values()] or [torch.zeros(1, dtype=torch.int64)])

    @property
    def index(self) -> Tensor | None:
        """(rows,) int64, the examples' row numbers; None where they have none."""
        found = [shard.index for shard in self.shards.values() if shard.index is not None]
        return torch.cat(found) if found else None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Sharded:
        """The shards with their tensors on `device`."""
        return Sharded({number: shard.to(device, non_blocking) for number, shard in self.shards.items()})


class ShardedExamples:
    """Examples by a rank's windows of one batch: the shards' numbers and windows."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __getitem__(self, windows: Mapping[int, Any]) -> Sharded:
        return Sharded({number: self.examples[window] for number, window in windows.items()})


class ShardedBatches:
    """A rank's windows of each batch that all ranks make together.

    batches: of all ranks. cut: a window into `SHARDS` ones, None for one without rows. own: numbers of shards.
    """

    def __init__(self, batches: Batches[Any], cut: Callable[[Any], list[Any]], own: range) -> None:
        self.batches, self.cut, self.own = batches, cut, own

    def set_epoch(self, epoch: int) -> None:
        self.batches.set_epoch(epoch)

    def __iter__(self) -> Iterator[dict[int, Any]]:
        for window in self.batches:
            shards = self.cut(window)
            yield {number: shards[number] for number in self.own if shards[number] is not None}

    def __len__(self) -> int:
        return len(self.batches)
