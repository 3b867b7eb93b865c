"""The plain loop over time: any cell, any lengths, either direction. The truth that every faster path must equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.layout import Layout
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.sequences import Sequences


class Reference(Path):
    """Step by step over packed rows: a step touches only the sequences that are still alive."""

    name = "reference"
    steps_in_python = True

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """None: this path runs every cell."""
        return None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        layout = x.layout
        gx = cell.project(x.rows)
        first = cell.initial_state(layout.batch, x.rows) if state is None else state
        now = tuple(layout.sort(s) for s in first)
        noise = draw_masks(cell, layout, x.rows)
        alive = layout.batch_sizes_list
        gx_of = split(gx, alive)
        masks_of = [mask.split(alive) if by_row else mask for mask, by_row in noise]

        keeps = bool(cell.overrides("readout"))  # else the output is the first state, and no other is kept
        waiting = now  # reversed sequences begin one after the other, each with its own first state
        done: list[State] = []  # forward sequences that have ended, shortest first
        steps: list[State] = []
        count = alive[-1] if alive and reverse else layout.batch
        now = tuple(s[:count] for s in now)
        for t in reversed(range(len(alive))) if reverse else range(len(alive)):
            if alive[t] > count:
                now = tuple(torch.cat([s, w[count : alive[t]].to(s.dtype)]) for s, w in zip(now, waiting, strict=True))
            elif alive[t] < count:
                done.append(tuple(s[alive[t] :] for s in now))
                now = tuple(s[: alive[t]] for s in now)
            count = alive[t]
            masks = (mask[:count] if isinstance(mask, Tensor) else mask[t] for mask in masks_of)
            now = cell.step(gx_of[t], now, *masks)
            steps.append(now if keeps else now[:1])
        if reverse:
            steps.reverse()
            done.append(tuple(w[count:] for w in waiting))
        last = tuple(
            layout.unsort(torch.cat([n, *(d.to(n.dtype) for d in ended)]))
            for n, *ended in zip(now, *reversed(done), strict=True)
        )
        over_time = tuple(torch.cat(s) for s in zip(*steps, strict=True)) if steps else tuple(s[:0] for s in first)
        return Sequences(layout, rows=cell.readout(gx, over_time)), last


def split(gx: Any, counts: list[int]) -> Sequence[Any]:
    """gx, a tensor or a tuple of such, as one part for each step."""
    if isinstance(gx, Tensor):
        return gx.split(counts)  # a slice for each step would have a gradient as long as the whole for each step
    parts = [split(part, counts) for part in gx]
    return [tuple(part[t] for part in parts) for t in range(len(counts))]


def draw_masks(cell: Cell, layout: Layout, like: Tensor) -> list[tuple[Tensor, bool]]:
    """For each NoiseSpec its mask, and whether that has a row for each packed row; else for each slot."""
    masks = []
    for spec in cell.noise:
        by_row = spec.per == "step"
        mask = like.new_full((layout.num_rows if by_row else layout.batch, *spec.shape), 1 - spec.rate)
        mask = torch.bernoulli(mask) if cell.training else mask
        masks.append((mask if by_row else layout.sort(mask).contiguous(), by_row))
    return masks
