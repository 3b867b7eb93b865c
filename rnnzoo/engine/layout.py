"""Where the steps of a ragged batch lie: index arithmetic on its lengths.

Packed rows stand as in torch's PackedSequence: step 0 of all sequences, longest first, then step 1, and so on. So a
loop over time touches only the sequences that still have a step there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnzoo.engine import modes


class Shard(NamedTuple):
    """Every n-th sequence of a batch, longest first. rows: which packed rows are theirs; None for all of them."""

    layout: Layout
    rows: Tensor | None
    slots: slice

    def select_rows(self, values: Tensor) -> Tensor:
        """(rows, ...) of the batch to those of the shard."""
        return values if self.rows is None else values.index_select(0, self.rows)

    def select_slots(self, values: Tensor) -> Tensor:
        """(batch, ...), longest first, to those of the shard."""
        return values[self.slots].contiguous()


class Chunk(NamedTuple):
    """Some steps of the sequences that have a step at the first of them.

    live: how many sequences those are. real: (steps, live) bool, True where a sequence has that step.
    """

    live: int
    real: Tensor


class Chunks(NamedTuple):
    """A batch as rectangles of equally many steps.

    rows: the packed row of each place of all parts, one part after the other; any row for a place that is not real.
    places: (rows,) the place of each packed row among those of all parts.
    """

    parts: list[Chunk]
    rows: Tensor
    places: Tensor


def _arange(count: int) -> Tensor:
    """(count,) on the CPU, where torch's default device may be another."""
    return torch.arange(count, device="cpu")


def _checked(lengths: Tensor) -> Tensor:
    """A copy of lengths as int64 on the CPU; later changes of the argument do not reach it. Raises: ValueError."""
    if lengths.dim() != 1 or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths must be one whole number a sequence, got {lengths.dtype} {tuple(lengths.shape)}")
    if (reason := modes.has_no_numbers(lengths)) is not None:
        raise ValueError(
            f"lengths decide how many steps run, and have no numbers here: {reason}.\n"
            "  Leave lengths out, for sequences that all fill the time there is."
        )
    if lengths.is_floating_point() and not bool((lengths == lengths.round()).all()):
        raise ValueError(f"lengths must be whole numbers, got {lengths.tolist()}")
    return lengths.detach().to("cpu", torch.int64, copy=True)


class Layout:
    """The lengths of a batch and the index arithmetic that follows from them. Made once a batch, shared by all layers.

    Index tensors are on `device`, lengths and sizes on the CPU. A *slot* numbers the sequences longest first.

    lengths: (batch,) whole numbers, copied; or the number of sequences, all as long as `time`, for which no tensor is
    read. time: the padded length, at least the longest.
    path: the one path that can run cells on sequences of this layout; None if the engine may choose.
    Raises: ValueError if a length is negative, beyond `time` or not whole.
    """

    path: Any = None

    def __init__(self, lengths: Tensor | int, time: int, device: torch.device) -> None:
        self.time, self.device = time, device
        if isinstance(lengths, Tensor):
            self.lengths = _checked(lengths)
            self.batch = len(lengths)
            self.longest = int(self.lengths.max()) if self.batch else 0
            self.shortest = int(self.lengths.min()) if self.batch else 0
            if self.longest > time or self.shortest < 0:
                raise ValueError(f"lengths must lie in 0..{time}, the number of steps, got {self.lengths.tolist()}")
        else:
            self.lengths = torch.full((lengths,), time, device="cpu")
            self.batch, self.longest, self.shortest = lengths, time, time
        self._shards: list[Shard] = []
        self._chunks: dict[int, Chunks] = {}

    # -- sizes

    @cached_property
    def no_padding(self) -> bool:
        """Whether every sequence fills all the time there is."""
        return self.shortest == self.time or self.batch == 0

    @cached_property
    def num_rows(self) -> int:
        """Packed rows: the real steps of all sequences."""
        return self.batch * self.time if self.no_padding else int(self.lengths.sum())

    @cached_property
    def valid_share(self) -> float:
        """The share of real steps in the padded batch, 0 to 1."""
        return self.num_rows / max(1, self.batch * self.time)

    @cached_property
    def batch_sizes(self) -> Tensor:
        """(longest,) how many sequences have a step t, on the CPU, as in a PackedSequence."""
        return self.batch - torch.searchsorted(self.lengths.sort().values, _arange(self.longest), right=True)

    @property
    def batch_sizes_list(self) -> list[int]:
        """`batch_sizes` as a list."""
        return [self.batch] * self.longest if self.no_padding else self.batch_sizes.tolist()

    @cached_property
    def step_starts(self) -> Tensor:
        """(longest + 1,) the packed row where each step begins, on the CPU; the last is the number of rows."""
        return torch.cat([self.batch_sizes.new_zeros(1), self.batch_sizes.cumsum(0)])

    # -- padded: (batch, time, features) in the batch's own order

    @cached_property
    def mask(self) -> Tensor:
        """(batch, time) bool, True where a step is real."""
        return torch.arange(self.time, device=self.device) < self.lengths.to(self.device)[:, None]

    @cached_property
    def empty_mask(self) -> Tensor | None:
        """(batch, 1) bool, True for sequences of length 0; None if there are none."""
        return (self.lengths == 0)[:, None].to(self.device) if self.batch and self.shortest == 0 else None

    @cached_property
    def last_positions(self) -> Tensor:
        """(batch,) each sequence's last step in the flattened (batch * time); an empty sequence's first position."""
        return ((self.lengths - 1).clamp(min=0) + _arange(self.batch) * self.time).to(self.device)

    @cached_property
    def padded_index(self) -> Tensor:
        """(rows,) each packed row's position in the flattened (batch * time)."""
        t, slot = (_arange(self.longest)[:, None] < self.lengths[self.sorted_indices]).nonzero(as_tuple=True)
        return (self.sorted_indices[slot] * self.time + t).to(self.device)

    @cached_property
    def padded_reversal(self) -> Tensor:
        """(batch * time,) gathers a padded batch with every sequence reversed within its length; its own inverse."""
        t = _arange(self.time)
        lengths = self.lengths[:, None]
        mirrored = torch.where(t < lengths, lengths - 1 - t, t)
        return (mirrored + _arange(self.batch)[:, None] * self.time).flatten().to(self.device)

    # -- slots: longest first

    @cached_property
    def sorted_indices(self) -> Tensor:
        """(batch,) the sequences, longest first, on the CPU, as in a PackedSequence."""
        return self.lengths.argsort(descending=True, stable=True)

    @cached_property
    def sorted_lengths(self) -> Tensor:
        """(batch,) lengths, longest first, on the device."""
        return self.lengths[self.sorted_indices].to(self.device)

    @cached_property
    def _permutation(self) -> tuple[Tensor, Tensor] | None:
        """`sorted_indices` and its inverse on the device; None where the batch is sorted already."""
        if self.no_padding or bool((self.lengths[1:] <= self.lengths[:-1]).all()):
            return None
        order = self.sorted_indices.to(self.device)
        return order, order.argsort()

    def sort(self, x: Tensor) -> Tensor:
        """(batch, ...) to longest first."""
        return x if self._permutation is None else x.index_select(0, self._permutation[0])

    def unsort(self, x: Tensor) -> Tensor:
        """(batch, ...) from longest first to the batch's own order."""
        return x if self._permutation is None else x.index_select(0, self._permutation[1])

    # -- packed rows

    @cached_property
    def row_reversal(self) -> Tensor:
        """(rows,) gathers packed rows with every sequence reversed; its own inverse."""
        row_at = torch.empty(self.batch * self.time, dtype=torch.int64, device=self.device)
        row_at[self.padded_index] = torch.arange(len(self.padded_index), device=self.device)
        return row_at[self.padded_reversal[self.padded_index]]

    def last_rows(self, reverse: bool, rows: int) -> Tensor:
        """(batch,) for each slot the row of its last state in that direction.

        An empty sequence has none: its last state is its first, row `rows + slot` in a buffer of `rows` states that
        the first states follow.
        """
        slots = _arange(self.batch)
        lengths = self.lengths[self.sorted_indices]
        last = slots if reverse else self.step_starts[(lengths - 1).clamp(min=0)] + slots
        return torch.where(lengths > 0, last, rows + slots).to(self.device)

    def previous_rows(self, reverse: bool) -> Tensor:
        """(rows,) for each packed row the row of the state before it; `rows + slot` for a first state."""
        rows = int(self.step_starts[-1])
        step = torch.repeat_interleave(_arange(self.longest), self.batch_sizes)
        slot = _arange(rows) - self.step_starts[step]
        if reverse:
            later = torch.cat([self.batch_sizes[1:], self.batch_sizes.new_zeros(1)])[step]
            return torch.where(slot < later, self.step_starts[step + 1] + slot, rows + slot).to(self.device)
        return torch.where(step > 0, self.step_starts[(step - 1).clamp(min=0)] + slot, rows + slot).to(self.device)

    # -- a rectangle (batch, longest, ...), longest sequence first

    def to_grid(self, rows: Tensor) -> Tensor:
        """Packed rows (rows, ...) as a rectangle (batch, longest, ...), longest sequence first, zeros past the ends."""
        padded = torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])])
        grid: Tensor = padded.index_select(0, self._grid_index).unflatten(0, (self.batch, self.longest))
        return grid

    def from_grid(self, grid: Tensor) -> Tensor:
        """(batch, longest, ...), longest sequence first, as packed rows."""
        return grid.flatten(0, 1).index_select(0, self._row_index)

    @cached_property
    def _grid_index(self) -> Tensor:
        """(batch * longest,) for each slot and step its packed row; past a sequence's end, the row after the last."""
        step, slot = _arange(self.longest), _arange(self.batch)[:, None]
        row = torch.where(slot < self.batch_sizes, self.step_starts[step] + slot, self.step_starts[-1])
        return row.flatten().to(self.device)

    @cached_property
    def _row_index(self) -> Tensor:
        """(rows,) each packed row's position in the flattened (batch * longest)."""
        t, slot = (_arange(self.batch) < self.batch_sizes[:, None]).nonzero(as_tuple=True)
        return (slot * self.longest + t).to(self.device)

    # -- parts

    def shards(self, count: int) -> list[Shard]:
        """The batch in so many parts of about equal work."""
        if count == 1:
            return [Shard(self, None, slice(None))]
        if len(self._shards) != count:
            lengths = self.lengths[self.sorted_indices]
            slot = _arange(self.num_rows) - torch.repeat_interleave(self.step_starts[:-1], self.batch_sizes)
            self._shards = [
                Shard(
                    Layout(lengths[k::count], self.longest, self.device),
                    (slot % count == k).nonzero().squeeze(1).to(self.device),
                    slice(k, None, count),
                )
                for k in range(count)
            ]
        return self._shards

    @cached_property
    def rows_from_shards(self) -> Tensor:
        """(rows,) the position of each packed row among the rows of all shards, one shard after the other."""
        return torch.cat([shard.rows for shard in self._shards if shard.rows is not None]).argsort()

    def chunks(self, steps: int) -> Chunks:
        """Rectangles of so many steps, each of the sequences that have a step at its first one."""
        if steps not in self._chunks:
            parts, rows = [], []
            sizes = torch.cat([self.batch_sizes, self.batch_sizes.new_zeros(steps)])
            starts = torch.cat([self.step_starts, self.step_starts.new_zeros(steps)])
            for begin in range(0, self.longest, steps):
                live = int(sizes[begin])
                slot = _arange(live)
                real = slot < sizes[begin : begin + steps, None]
                rows.append(torch.where(real, starts[begin : begin + steps, None] + slot, -1).flatten())
                parts.append(Chunk(live, real.to(self.device)))
            row_of_place = torch.cat(rows)
            real_places = (row_of_place >= 0).nonzero().squeeze(1)
            places = torch.empty(self.num_rows, dtype=torch.int64, device="cpu")
            places.index_copy_(0, row_of_place[real_places], real_places)
            self._chunks[steps] = Chunks(parts, row_of_place.clamp(min=0).to(self.device), places.to(self.device))
        return self._chunks[steps]


# What makes the layout of a batch. An exporter, for which lengths have no numbers, sets it to a layout of its own.
layout_maker: ContextVar[Callable[[Tensor | int, int, torch.device], Layout]] = ContextVar(
    "layout_maker", default=Layout
)
