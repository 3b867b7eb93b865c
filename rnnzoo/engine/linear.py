"""Linear recurrences, h' = a * h + b: one fused multiply and add a step on the CPU, a parallel scan on CUDA."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnzoo.cells.base import Cell, LinearCell, State
from rnnzoo.engine.layout import Layout, Sequences


class Linear:
    """Coefficients of all steps at once, then one pass over time, and one back."""

    name = "linear"

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell; None if it can."""
        if not isinstance(cell, LinearCell):
            return "its step is not declared to be linear"
        if cell.overrides("step") or cell.noise or len(cell.state_specs()) != 1:
            return "its step is more than h' = a * h + b"
        return None

    def run(
        self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool
    ) -> tuple[Sequences, State | None]:
        """state: (batch, *shape), or None. Returns the outputs and the last state, in the batch's order."""
        assert isinstance(cell, LinearCell)
        layout = x.layout
        gx = cell.project(x.rows)
        (first,) = cell.initial_state(layout.batch, x.rows) if state is None else state
        a, b = cell.parts(gx)
        a, b = torch.broadcast_tensors(a, b)
        kind = torch.promote_types(torch.promote_types(a.dtype, b.dtype), first.dtype)
        scan = ParallelScan if layout.device.type == "cuda" else SequentialScan
        h, last = scan.apply(a.to(kind), b.to(kind), layout.sort(first).to(kind), layout, reverse)
        return Sequences(layout, rows=cell.readout(gx, (h,))), (layout.unsort(last),) if need_state else None


class SequentialScan(torch.autograd.Function):
    """a, b: packed rows (rows, *shape); first: (batch, *shape), longest sequence first. Gives all states, the last."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, a: Tensor, b: Tensor, first: Tensor, layout: Layout, reverse: bool
    ) -> tuple[Tensor, Tensor]:
        rows = len(b)
        states = torch.cat([b, first])
        for now, before in steps(layout, reverse, rows):
            states[now].addcmul_(a[now], states[before])
        ctx.save_for_backward(a, states)
        ctx.layout, ctx.reverse = layout, reverse
        ctx.set_materialize_grads(False)
        return states[:rows], states.index_select(0, layout.row_ends(reverse, rows))

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, of_states: Tensor | None, of_last: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        a, states = ctx.saved_tensors
        layout, reverse, rows = ctx.layout, ctx.reverse, len(a)
        gradient = torch.zeros_like(states)
        if of_states is not None:
            gradient[:rows] = of_states
        if of_last is not None:
            gradient.index_add_(0, layout.row_ends(reverse, rows), of_last)
        back = a.conj().resolve_conj()
        for now, before in reversed(steps(layout, reverse, rows)):
            gradient[before].addcmul_(back[now], gradient[now])
        of_b = gradient[:rows]
        of_a = of_b * states.index_select(0, layout.row_before(reverse)).conj()
        return of_a, of_b, gradient[rows:], None, None


def steps(layout: Layout, reverse: bool, rows: int) -> list[tuple[slice, slice]]:
    """Pairs of a step's rows and those of the states before them, in the order of the steps.

    A step whose sequences come partly from earlier rows and partly from first states (from `rows` on) is two pairs.
    """
    starts, alive = layout.starts.tolist(), layout.alive.tolist()
    count = len(alive)
    found = []
    for t in reversed(range(count)) if reverse else range(count):
        before = t + 1 if reverse else t - 1
        carried = min(alive[t], alive[before]) if 0 <= before < count else 0
        if carried:
            found.append((slice(starts[t], starts[t] + carried), slice(starts[before], starts[before] + carried)))
        if carried < alive[t]:
            found.append((slice(starts[t] + carried, starts[t] + alive[t]), slice(rows + carried, rows + alive[t])))
    return found


class ParallelScan(torch.autograd.Function):
    """The same on a rectangle (batch, time), in log2(time) rounds that each combine steps twice as far apart."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, a: Tensor, b: Tensor, first: Tensor, layout: Layout, reverse: bool
    ) -> tuple[Tensor, Tensor]:
        rows = len(b)
        states = torch.cat([doubled(a, b, first, layout, reverse), first])
        ctx.save_for_backward(a, states)
        ctx.layout, ctx.reverse = layout, reverse
        ctx.set_materialize_grads(False)
        return states[:rows], states.index_select(0, layout.row_ends(reverse, rows))

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, of_states: Tensor | None, of_last: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        a, states = ctx.saved_tensors
        layout, reverse, rows = ctx.layout, ctx.reverse, len(a)
        given = torch.zeros_like(states)
        if of_states is not None:
            given[:rows] = of_states
        if of_last is not None:
            given.index_add_(0, layout.row_ends(reverse, rows), of_last)
        before = layout.row_before(reverse)
        back = a.conj().resolve_conj()
        # what a row passes on is the a of the step after it: zero for the last of a sequence, where nothing comes back
        passed = torch.zeros_like(states).index_copy_(0, before, back)
        of_b = doubled(passed[:rows], given[:rows], torch.zeros_like(given[rows:]), layout, not reverse)
        of_first = given[rows:].index_add(0, *_to_first(before, rows, back * of_b))
        return of_b * states.index_select(0, before).conj(), of_b, of_first, None, None


def _to_first(before: Tensor, rows: int, values: Tensor) -> tuple[Tensor, Tensor]:
    of_first = before >= rows
    return before[of_first] - rows, values[of_first]


def doubled(a: Tensor, b: Tensor, first: Tensor, layout: Layout, reverse: bool) -> Tensor:
    """All states of h' = a * h + b, packed rows, by doubling (Hillis, Steele, doi:10.1145/7902.7903)."""
    decay, total = layout.grid(a), layout.grid(b)
    if reverse:
        decay, total = decay.flip(1), total.flip(1)  # a sequence now stands at the end; what is before it is zeros
        begins = layout.longest - layout.sorted_lengths
    else:
        begins = torch.zeros_like(layout.sorted_lengths)
    if layout.longest:
        slots = (layout.sorted_lengths > 0).nonzero().squeeze(1)
        places = slots, begins[slots]
        total = total.index_put(places, decay[places] * first[slots], accumulate=True)
    distance = 1
    while distance < layout.longest:
        later = decay[:, distance:]
        total = torch.cat([total[:, :distance], total[:, distance:] + later * total[:, :-distance]], 1)
        decay = torch.cat([decay[:, :distance], later * decay[:, :-distance]], 1)
        distance *= 2
    return layout.rows_of(total.flip(1) if reverse else total)
