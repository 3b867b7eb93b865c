"""One run of a generated loop: which tensors go into it, and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.cells.base import Cell
from rnnzoo.engine.codegen.ir import run
from rnnzoo.engine.codegen.tracer import channel_values
from rnnzoo.engine.cpp.library import Library, Values
from rnnzoo.engine.layout import Shard
from rnnzoo.engine.paths.noise import Mask
from rnnzoo.engine.sequences import Sequences

PACKED_BELOW = 0.8  # share of real steps in a padded batch up to which its rows are better packed first


class Start(NamedTuple):
    """The first states of a batch, (batch, hidden_size) each, longest sequence first; zero: whether they are zeros."""

    states: tuple[Tensor, ...]
    zero: bool


class Inputs(NamedTuple):
    """What a job multiplies and adds; None where there is none.

    x: (rows, features), in any order of rows, or gx (rows, gates * hidden_size) without weight_ih. first: the first
    states, (batch, hidden_size) each. channels: what else the step reads, (hidden_size,) each.
    """

    x: Tensor
    weight_ih: Tensor | None
    bias_ih: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    first: Sequence[Tensor]
    channels: Sequence[Tensor]


class Job:
    """A cell over a shard of a batch, in one direction.

    tensors: x, weight_ih, bias_ih, weight, bias (see `Inputs`), the first states, the channels.
    table: (distinct, gates * hidden_size), what the gates take of each of x's distinct features; for no backward pass.
    projected: what `Cell.project` gave for the shard's rows, if the engine could not do it.
    """

    def __init__(
        self,
        cell: Cell,
        code: Library,
        x: Sequences,
        shard: Shard,
        start: Start,
        masks: Sequence[Mask],
        reverse: bool,
        table: Tensor | None = None,
    ) -> None:
        trace = code.trace
        self.code, self.layout, self.reverse = code, shard.layout, reverse
        self.blocks = 1 if cell.core is None else cell.core.blocks
        self.hidden, self.states, self.zero_start = cell.hidden_size, trace.states, start.zero
        self.used_up = False  # whether `backward` has overwritten what `forward` left
        self.projected: object = None
        self.position: Tensor | None = None  # of each row in x, where that is not packed
        weight, bias = _product(cell, code)
        self.masks = [
            Mask((shard.select_rows if mask.by_row else shard.select_slots)(mask.values), mask.by_row) for mask in masks
        ]
        own = cell.core or cell
        self.symbol = None if table is None else shard.select_rows(x.symbols)  # of each row, in the table
        extra = bias if trace.additive else None  # added to what comes from the input
        if table is not None:
            inputs = [table if extra is None else table + extra, None, None]
        elif cell.overrides("project", "readout") or not own.gates:
            self.projected = cell.project(shard.select_rows(x.rows))
            gx = cell.gates_of(self.projected)
            inputs = [gx if extra is None else gx + extra, None, None]
        else:
            packed = x.has_rows or shard.rows is not None or x.layout.valid_share < PACKED_BELOW
            self.position = None if packed else x.layout.padded_index
            source = shard.select_rows(x.rows) if packed else x.padded_finite.flatten(0, 1)
            inputs = [source, own.weight_ih, own.bias_ih if extra is None else own.bias_ih + extra]
        self.tensors: list[Tensor | None] = [
            *inputs,
            weight,
            None if trace.additive else bias,
            *map(shard.select_slots, start.states),
            *channel_values(cell, trace.channels),
        ]

    def _named(self, tensors: Sequence[Tensor | None]) -> Inputs:
        x, weight_ih, bias_ih, weight, bias, *rest = tensors
        present = [tensor for tensor in rest if tensor is not None]  # all of them
        assert x is not None
        return Inputs(x, weight_ih, bias_ih, weight, bias, present[: self.states], present[self.states :])

    def forward(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        """All states over time, (rows, hidden_size) each, then the last ones, (batch, hidden_size) each."""
        inputs = self._named([None if t is None else t.detach().contiguous() for t in tensors])
        x, weight_ih = inputs.x, inputs.weight_ih
        trace, rows, batch, hidden = self.code.trace, self.layout.num_rows, self.layout.batch, self.hidden
        kept = [rows if self.symbol is None or k == 0 else 0 for k in range(self.states)]  # of a table's, one over time
        buffers = [x.new_empty(steps + batch, hidden) for steps in kept]
        for buffer, steps, first in zip(buffers, kept, inputs.first, strict=True):
            buffer[steps:] = first
        if self.symbol is not None:
            gx = x.new_empty(self.code.tile, x.shape[1])
        else:
            gx = x.clone() if weight_ih is None else x.new_empty(rows, len(weight_ih))
        features = 0 if weight_ih is None else x.shape[1]
        self.gx, self.gh = gx, torch.empty_like(gx) if trace.products and not trace.additive else None
        self.inputs = inputs if weight_ih is not None else inputs._replace(x=gx)  # whose x the scan has overwritten
        self.values: Values = {
            "steps": self.layout.longest,
            "rows": rows,
            "hidden": hidden,
            "blocks": self.blocks,
            "input": features,
            "reverse": int(self.reverse),
            "has_first": int(not self.zero_start),
            "batch_sizes": self.layout.batch_sizes,
            "x": None if weight_ih is None else x,
            "position": self.position,
            "weight_ih": weight_ih,
            "bias_ih": inputs.bias_ih,
            "table": None if self.symbol is None else x,
            "symbol": self.symbol,
            "gx": self.gx,
            "gh": self.gh,
            "state": buffers,
            "noise": [mask.values for mask in self.masks],
            "noise_by_row": [int(mask.by_row) for mask in self.masks],
            "channel": inputs.channels,
            "weight": inputs.weight,
            "bias": inputs.bias,
            "scratch": gx.new_empty(self.code.scratch_size(hidden, self.blocks, features)),
            "before": self.layout.lengths.new_empty(rows),
        }
        self.code.run_forward(self.values)
        self.used_up = False
        ends = self.layout.last_rows(self.reverse, rows)
        last = [b.index_select(0, ends) if steps else b for b, steps in zip(buffers, kept, strict=True)]
        return [*(b[:steps] for b, steps in zip(buffers, kept, strict=True)), *last]

    def backward(
        self, tensors: Sequence[Tensor | None], gradients: Sequence[Tensor | None], need_dx: bool
    ) -> list[Tensor | None]:
        """Gradients of `tensors`, in their shapes, from those of what `forward` returned."""
        if self.used_up:
            self.forward(tensors)
        self.used_up = True
        inputs, gx = self.inputs, self.gx
        of_last = [
            gx.new_zeros(self.layout.batch, self.hidden) if g is None else g.contiguous().clone()
            for g in gradients[self.states :]
        ]
        of_channels = [gx.new_zeros(self.hidden) for _ in inputs.channels]
        dx = None
        if need_dx and inputs.weight_ih is not None:  # of a step in the padding, the gradient is zero
            packed = len(inputs.x) == self.layout.num_rows
            dx = torch.empty_like(inputs.x) if packed else torch.zeros_like(inputs.x)
        of_weights = [
            None if tensor is None else torch.zeros_like(tensor)
            for tensor in (inputs.weight_ih, inputs.bias_ih, inputs.weight, inputs.bias)
        ]
        self.code.run_backward(
            self.values
            | {
                "dy": [None if g is None else g.contiguous() for g in gradients[: self.states]],
                "ds": of_last,
                "dgx": gx,
                "dgh": gx if self.gh is None else self.gh,
                "dchannel": of_channels,
                "dx": dx,
                **dict(zip(("dweight_ih", "dbias_ih", "dweight", "dbias"), of_weights, strict=True)),
            }
        )
        return [gx if inputs.weight_ih is None else dx, *of_weights, *of_last, *of_channels]

    def replay(self, tensors: Sequence[Tensor | None]) -> list[Tensor]:
        """What `forward` returns, by torch's operations, which can be differentiated twice."""
        inputs, trace = self._named(tensors), self.code.trace
        x, first, sizes = inputs.x, inputs.first, self.layout.batch_sizes.tolist()
        x = x if self.position is None else x.index_select(0, self.position)
        gx = (x if inputs.weight_ih is None else F.linear(x, inputs.weight_ih, inputs.bias_ih)).split(sizes)
        masks = [mask.steps(sizes) for mask in self.masks]
        states: dict[int, list[Tensor]] = {}
        for t in reversed(range(len(sizes))) if self.reverse else range(len(sizes)):
            before = states.get(t + 1 if self.reverse else t - 1, [f[:0] for f in first])
            carried = min(sizes[t], len(before[0]))
            now = [torch.cat([b[:carried], f[carried : sizes[t]]]) for b, f in zip(before, first, strict=True)]
            gates: Sequence[Tensor] = gx[t].chunk(trace.gates, -1)
            products: Sequence[Tensor] = ()
            if inputs.weight is not None:
                products = multiply(now[0], inputs.weight, trace.gates, inputs.bias).chunk(trace.gates, -1)
            if trace.additive:
                gates, products = [a + b for a, b in zip(gates, products, strict=True)], ()
            noise = [mask[t] for mask in masks]
            channels = [channel.expand_as(now[0]) for channel in inputs.channels]
            states[t] = run(trace.forward, [*gates, *products, *now, *noise, *channels])
        ends = self.layout.last_rows(self.reverse, len(self.gx))
        over_time = [torch.cat([states[t][k] for t in range(len(sizes))] or [f[:0]]) for k, f in enumerate(first)]
        last = [torch.cat([o, f]).index_select(0, ends) for o, f in zip(over_time, first, strict=True)]
        return over_time + last


def _product(cell: Cell, code: Library) -> tuple[Tensor | None, Tensor | None]:
    """The weight and the bias of the recurrent product, if there is one."""
    product = code.trace.product
    if product is None:
        return None, None
    weight: Tensor = attrgetter(product.weight)(cell)
    return weight, weight.new_zeros(weight.shape[0]) if product.bias is None else attrgetter(product.bias)(cell)


def multiply(h: Tensor, weight: Tensor, gates: int, bias: Tensor | None) -> Tensor:
    """The recurrent product (batch, gates * hidden_size), dense or block by block."""
    if weight.dim() == 2:
        return F.linear(h, weight, bias)
    blocks = torch.einsum("bki,gkoi->bgko", h.unflatten(-1, (weight.shape[1], -1)), weight).flatten(1)
    return blocks if bias is None else blocks + bias
