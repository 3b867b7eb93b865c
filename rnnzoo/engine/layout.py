"""Where the steps of a ragged batch lie: padded for layers that want rectangles, packed for loops that skip padding.

A `Layout` knows the lengths; `Sequences` are features with a layout, in whichever of the two forms was made, the other
made when asked for. Packed rows stand as in a PackedSequence: all sequences' step 0, longest first, then all step 1,
and so on, so that a loop over time touches only sequences that are still alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnzoo.engine import modes


class Shard(NamedTuple):
    """Every n-th sequence of a batch, longest first, with the packed rows that are theirs; None for all of them."""

    layout: Layout
    rows: Tensor | None
    slots: slice

    def of_rows(self, values: Tensor) -> Tensor:
        return values if self.rows is None else values.index_select(0, self.rows)

    def of_slots(self, values: Tensor) -> Tensor:
        """(batch, ...), longest first, to those of the shard."""
        return values[self.slots].contiguous()


def _arange(count: int) -> Tensor:
    """(count,) on the CPU, where torch's default device may be another."""
    return torch.arange(count, device="cpu")


def _whole(lengths: Tensor) -> Tensor:
    """A copy on the CPU, which stays as it is whatever becomes of the lengths given. Raises: ValueError."""
    if lengths.dim() != 1 or lengths.is_complex() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths must be one whole number a sequence, got {lengths.dtype} {tuple(lengths.shape)}")
    if (unseen := modes.numberless(lengths)) is not None:
        raise ValueError(
            f"lengths decide how many steps run, and have no numbers here: {unseen}.\n"
            "  Leave lengths out, for sequences that all fill the time there is."
        )
    if lengths.is_floating_point() and not bool((lengths == lengths.round()).all()):
        raise ValueError(f"lengths must be whole numbers, got {lengths.tolist()}")
    return lengths.detach().to("cpu", torch.int64, copy=True)


class Layout:
    """The lengths of a batch and the index arithmetic that follows from them. Made once a batch, shared by all layers.

    lengths: (batch,) whole numbers, kept as they are now; or the number of sequences, all as long as `time`, which
    needs the number of no tensor. time: the padded length, at least the longest.
    Raises: ValueError if a length is negative, beyond `time` or not whole.
    """

    def __init__(self, lengths: Tensor | int, time: int, device: torch.device) -> None:
        self.time, self.device = time, device
        if isinstance(lengths, Tensor):
            self.lengths = _whole(lengths)
            self.batch = len(lengths)
            self.longest = int(self.lengths.max()) if self.batch else 0
            self.shortest = int(self.lengths.min()) if self.batch else 0
            if self.longest > time or self.shortest < 0:
                raise ValueError(f"lengths must lie in 0..{time}, the number of steps, got {self.lengths.tolist()}")
        else:
            self.lengths = torch.full((lengths,), time, device="cpu")
            self.batch, self.longest, self.shortest = lengths, time, time
        self._shards: list[Shard] = []
        self._chunks: dict[int, tuple[list[tuple[int, Tensor]], Tensor, Tensor]] = {}

    @cached_property
    def equal(self) -> bool:
        """Whether every sequence fills all the time there is."""
        return self.shortest == self.time or self.batch == 0

    @cached_property
    def total(self) -> int:
        """How many real steps there are: packed rows."""
        return self.batch * self.time if self.equal else int(self.lengths.sum())

    @cached_property
    def valid(self) -> float:
        """The share of real steps in the padded batch."""
        return self.total / max(1, self.batch * self.time)

    @cached_property
    def mask(self) -> Tensor:
        """(batch, time) bool, True where a step is real."""
        return torch.arange(self.time, device=self.device) < self.lengths.to(self.device)[:, None]

    @cached_property
    def order(self) -> Tensor:
        """(batch,) the sequences, longest first, on the CPU."""
        return self.lengths.argsort(descending=True, stable=True)

    @cached_property
    def _sorted(self) -> tuple[Tensor, Tensor] | None:
        """`order` and its inverse on the device; None where the batch is sorted as it stands."""
        if self.equal or bool((self.lengths[1:] <= self.lengths[:-1]).all()):
            return None
        order = self.order.to(self.device)
        return order, order.argsort()

    def sort(self, x: Tensor) -> Tensor:
        """(batch, ...) to longest first."""
        return x if self._sorted is None else x.index_select(0, self._sorted[0])

    def unsort(self, x: Tensor) -> Tensor:
        """(batch, ...) from longest first to the batch's own order."""
        return x if self._sorted is None else x.index_select(0, self._sorted[1])

    @cached_property
    def alive(self) -> Tensor:
        """(longest,) how many sequences have a step t, on the CPU: `batch_sizes` of a PackedSequence."""
        steps = _arange(self.longest)
        return self.batch - torch.searchsorted(self.lengths.sort().values, steps, right=True)

    @property
    def counts(self) -> list[int]:
        """`alive` as a list."""
        return [self.batch] * self.longest if self.equal else self.alive.tolist()

    @cached_property
    def index(self) -> Tensor:
        """(rows,) for each packed row, its place in the flattened (batch * time)."""
        t, b = (_arange(self.longest)[:, None] < self.lengths[self.order]).nonzero(as_tuple=True)
        return (self.order[b] * self.time + t).to(self.device)

    @cached_property
    def mirror(self) -> Tensor:
        """(batch * time,) gathers a padded batch with every sequence reversed within its length; its own inverse."""
        t = _arange(self.time)
        lengths = self.lengths[:, None]
        place = torch.where(t < lengths, lengths - 1 - t, t)
        return (place + _arange(self.batch)[:, None] * self.time).flatten().to(self.device)

    @cached_property
    def row_mirror(self) -> Tensor:
        """(rows,) the same for packed rows; its own inverse."""
        place = torch.empty(self.batch * self.time, dtype=torch.int64, device=self.device)
        place[self.index] = torch.arange(len(self.index), device=self.device)
        return place[self.mirror[self.index]]

    @cached_property
    def starts(self) -> Tensor:
        """(longest + 1,) the packed row where each step begins, on the CPU; the last is the number of rows."""
        return torch.cat([self.alive.new_zeros(1), self.alive.cumsum(0)])

    @cached_property
    def _grid(self) -> Tensor:
        """(batch * longest,) for each slot and step its packed row; past a sequence's end, the row after the last."""
        step, slot = _arange(self.longest), _arange(self.batch)[:, None]
        place = torch.where(slot < self.alive, self.starts[step] + slot, self.starts[-1])
        return place.flatten().to(self.device)

    @cached_property
    def _from_grid(self) -> Tensor:
        t, slot = (_arange(self.batch) < self.alive[:, None]).nonzero(as_tuple=True)
        return (slot * self.longest + t).to(self.device)

    def grid(self, rows: Tensor) -> Tensor:
        """Packed rows (rows, ...) as a rectangle (batch, longest, ...), longest sequence first, zeros past the ends."""
        padded = torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])])
        return padded.index_select(0, self._grid).unflatten(0, (self.batch, self.longest))

    def rows_of(self, grid: Tensor) -> Tensor:
        """(batch, longest, ...), longest sequence first, as packed rows."""
        return grid.flatten(0, 1).index_select(0, self._from_grid)

    @cached_property
    def sorted_lengths(self) -> Tensor:
        """(batch,) lengths, longest first, on the device."""
        return self.lengths[self.order].to(self.device)

    def row_ends(self, reverse: bool, rows: int) -> Tensor:
        """(batch,) for each sequence, longest first, the row of its last state in that direction.

        An empty sequence has none: for it, and so for all of a buffer of states that ends in the first ones, slot b's
        is row `rows + b`.
        """
        slots = _arange(self.batch)
        lengths = self.lengths[self.order]
        last = slots if reverse else self.starts[(lengths - 1).clamp(min=0)] + slots
        return torch.where(lengths > 0, last, rows + slots).to(self.device)

    def row_before(self, reverse: bool) -> Tensor:
        """(rows,) for each packed row the row of the state before it; `rows + slot` for a first state."""
        rows = int(self.starts[-1])
        step = torch.repeat_interleave(_arange(self.longest), self.alive)
        slot = _arange(rows) - self.starts[step]
        if reverse:
            later = torch.cat([self.alive[1:], self.alive.new_zeros(1)])[step]
            return torch.where(slot < later, self.starts[step + 1] + slot, rows + slot).to(self.device)
        return torch.where(step > 0, self.starts[(step - 1).clamp(min=0)] + slot, rows + slot).to(self.device)

    def shards(self, count: int) -> list[Shard]:
        """The batch in so many parts of about equal work."""
        if count == 1:
            return [Shard(self, None, slice(None))]
        if len(self._shards) != count:
            lengths = self.lengths[self.order]
            slot = _arange(self.total) - torch.repeat_interleave(self.starts[:-1], self.alive)
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
    def from_shards(self) -> Tensor:
        """(rows,) where each packed row stands in the rows of all shards, one after the other."""
        return torch.cat([shard.rows for shard in self._shards if shard.rows is not None]).argsort()

    def chunks(self, steps: int) -> tuple[list[tuple[int, Tensor]], Tensor, Tensor]:
        """Rectangles of so many steps, each of the sequences that are alive at its first.

        Returns for each how many sequences those are and (steps, live) which places are real; the packed row of each
        place of all chunks, any where there is none; and (rows,) each packed row's place among those of all chunks.
        """
        if steps not in self._chunks:
            parts, rows = [], []
            alive = torch.cat([self.alive, self.alive.new_zeros(steps)])
            starts = torch.cat([self.starts, self.starts.new_zeros(steps)])
            for begin in range(0, self.longest, steps):
                live = int(alive[begin])
                slot = _arange(live)
                real = slot < alive[begin : begin + steps, None]
                rows.append(torch.where(real, starts[begin : begin + steps, None] + slot, -1).flatten())
                parts.append((live, real.to(self.device)))
            places = torch.cat(rows)
            within = (places >= 0).nonzero().squeeze(1)
            of_rows = torch.empty(self.total, dtype=torch.int64, device="cpu").index_copy_(0, places[within], within)
            self._chunks[steps] = parts, places.clamp(min=0).to(self.device), of_rows.to(self.device)
        return self._chunks[steps]

    @cached_property
    def ends(self) -> Tensor:
        """(batch,) each sequence's last step in the flattened (batch * time); an empty sequence's first place."""
        return ((self.lengths - 1).clamp(min=0) + _arange(self.batch) * self.time).to(self.device)

    @cached_property
    def empty(self) -> Tensor | None:
        """(batch, 1) bool, True for sequences of length 0; None if there are none."""
        return (self.lengths == 0)[:, None].to(self.device) if self.batch and self.shortest == 0 else None


class _Pack(torch.autograd.Function):
    """(batch, time, features) to packed rows; its gradient is the way back, into zeros."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return _pack(padded, layout)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Unpack.apply(gradient, ctx.layout), None


class _Unpack(torch.autograd.Function):
    """Packed rows to (batch, time, features), zeros past the ends; its gradient is the way back."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout
        return _filled(rows, layout)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Pack.apply(gradient, ctx.layout), None


def _pack(padded: Tensor, layout: Layout) -> Tensor:
    if layout.equal:
        return padded.transpose(0, 1).flatten(0, 1)
    return padded.flatten(0, 1).index_select(0, layout.index)


def _unpack(rows: Tensor, layout: Layout) -> Tensor:
    if layout.equal:
        return rows.unflatten(0, (layout.time, layout.batch)).transpose(0, 1).contiguous()
    flat = rows.new_zeros(layout.batch * layout.time, rows.shape[-1]).index_copy(0, layout.index, rows)
    return flat.unflatten(0, (layout.batch, layout.time))


def _filled(rows: Tensor, layout: Layout) -> Tensor:
    """The same in memory of its own, not a view: so that it may be changed in place."""
    padded = rows.new_zeros(layout.batch, layout.time, rows.shape[-1])
    if layout.equal:
        return padded.copy_(rows.unflatten(0, (layout.time, layout.batch)).transpose(0, 1))
    padded.view(-1, rows.shape[-1]).index_copy_(0, layout.index, rows)
    return padded


@torch.compiler.disable
def _apply(function: Any, operations: Callable[..., Tensor], x: Tensor, layout: Layout) -> Tensor:
    """The function with a gradient of its own; torch's operations where a mode must see each of them."""
    return function.apply(x, layout) if modes.following(x) is None else operations(x, layout)


class Sequences:
    """Features (batch, time, features) of a ragged batch, held padded or as packed rows (rows, features).

    `raw` may hold anything past a sequence's end, `loose` anything finite; `padded` holds zeros there.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        padded: Tensor | None = None,
        loose: Tensor | None = None,
        rows: Tensor | None = None,
        raw: Tensor | None = None,
    ) -> None:
        self.layout = layout
        self._padded, self._loose, self._rows = padded, padded if loose is None else loose, rows
        self._raw = self._loose if raw is None else raw

    @classmethod
    @torch.compiler.disable(reason="lengths decide how many steps run: export with strict=False")
    def of(cls, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Sequences:
        """From (batch, time, features), whatever stands in the padding; all of x without lengths.

        lengths: (batch,) whole numbers, a tensor, a list or an array.
        Raises: ValueError; ZooError while a model is traced by torch.jit.
        """
        modes.refuse_tracing()
        if x.dim() != 3:
            raise ValueError(f"expected (batch, time, features), got {tuple(x.shape)}")
        count: Tensor | int = len(x)
        if lengths is not None:
            count = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths, device="cpu")
            if count.dim() != 1 or len(count) != len(x):
                shape = tuple(count.shape)
                raise ValueError(
                    f"expected one length for each of {len(x)} sequences, got {shape[0] if len(shape) == 1 else shape}"
                )
        layout = Layout(count, x.shape[1], x.device)
        return cls(layout, padded=x) if layout.equal else cls(layout, raw=x)

    @property
    def padded(self) -> Tensor:
        """(batch, time, features), zeros past the ends."""
        if self._padded is None:
            layout = self.layout
            if self._raw is not None:
                zeroed = self._raw if layout.equal else self._raw.masked_fill(~layout.mask.unsqueeze(-1), 0)
                self._padded = zeroed
            else:
                self._padded = _apply(_Unpack, _unpack, self.rows, layout)
            self._raw = self._loose = self._padded
        return self._padded

    @property
    def loose(self) -> Tensor:
        """(batch, time, features), anything finite past the ends."""
        return self.padded if self._loose is None else self._loose

    @property
    def rows(self) -> Tensor:
        """(rows, features) packed: step 0 of all sequences, longest first, then step 1, ..."""
        if self._rows is None:
            assert self._raw is not None
            self._rows = _apply(_Pack, _pack, self._raw, self.layout)
        return self._rows

    @property
    def packed(self) -> bool:
        """Whether the rows are there already."""
        return self._rows is not None

    def first(self) -> Tensor:
        """(live, features) of every sequence's first step, longest first, apart from the graph; makes no other form."""
        live = int(self.layout.alive[0])
        with torch.no_grad():
            if self._rows is not None:
                return self._rows[:live].detach().clone()
            return self.layout.sort(self.held[:, 0])[:live].detach().clone()

    @property
    def held(self) -> Tensor:
        """The features in one of the forms that are there."""
        held = self._rows if self._rows is not None else self._raw
        assert held is not None
        return held

    @property
    def features(self) -> int:
        """Features of a step."""
        return self.held.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        return self.held.dtype

    def map(self, function: Callable[..., Tensor], *others: Sequences) -> Sequences:
        """Apply a function of single steps (dropout, a sum, a concatenation of features) in the form at hand."""
        parts = (self, *others)
        if all(part._rows is not None and part._raw is None for part in parts):
            return Sequences(self.layout, rows=function(*(part.rows for part in parts)))
        return Sequences(self.layout, loose=function(*(part.loose for part in parts)))

    def at_ends(self) -> Tensor:
        """(batch, features) of each sequence's last step; zeros for an empty sequence."""
        return self._pick(self.layout.ends, reverse=False)

    def at_starts(self) -> Tensor:
        """(batch, features) of each sequence's first step; zeros for an empty sequence."""
        starts = torch.arange(self.layout.batch, device=self.layout.device) * self.layout.time
        return self._pick(starts, reverse=True)

    def _pick(self, places: Tensor, reverse: bool) -> Tensor:
        layout = self.layout
        if layout.longest == 0:
            return self.held.new_zeros(layout.batch, self.features)
        if self._raw is None:
            last = layout.row_ends(reverse, layout.total).clamp(max=layout.total - 1)
            picked = layout.unsort(self.rows.index_select(0, last))
        else:
            picked = self._raw.flatten(0, 1).index_select(0, places)
        return picked if layout.empty is None else picked.masked_fill(layout.empty, 0)
