"""The plain loop over time: any cell, any lengths, either direction. The truth that every faster path must equal."""

from __future__ import annotations

import torch

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine import observe, tree
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.paths.noise import draw_masks
from rnnzoo.engine.sequences import Sequences


class Reference(Path):
    """Step by step over packed rows: a step touches only the sequences that are still alive."""

    name = "reference"
    steps_in_python = in_every_mode = True

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """None: this path runs every cell."""
        return None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        layout = x.layout
        gx = cell.project(x.rows)
        first = cell.initial_state(layout.batch, x.rows) if state is None else state
        now = tuple(layout.sort(s) for s in first)
        masks = draw_masks(cell, layout, x.rows)
        sizes = layout.batch_sizes_list
        gx_of = tree.split(gx, sizes)
        masks_of = [mask.steps(sizes) for mask in masks]

        by_name = cell.state_type._make
        all_states = bool(cell.overrides("readout"))  # else the output is the first state, and no other is needed
        waiting = now  # reversed sequences begin one after the other, each with its own first state
        done: list[State] = []  # forward sequences that have ended, shortest first
        steps: list[State] = []
        trace = observe.begin(cell, reverse, layout)
        live = sizes[-1] if sizes and reverse else layout.batch
        now = tuple(s[:live] for s in now)
        for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
            if sizes[t] > live:
                now = tuple(torch.cat([s, w[live : sizes[t]].to(s.dtype)]) for s, w in zip(now, waiting, strict=True))
            elif sizes[t] < live:
                done.append(tuple(s[sizes[t] :] for s in now))
                now = tuple(s[: sizes[t]] for s in now)
            live = sizes[t]
            before, inputs = by_name(now), (gx_of[t], *(mask[t] for mask in masks_of))
            now = cell.step(inputs[0], before, *inputs[1:])
            if trace is not None:
                trace.steps.append(observe.Step(inputs, before, now))
            steps.append(now if all_states else now[:1])
        if reverse:
            steps.reverse()
            done.append(tuple(w[live:] for w in waiting))
        last = tuple(
            layout.unsort(torch.cat([n, *(d.to(n.dtype) for d in ended)]))
            for n, *ended in zip(now, *reversed(done), strict=True)
        )
        over_time = tuple(torch.cat(s) for s in zip(*steps, strict=True)) if steps else tuple(s[:0] for s in first)
        rows = cell.readout(gx, by_name(over_time)) if all_states else over_time[0]
        return Sequences(layout, rows=rows), last
