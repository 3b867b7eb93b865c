"""Generated native code for pointwise cells on the CPU: the whole time loop in C++, over packed rows, no padding."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.codegen.trace_cache import PerCell, PerTrace, traced
from rnnzoo.engine.cpp.autograd import Scan
from rnnzoo.engine.cpp.build import Unbuildable
from rnnzoo.engine.cpp.job import Job, Start
from rnnzoo.engine.cpp.library import Library
from rnnzoo.engine.once import Once
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.paths.noise import draw_masks
from rnnzoo.engine.sequences import Sequences

SMALLEST, ROWS = 8, 256  # sequences and steps of a part, below which a thread costs more than it brings


class Native(Path):
    """The generated loop."""

    name = "native"

    def __init__(self) -> None:
        self.log = Once(logging.getLogger("rnnzoo"))
        self.library = PerCell(self._library)  # of a cell as it is now, or why there is none
        self._libraries = PerTrace(Library)

    def _library(self, cell: Cell) -> Library | str:
        trace = traced(cell)
        if isinstance(trace, str):
            return trace
        try:
            return self._libraries(trace)
        except Unbuildable as cause:
            self.warn(str(cause))
            return str(cause)

    def warn(self, reason: str) -> None:
        """Say once why generated code does not run."""
        self.log.warn("no native code: %s. A slower path runs in its place.", reason)

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell here; None if it can."""
        if x.layout.device.type != "cpu":
            return "native code is for the CPU"
        half = torch.is_autocast_enabled("cpu")  # what autocast made smaller is widened again
        if any(p.dtype != torch.float32 for p in cell.parameters()) or (x.dtype != torch.float32 and not half):
            return "native code is for float32"
        library = self.library(cell)
        return library if isinstance(library, str) else None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        return self.run_together([cell], x, [state], [reverse], need_state)[0]

    def run_together(
        self,
        cells: Sequence[Cell],
        x: Sequences,
        states: Sequence[State | None],
        reverse: Sequence[bool],
        need_state: bool,
    ) -> list[Result]:
        """`run` for several cells on the same input, the directions of a layer say, side by side on threads.

        Threads to spare each take a part of the batch: every n-th sequence, so that all have about as much to do.
        """
        if torch.is_autocast_enabled("cpu"):
            wide = [None if state is None else tuple(s.float() for s in state) for state in states]
            with torch.autocast("cpu", enabled=False):
                return self.run_together(cells, x.map(Tensor.float), wide, reverse, need_state)
        layout = x.layout
        shards = layout.shards(_worthwhile_shards(len(cells), x))
        jobs: list[Job] = []
        for cell, state, backwards in zip(cells, states, reverse, strict=True):
            start = _start(cell, x, state)
            masks = draw_masks(cell, layout, x.at_hand)
            code = self.library(cell)
            assert isinstance(code, Library)
            table = _table(cell, x)
            jobs += [Job(cell, code, x, shard, start, masks, backwards, table) for shard in shards]
        tensors = iter(Scan.apply(jobs, self.warn, *itertools.chain(*(job.tensors for job in jobs))))
        results: list[Result] = []
        for k, cell in enumerate(cells):
            outputs, last = [], []
            for job in jobs[k * len(shards) : (k + 1) * len(shards)]:
                over_time = tuple(itertools.islice(tensors, job.states))
                last.append(tuple(itertools.islice(tensors, job.states)))
                own = cell.overrides("readout")
                outputs.append(cell.readout(job.projected, cell.as_state(over_time)) if own else over_time[0])
            rows = outputs[0] if len(shards) == 1 else torch.cat(outputs).index_select(0, layout.rows_from_shards)
            end = tuple(layout.unsort(_interleaved(parts)) for parts in zip(*last, strict=True)) if need_state else None
            results.append((Sequences(layout, rows=rows), end))
        return results


def _start(cell: Cell, x: Sequences, state: State | None) -> Start:
    """The first states of a batch, longest sequence first."""
    own_start = bool(cell.overrides("initial_state")) or any(spec.initial for spec in cell.state_specs())
    first = cell.initial_state(x.layout.batch, x.at_hand) if state is None else state
    return Start(tuple(x.layout.sort(s) for s in first), zero=state is None and not own_start)


def _table(cell: Cell, x: Sequences) -> Tensor | None:
    """(distinct, gates * hidden_size): what the gates take of each of x's distinct features, projected once."""
    if x.distinct is None or cell.training or cell.overrides("readout") or not torch.is_inference_mode_enabled():
        return None
    return cell.gates_of(cell.project(x.distinct.features)).contiguous()


def _worthwhile_shards(cells: int, x: Sequences) -> int:
    """How many parts a batch is worth."""
    spare = max(1, torch.get_num_threads() // cells)
    return spare if x.layout.batch >= SMALLEST * spare and x.layout.num_rows >= ROWS * spare else 1


def _interleaved(parts: tuple[Tensor, ...]) -> Tensor:
    """Every n-th row from each of n parts."""
    if len(parts) == 1:
        return parts[0]
    order = torch.cat([torch.arange(k, sum(map(len, parts)), len(parts)) for k in range(len(parts))])
    return torch.cat(parts).index_select(0, order.argsort())
