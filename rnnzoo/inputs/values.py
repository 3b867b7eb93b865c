"""Sequences that are numbers already."""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.batch import Field
from rnnzoo.inputs.base import Input
from rnnzoo.limits import Limit, checked


class Values(Input):
    """Features as they are.

    shift: in training each sequence is moved by up to so many steps, and so many features, either way; zeros come in.
    """

    reads = frozenset({"values"})

    @checked
    def __init__(self, field: Field, shift: Annotated[int, Limit(0, 1000)] = 0) -> None:
        super().__init__()
        self.output_size, self.shift = field.size, shift

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time, features). Returns (batch, time, features)."""
        if not self.training or not self.shift:
            return x
        batch, time, features = x.shape
        starts = torch.randint(2 * self.shift + 1, (2, batch, 1), device=x.device)
        steps, columns = (
            torch.arange(size, device=x.device) + start for size, start in zip((time, features), starts, strict=True)
        )
        rows = torch.arange(batch, device=x.device)[:, None, None]
        return F.pad(x, [self.shift] * 4)[rows, steps[:, :, None], columns[:, None, :]]
