"""Any cell's steps, compiled by torch.compile in chunks: for steps that are more than pointwise.

A chunk of steps is unrolled and compiled once, for any number of sequences; the loop over chunks stays in Python.
Sequences that end within a chunk are carried to its end, their state held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell, Named, State
from rnnzoo.engine import tree
from rnnzoo.engine.cpp.build import Unbuildable, compiler
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.paths.noise import Mask, draw_masks
from rnnzoo.engine.paths.reference import Reference
from rnnzoo.engine.sequences import Sequences
from rnnzoo.engine.tree import Tree

CHUNK = 10  # steps
VARIANTS = 64  # of compiled code: cells, sizes, training or not
log = logging.getLogger("rnnzoo")
ChunkFunction = Callable[[Cell, Tree, Named, list[Tensor], Tensor | None], tuple[State, State]]


class Chunked(Path):
    """Chunks of unrolled steps under torch.compile."""

    name = "compiled"

    def __init__(self) -> None:
        self.failed: WeakKeyDictionary[Cell, str] = WeakKeyDictionary()  # cells that torch.compile gave up on, and why

    @cached_property
    def chunk(self) -> ChunkFunction:
        """`run_chunk`, compiled for each kind of cell and input when it is first called with one."""
        return torch.compile(run_chunk)

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell; None if it can."""
        if any(spec.dtype is not None and spec.dtype.is_complex for spec in cell.state_specs()):
            return "torch.compile makes no code for complex numbers"
        if cell.training and any(getattr(module, "track_running_stats", False) for module in cell.modules()):
            return "its steps gather running statistics, and a chunk runs past the end of a sequence"
        if x.layout.longest == 0:
            return "every sequence is empty"
        if x.layout.device.type == "cpu":
            try:
                compiler()
            except Unbuildable as cause:
                return str(cause)
        return self.failed.get(cell)

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        try:
            with torch._dynamo.config.patch(recompile_limit=VARIANTS):
                return self._run(cell, x, state, reverse, need_state)
        except Exception as cause:  # a plugin's cell or the compiler; the plain loop raises again what the cell raises
            self.failed[cell] = f"torch.compile failed: {type(cause).__name__}"
            log.warning("%s: %s. The plain loop runs in its place.", type(cell).__name__, self.failed[cell])
            return Reference().run(cell, x, state, reverse, need_state)

    def _run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        layout = x.layout
        rows = x.rows.index_select(0, layout.row_reversal) if reverse else x.rows
        gx = cell.project(rows)
        first = cell.initial_state(layout.batch, x.rows) if state is None else state
        now = tuple(layout.sort(s) for s in first)
        masks = draw_masks(cell, layout, x.rows)
        if reverse:  # a mask stays with its step
            masks = [m._replace(values=m.values.index_select(0, layout.row_reversal)) if m.by_row else m for m in masks]
        chunks = layout.chunks(CHUNK)
        sizes = [CHUNK * part.live for part in chunks.parts]
        gx_of = tree.split(_select(gx, chunks.rows), sizes)
        masks_of = [_by_chunk(mask, layout) for mask in masks]
        over_time: list[State] = []
        ended: list[State] = []  # shortest first
        for k, (live, real) in enumerate(chunks.parts):
            ended.append(tuple(s[live:] for s in now))
            now = cell.as_state(s[:live] for s in now)
            gx_k, masks_k = _as_steps(gx_of[k]), [mask[k] for mask in masks_of]
            real_k = None if layout.no_padding and bool(real.all()) else real
            if not layout.no_padding and live > 1:
                _any_size(1, gx_k, *masks_k, *(() if real_k is None else (real_k,)))
                _any_size(0, now)
            steps, now = self.chunk(cell, gx_k, now, masks_k, real_k)
            over_time.append(steps)
        states = tuple(torch.cat([s.flatten(0, 1) for s in some]) for some in zip(*over_time, strict=True))
        states = tuple(s.index_select(0, chunks.places) for s in states)
        outputs = cell.readout(gx, cell.as_state(states)) if cell.overrides("readout") else states[0]
        outputs = outputs.index_select(0, layout.row_reversal) if reverse else outputs
        last = None
        if need_state:
            columns = zip(now, *reversed(ended), strict=True)
            last = tuple(layout.unsort(torch.cat([n, *(d.to(n.dtype) for d in some)])) for n, *some in columns)
        return Sequences(layout, rows=outputs), last


def run_chunk(cell: Cell, gx: Tree, named: Named, masks: list[Tensor], real: Tensor | None) -> tuple[State, State]:
    """CHUNK steps of `live` sequences.

    gx, masks: (CHUNK, live, ...). named: the state, (live, *shape) each. real: (CHUNK, live) bool, False past a
    sequence's end; None if all are real. Returns the states of all steps, (CHUNK, live, *shape) each, and the last one.
    """
    all_states = bool(cell.overrides("readout"))  # else the output is the first state, and no other is needed
    by_name, state = type(named), tuple(named)
    over_time = []
    gx_of = tree.cut(gx, Tensor.unbind, CHUNK)
    for t, (gx_t, *masks_t) in enumerate(zip(gx_of, *(mask.unbind() for mask in masks), strict=True)):
        new = cell.step(gx_t, by_name._make(state), *masks_t)
        over_time.append(new if all_states else new[:1])
        if real is None:
            state = new
        else:
            state = tuple(
                torch.where(real[t].view(-1, *[1] * (n.dim() - 1)), n, s.to(n.dtype))
                for n, s in zip(new, state, strict=True)
            )
    return tuple(torch.stack(s) for s in zip(*over_time, strict=True)), state


def _select(gx: Tree, rows: Tensor) -> Tree:
    return tree.apply(lambda tensor: tensor.index_select(0, rows), gx)


def _as_steps(gx: Tree) -> Tree:
    """(CHUNK * live, ...) as (CHUNK, live, ...)."""
    return tree.apply(lambda tensor: tensor.unflatten(0, (CHUNK, -1)), gx)


def _by_chunk(mask: Mask, layout: Layout) -> Sequence[Tensor]:
    """(CHUNK, live, *shape) for each chunk."""
    chunks, values = layout.chunks(CHUNK), mask.values
    sizes = [part.live for part in chunks.parts]
    if mask.by_row:
        parts = values.index_select(0, chunks.rows).split([CHUNK * live for live in sizes])
        return [part.unflatten(0, (CHUNK, -1)) for part in parts]
    return [values[:live].expand(CHUNK, live, *values.shape[1:]) for live in sizes]


def _any_size(dimension: int, *trees: Tree) -> None:
    """Compile for any size of a dimension."""
    for one in trees:
        tree.apply(partial(_marked, dimension), one)


def _marked(dimension: int, tensor: Tensor) -> Tensor:
    torch._dynamo.mark_dynamic(tensor, dimension)
    return tensor
