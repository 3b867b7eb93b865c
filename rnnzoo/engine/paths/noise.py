"""The random masks of a cell, which the engine draws: its `noise`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell
from rnnzoo.engine.layout import Layout


class Mask(NamedTuple):
    """One NoiseSpec's mask, drawn. values: (rows, *shape) if by_row, else (batch, *shape), longest sequence first."""

    values: Tensor
    by_row: bool

    def steps(self, sizes: list[int]) -> Sequence[Tensor]:
        """(live, *shape) for each step, of which `sizes` says how many sequences have it."""
        return self.values.split(sizes) if self.by_row else [self.values[:live] for live in sizes]


def draw_masks(cell: Cell, layout: Layout, like: Tensor) -> list[Mask]:
    """A mask for each NoiseSpec of a cell, random in training, else the expected one; in the type of `like`."""
    masks = []
    for spec in cell.noise:
        by_row = spec.per == "step"
        mask = like.new_full((layout.num_rows if by_row else layout.batch, *spec.shape), 1 - spec.rate)
        mask = torch.bernoulli(mask) if cell.training else mask
        masks.append(Mask(mask if by_row else layout.sort(mask).contiguous(), by_row))
    return masks
