"""Weights of 8 bits: each row of a matrix as whole numbers from -127 to 127 times a scale of its own."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

SMALL = 1024  # numbers: nothing is gained by fewer bits for a smaller matrix


class Whole(NamedTuple):
    """A matrix in 8 bits. whole: (rows, ...) int8; scale: (rows,) float32, one for each row."""

    whole: Tensor
    scale: Tensor

    @property
    def value(self) -> Tensor:
        """What the matrix is then."""
        return self.whole.float() * self.scale.view(-1, *[1] * (self.whole.dim() - 1))


Rounded: TypeAlias = dict[int, Whole]  # by the address of a parameter


def eight_bits(tensor: Tensor) -> Whole:
    """The nearest matrix of 8 bits, row by row, symmetric: no number is moved by more than half its row's scale."""
    rows = tensor.detach().float().flatten(1)
    scale = rows.abs().amax(1) / 127
    scale = torch.where(scale == 0, 1.0, scale)
    return Whole((rows / scale[:, None]).round().clamp(-127, 127).to(torch.int8).view(tensor.shape), scale)


@torch.no_grad()
def round_in_place(model: nn.Module) -> Rounded:
    """Give the large matrices of a model the nearest values that 8 bits can hold. Returns these, by their address."""
    found: Rounded = {}
    for parameter in model.parameters():
        if parameter.dim() > 1 and parameter.numel() >= SMALL and parameter.is_floating_point():
            whole = eight_bits(parameter)
            parameter.copy_(whole.value)
            found[parameter.data_ptr()] = whole
    return found
