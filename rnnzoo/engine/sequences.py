"""The features of a ragged batch: padded for layers that want rectangles, packed for loops that skip padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

from rnnzoo.engine import modes
from rnnzoo.engine.layout import Layout, layout_maker
from rnnzoo.engine.uncompiled import uncompiled


class Distinct(NamedTuple):
    """Steps that have few different features: (distinct, features), and the one of each step, (batch, time) int64."""

    features: Tensor
    number: Tensor


class Sequences:
    """Features (batch, time, features) of a ragged batch, held padded or as packed rows (rows, features).

    It is made from one form; the others are computed when first used. padded: zeros past a sequence's end.
    padded_finite: any finite numbers there. padded_raw: anything there, NaN too. rows: no padding at all.
    distinct: the features of each symbol that occurs, and which of them each step has.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        padded: Tensor | None = None,
        padded_finite: Tensor | None = None,
        padded_raw: Tensor | None = None,
        rows: Tensor | None = None,
        distinct: Distinct | None = None,
    ) -> None:
        self.layout = layout
        self._rows, self._padded = rows, padded
        self._finite = padded if padded_finite is None else padded_finite
        self._given = self._finite if padded_raw is None else padded_raw
        self.distinct = distinct

    @classmethod
    @uncompiled("lengths decide how many steps run: export with strict=False")
    def of(cls, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Sequences:
        """From (batch, time, features), whatever the padding holds; all of x without lengths.

        lengths: (batch,) whole numbers, a tensor, a list or an array.
        Raises: ValueError; ZooError while a model is traced by torch.jit.
        """
        modes.refuse_tracing()
        if x.dim() != 3:
            raise ValueError(f"expected (batch, time, features), got {tuple(x.shape)}")
        count: Tensor | int = x.shape[0]  # not len: an exporter's is a symbol
        if lengths is not None:
            count = lengths if isinstance(lengths, Tensor) else torch.as_tensor(lengths, device="cpu")
            if count.dim() != 1 or count.shape[0] != x.shape[0]:
                shape = tuple(count.shape)
                raise ValueError(
                    f"expected one length for each of {len(x)} sequences, got {shape[0] if len(shape) == 1 else shape}"
                )
        layout = layout_maker.get()(count, x.shape[1], x.device)
        return cls(layout, padded=x) if layout.no_padding else cls(layout, padded_raw=x)

    # -- forms

    @property
    def _raw(self) -> Tensor | None:
        """(batch, time, features), anything past the ends; None if there are rows alone."""
        if self._given is None and self.distinct is not None:
            self._given = F.embedding(self.distinct.number, self.distinct.features)
        return self._given

    @cached_property
    def symbols(self) -> Tensor:
        """(rows,) int64, which of the distinct features each packed row has."""
        assert self.distinct is not None
        return _pack(self.distinct.number.unsqueeze(-1), self.layout).squeeze(-1)

    @property
    def padded(self) -> Tensor:
        """(batch, time, features), zeros past the ends."""
        if self._padded is None:
            layout = self.layout
            if self._raw is None:
                self._padded = _apply(_Unpack, _unpack, self.rows, layout)
            elif layout.no_padding:
                self._padded = self._raw
            else:
                self._padded = self._raw.masked_fill(~layout.mask.unsqueeze(-1), 0)
            self._given = self._finite = self._padded
        return self._padded

    @property
    def padded_finite(self) -> Tensor:
        """(batch, time, features), any finite numbers past the ends."""
        if self._finite is None and self.distinct is not None:
            self._finite = self._raw
        return self.padded if self._finite is None else self._finite

    @property
    def rows(self) -> Tensor:
        """(rows, features) packed: step 0 of all sequences, longest first, then step 1, ..."""
        if self._rows is None:
            assert self._raw is not None
            self._rows = _apply(_Pack, _pack, self._raw, self.layout)
        return self._rows

    @property
    def has_rows(self) -> bool:
        """Whether the packed rows are there already."""
        return self._rows is not None

    @property
    def at_hand(self) -> Tensor:
        """The features in a form that is there: (rows, features), or (batch, time, features) with any padding.

        Or (distinct, features): whoever asks wants their number, dtype and device.
        """
        if self._rows is None and self._given is None and self.distinct is not None:
            return self.distinct.features
        tensor = self._rows if self._rows is not None else self._raw
        assert tensor is not None
        return tensor

    @property
    def features(self) -> int:
        """Features of a step."""
        return self.at_hand.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        """Of the features."""
        return self.at_hand.dtype

    # -- single steps

    def first_steps(self) -> Tensor:
        """(live, features) of every sequence's first step, longest first, cut from the graph; makes no other form."""
        live = int(self.layout.batch_sizes[0])
        with torch.no_grad():
            if self._rows is not None:
                return self._rows[:live].detach().clone()
            if self._given is None and self.distinct is not None:
                first = F.embedding(self.distinct.number[:, 0], self.distinct.features)
            else:
                first = self.at_hand[:, 0]
            return self.layout.sort(first)[:live].detach().clone()

    def at_ends(self) -> Tensor:
        """(batch, features) of each sequence's last step; zeros for an empty sequence."""
        return self._select(self.layout.last_positions, reverse=False)

    def at_starts(self) -> Tensor:
        """(batch, features) of each sequence's first step; zeros for an empty sequence."""
        starts = torch.arange(self.layout.batch, device=self.layout.device) * self.layout.time
        return self._select(starts, reverse=True)

    def _select(self, positions: Tensor, reverse: bool) -> Tensor:
        """(batch, features) at positions of the flattened (batch * time), the last ones in that direction."""
        layout = self.layout
        if layout.longest == 0:
            return self.at_hand.new_zeros(layout.batch, self.features)
        if self._raw is None:
            last = layout.last_rows(reverse, layout.num_rows).clamp(max=layout.num_rows - 1)
            selected = layout.unsort(self.rows.index_select(0, last))
        else:
            selected = self._raw.flatten(0, 1).index_select(0, positions)
        return selected if layout.empty_mask is None else selected.masked_fill(layout.empty_mask, 0)

    def map(self, function: Callable[..., Tensor], *others: Sequences) -> Sequences:
        """Apply a function of single steps (dropout, a sum, a concatenation of features) in the form at hand."""
        parts = (self, *others)
        if all(part._rows is not None and part._raw is None for part in parts):
            return Sequences(self.layout, rows=function(*(part.rows for part in parts)))
        return Sequences(self.layout, padded_finite=function(*(part.padded_finite for part in parts)))


# -- padded and packed ----------------------------------------------------------------------------------------------


class _Context(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    layout: Layout


class _Pack(torch.autograd.Function):
    """(batch, time, features) to packed rows; its gradient unpacks into zeros."""

    @staticmethod
    def forward(ctx: _Context, padded: Tensor, layout: Layout) -> Tensor:
        """padded: (batch, time, features). Returns (rows, features)."""
        ctx.layout = layout
        return _pack(padded, layout)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None]:
        """gradient: (rows, features). Returns (batch, time, features)."""
        return _Unpack.apply(gradient, ctx.layout), None


class _Unpack(torch.autograd.Function):
    """Packed rows to (batch, time, features), zeros past the ends; its gradient packs."""

    @staticmethod
    def forward(ctx: _Context, rows: Tensor, layout: Layout) -> Tensor:
        """rows: (rows, features). Returns (batch, time, features)."""
        ctx.layout = layout
        return _unpack_copy(rows, layout)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None]:
        """gradient: (batch, time, features). Returns (rows, features)."""
        return _Pack.apply(gradient, ctx.layout), None


def _pack(padded: Tensor, layout: Layout) -> Tensor:
    if layout.no_padding:
        return padded.transpose(0, 1).flatten(0, 1)
    return padded.flatten(0, 1).index_select(0, layout.padded_index)


def _unpack(rows: Tensor, layout: Layout) -> Tensor:
    if layout.no_padding:
        steps: Tensor = rows.unflatten(0, (layout.time, layout.batch))
        return steps.transpose(0, 1).contiguous()
    flat = rows.new_zeros(layout.batch * layout.time, rows.shape[-1]).index_copy(0, layout.padded_index, rows)
    grid: Tensor = flat.unflatten(0, (layout.batch, layout.time))
    return grid


def _unpack_copy(rows: Tensor, layout: Layout) -> Tensor:
    """The same in memory of its own, not a view: so that it may be changed in place."""
    padded = rows.new_zeros(layout.batch, layout.time, rows.shape[-1])
    if layout.no_padding:
        return padded.copy_(rows.unflatten(0, (layout.time, layout.batch)).transpose(0, 1))
    padded.view(-1, rows.shape[-1]).index_copy_(0, layout.padded_index, rows)
    return padded


@uncompiled("the function has a gradient of its own")
def _apply(function: type[_Pack | _Unpack], operations: Callable[..., Tensor], x: Tensor, layout: Layout) -> Tensor:
    """The function with a gradient of its own; torch's operations where a mode must see each of them."""
    return function.apply(x, layout) if modes.watching(x) is None else operations(x, layout)
