"""Sequences that are numbers already."""

from typing import Any

from torch import Tensor, nn

from rnnzoo.batch import Field


class Values(nn.Module):
    """Features as they are; the settings of embeddings are for others."""

    def __init__(self, field: Field, **_: Any) -> None:
        super().__init__()
        self.output_size = field.size

    def forward(self, values: Tensor) -> Tensor:
        """values: (batch, time, features). Returns them."""
        return values
