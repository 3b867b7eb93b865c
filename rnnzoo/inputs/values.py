"""Sequences that are numbers already."""

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.batch import Field
from rnnzoo.limits import Limit, checked


class Values(nn.Module):
    """Features as they are.

    shift: in training each sequence is moved by up to so many steps, and so many features, either way; zeros come in.
    """

    @checked
    def __init__(self, field: Field, shift: Annotated[int, Limit(0, 1000)] = 0) -> None:
        super().__init__()
        self.output_size, self.shift = field.size, shift

    def forward(self, values: Tensor) -> Tensor:
        """values: (batch, time, features). Returns (batch, time, features)."""
        if not self.training or not self.shift:
            return values
        batch, time, features = values.shape
        starts = torch.randint(2 * self.shift + 1, (2, batch, 1), device=values.device)
        steps, places = (
            torch.arange(size, device=values.device) + start
            for size, start in zip((time, features), starts, strict=True)
        )
        rows = torch.arange(batch, device=values.device)[:, None, None]
        return F.pad(values, [self.shift] * 4)[rows, steps[:, :, None], places[:, None, :]]
