"""Linear recurrences, h' = a * h + b: one fused multiply and add a step on the CPU, a parallel scan on CUDA."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from rnnzoo.cells.base import Cell, LinearCell, State
from rnnzoo.cells.wrappers import Wrapper
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.sequences import Sequences
from rnnzoo.engine.tree import Tree


class LinearScan(Path):
    """Coefficients of all steps at once, then one pass over time, and one back."""

    name = "linear"

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell; None if it can."""
        if not isinstance(innermost(cell), LinearCell):
            return "its step is not declared to be linear"
        if cell.overrides("step", "after") or cell.noise or len(cell.state_specs()) != 1:
            return "its step is more than h' = a * h + b"
        return None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape), or None. Returns the outputs and the last state, in the batch's order."""
        layout = x.layout
        gx = cell.project(x.rows)
        (first,) = cell.initial_state(layout.batch, x.rows) if state is None else state
        a, b = coefficients(cell, gx)
        a, b = torch.broadcast_tensors(a, b)
        dtype = torch.promote_types(torch.promote_types(a.dtype, b.dtype), first.dtype)
        h, last = Scan.apply(a.to(dtype), b.to(dtype), layout.sort(first).to(dtype), layout, reverse)
        outputs = Sequences(layout, rows=cell.readout(gx, cell.as_state((h,))))
        return outputs, (layout.unsort(last),) if need_state else None


def innermost(cell: Cell) -> Cell:
    """The cell inside all wrappers."""
    return innermost(cell.cell) if isinstance(cell, Wrapper) else cell


def coefficients(cell: Cell, gx: Tree) -> tuple[Tensor, Tensor]:
    """a and b of all steps, (rows, *shape): of the innermost cell, whose step its wrappers leave as it is."""
    if isinstance(cell, Wrapper):
        return coefficients(cell.cell, cell.inner(gx))
    assert isinstance(cell, LinearCell)
    return cell.parts(gx)


class _Context(FunctionCtx):
    """What a forward pass leaves for its backward pass."""

    layout: Layout
    reverse: bool
    saved_tensors: tuple[Tensor, ...]


class Scan(torch.autograd.Function):
    """All states of a linear recurrence, and the last ones.

    Its gradient is a linear recurrence the other way, and computed as one: so it has gradients of any order.
    """

    @staticmethod
    def forward(
        ctx: _Context, a: Tensor, b: Tensor, first: Tensor, layout: Layout, reverse: bool
    ) -> tuple[Tensor, Tensor]:
        """a, b: packed rows (rows, *shape). first: (batch, *shape), longest sequence first.

        Returns all states, (rows, *shape), and the last ones, (batch, *shape).
        """
        scan = scan_parallel if layout.device.type == "cuda" else scan_sequential
        h = scan(a, b, first, layout, reverse)
        ctx.save_for_backward(a, first, h)
        ctx.layout, ctx.reverse = layout, reverse
        return h, torch.cat([h, first]).index_select(0, layout.last_rows(reverse, len(h)))

    @staticmethod
    def backward(ctx: _Context, of_h: Tensor, of_last: Tensor) -> tuple[Tensor | None, ...]:
        """of_h: (rows, *shape); of_last: (batch, *shape). Returns the gradients of a, b and first, in their shapes."""
        a, first, h = ctx.saved_tensors
        layout, reverse, rows = ctx.layout, ctx.reverse, len(h)
        before, zeros = layout.previous_rows(reverse), torch.zeros_like(first)
        direct = torch.cat([of_h, zeros]).index_add(0, layout.last_rows(reverse, rows), of_last)
        # a row passes back the a of the step after it: zero for a sequence's last step, where nothing comes back
        back = a.conj()
        passed = torch.zeros_like(direct).index_copy(0, before, back)[:rows]
        of_b, _ = Scan.apply(passed, direct[:rows], zeros, layout, not reverse)
        of_a = of_b * torch.cat([h, first]).index_select(0, before).conj()
        return of_a, of_b, direct.index_add(0, before, back * of_b)[rows:], None, None


def scan_sequential(a: Tensor, b: Tensor, first: Tensor, layout: Layout, reverse: bool) -> Tensor:
    """All states of h' = a * h + b, step by step. Shapes as in `Scan.forward`."""
    states = torch.cat([b, first])
    for now, before in _row_pairs(layout, reverse, len(b)):
        states[now].addcmul_(a[now], states[before])
    return states[: len(b)]


def _row_pairs(layout: Layout, reverse: bool, rows: int) -> list[tuple[slice, slice]]:
    """Pairs of a step's rows and those of the states before them, in the order of the steps.

    A step whose sequences come partly from earlier rows and partly from first states (from `rows` on) is two pairs.
    """
    starts, sizes = layout.step_starts.tolist(), layout.batch_sizes.tolist()
    count = len(sizes)
    pairs = []
    for t in reversed(range(count)) if reverse else range(count):
        before = t + 1 if reverse else t - 1
        carried = min(sizes[t], sizes[before]) if 0 <= before < count else 0
        if carried:
            pairs.append((slice(starts[t], starts[t] + carried), slice(starts[before], starts[before] + carried)))
        if carried < sizes[t]:
            pairs.append((slice(starts[t] + carried, starts[t] + sizes[t]), slice(rows + carried, rows + sizes[t])))
    return pairs


def scan_parallel(a: Tensor, b: Tensor, first: Tensor, layout: Layout, reverse: bool) -> Tensor:
    """The same in log2(time) rounds, combining steps ever further apart (Hillis, Steele, doi:10.1145/7902.7903)."""
    decay, total = layout.to_grid(a), layout.to_grid(b)
    if reverse:
        decay, total = decay.flip(1), total.flip(1)  # a sequence is now at the end, after zeros
        begins = layout.longest - layout.sorted_lengths
    else:
        begins = torch.zeros_like(layout.sorted_lengths)
    if layout.longest:
        slots = (layout.sorted_lengths > 0).nonzero().squeeze(1)
        at_first_step = slots, begins[slots]
        total = total.index_put(at_first_step, decay[at_first_step] * first[slots], accumulate=True)
    distance = 1
    while distance < layout.longest:
        later = decay[:, distance:]
        total = torch.cat([total[:, :distance], total[:, distance:] + later * total[:, :-distance]], 1)
        decay = torch.cat([decay[:, :distance], later * decay[:, :-distance]], 1)
        distance *= 2
    return layout.from_grid(total.flip(1) if reverse else total)
