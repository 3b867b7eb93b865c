"""Watching recurrent layers at work: every step of the plain loop, with its graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.layout import Layout


class Step(NamedTuple):
    """One step of all sequences that are alive, longest first.

    inputs: what the cell's `step` was given beside the state: gx and masks, (live, ...) each. before, after: the state
    that it was given and the one that it gave, (live, *shape) each.
    """

    inputs: tuple[Any, ...]
    before: State
    after: State


@dataclass
class Trace:
    """One pass of a cell over a batch: its steps, in the order in which they were computed."""

    cell: Cell
    reverse: bool
    layout: Layout
    steps: list[Step] = field(default_factory=list)


_traces: ContextVar[list[Trace] | None] = ContextVar("traces", default=None)


@contextmanager
def observed() -> Iterator[list[Trace]]:
    """Within it, each pass of the plain loop (path "reference") adds a trace to the list that this gives."""
    traces: list[Trace] = []
    token = _traces.set(traces)
    try:
        yield traces
    finally:
        _traces.reset(token)


def begin(cell: Cell, reverse: bool, layout: Layout) -> Trace | None:
    """The trace of a pass that begins; None where nobody watches."""
    if (traces := _traces.get()) is None:
        return None
    traces.append(Trace(cell, reverse, layout))
    return traces[-1]
