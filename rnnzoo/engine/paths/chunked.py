"""Any cell's steps, compiled by torch.compile in chunks: for steps that are more than pointwise.

A chunk of steps is unrolled and compiled once, for any number of sequences; the loop over chunks stays in Python.
Sequences that end within a chunk are carried to its end, their state held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.cpp.build import Unbuildable, compiler
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.paths.reference import Reference, draw_masks, split
from rnnzoo.engine.sequences import Sequences

CHUNK = 10  # steps
VARIANTS = 64  # of compiled code: cells, sizes, training or not
log = logging.getLogger("rnnzoo")


class Chunked(Path):
    """Chunks of unrolled steps under torch.compile."""

    name = "compiled"

    def __init__(self) -> None:
        self.failed: WeakKeyDictionary[Cell, str] = WeakKeyDictionary()  # cells that torch.compile gave up on, and why

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell; None if it can."""
        if any(spec.dtype is not None and spec.dtype.is_complex for spec in cell.state_specs()):
            return "torch.compile makes no code for complex numbers"
        if cell.training and any(getattr(module, "track_running_stats", False) for module in cell.modules()):
            return "its steps gather running statistics, and a chunk goes on past the end of a sequence"
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
                return _run(cell, x, state, reverse, need_state)
        except Exception as cause:  # a plugin's cell or the compiler; the plain loop raises again what the cell raises
            self.failed[cell] = f"torch.compile failed: {type(cause).__name__}"
            log.warning("%s: %s. The plain loop runs in its place.", type(cell).__name__, self.failed[cell])
            return Reference().run(cell, x, state, reverse, need_state)


def _run(
    cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool
) -> tuple[Sequences, State | None]:
    layout = x.layout
    rows = x.rows.index_select(0, layout.row_reversal) if reverse else x.rows
    gx = cell.project(rows)
    first = cell.initial_state(layout.batch, x.rows) if state is None else state
    now = tuple(layout.sort(s) for s in first)
    noise = draw_masks(cell, layout, x.rows)
    if reverse:  # a mask stays with its step
        noise = [(mask.index_select(0, layout.row_reversal) if by_row else mask, by_row) for mask, by_row in noise]
    parts, places, from_parts = layout.chunks(CHUNK)
    counts = [CHUNK * live for live, _ in parts]
    gx_of = split(_pick(gx, places), counts)
    masks_of = [_pick(mask, places).split(counts) if by_row else mask for mask, by_row in noise]
    over_time: list[State] = []
    ended: list[State] = []  # shortest first
    for k, (live, real) in enumerate(parts):
        ended.append(tuple(s[live:] for s in now))
        now = tuple(s[:live] for s in now)
        masks = [
            mask[:live].expand(CHUNK, live, *mask.shape[1:]) if isinstance(mask, Tensor) else _steps(mask[k])
            for mask in masks_of
        ]
        given = (_steps(gx_of[k]), now, masks, None if layout.no_padding and bool(real.all()) else real)
        if not layout.no_padding and live > 1:
            for tensors, dimension in zip(given, (1, 0, 1, 1), strict=True):
                _any_number(tensors, dimension)
        steps, now = _compiled()(cell, *given)
        over_time.append(steps)
    states = tuple(torch.cat([s.flatten(0, 1) for s in some]) for some in zip(*over_time, strict=True))
    outputs = cell.readout(gx, tuple(s.index_select(0, from_parts) for s in states))
    outputs = outputs.index_select(0, layout.row_reversal) if reverse else outputs
    last = None
    if need_state:
        columns = zip(now, *reversed(ended), strict=True)
        last = tuple(layout.unsort(torch.cat([n, *(d.to(n.dtype) for d in some)])) for n, *some in columns)
    return Sequences(layout, rows=outputs), last


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., tuple[State, State]]:
    return torch.compile(_chunk)


def _chunk(cell: Cell, gx: Any, state: State, masks: list[Tensor], real: Tensor | None) -> tuple[State, State]:
    """gx and masks: (CHUNK, live, ...); real: (CHUNK, live) bool, None if all are. Gives all states, the last."""
    keeps = bool(cell.overrides("readout"))  # else the output is the first state, and no other is kept
    over_time = []
    for t, (gx_t, *masks_t) in enumerate(zip(_unbind(gx), *(mask.unbind() for mask in masks), strict=True)):
        new = cell.step(gx_t, state, *masks_t)
        over_time.append(new if keeps else new[:1])
        if real is None:
            state = new
        else:
            state = tuple(
                torch.where(real[t].view(-1, *[1] * (n.dim() - 1)), n, s.to(n.dtype))
                for n, s in zip(new, state, strict=True)
            )
    return tuple(torch.stack(s) for s in zip(*over_time, strict=True)), state


def _pick(gx: Any, places: Tensor) -> Any:
    return gx.index_select(0, places) if isinstance(gx, Tensor) else tuple(_pick(part, places) for part in gx)


def _steps(gx: Any) -> Any:
    """(CHUNK * live, ...) as (CHUNK, live, ...)."""
    return gx.unflatten(0, (CHUNK, -1)) if isinstance(gx, Tensor) else tuple(map(_steps, gx))


def _unbind(gx: Any) -> Any:
    return gx.unbind() if isinstance(gx, Tensor) else list(zip(*map(_unbind, gx), strict=True))


def _any_number(tensors: Any, dimension: int) -> None:
    """Compile for any size of a dimension."""
    if tensors is None:
        return
    if isinstance(tensors, Tensor):
        torch._dynamo.mark_dynamic(tensors, dimension)
    else:
        for tensor in tensors:
            _any_number(tensor, dimension)
