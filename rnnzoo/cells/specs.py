"""What a cell declares: its state tensors and its random masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

State = tuple[Tensor, ...]  # one tensor (batch, *shape) per spec, h first
Projected: TypeAlias = Any  # gx, as a cell's own `project` returns it: a tensor, or a tuple of tensors


@dataclass(frozen=True)
class StateSpec:
    """One tensor of a state: (batch, *shape), filled with `initial` at the start.

    dtype: None is the parameters' own; a complex one has the parameters' precision. free: whether any numbers make a
    valid state, so that an encoder may set them; False for a running maximum or a normaliser.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype | None = None
    initial: float = 0.0
    free: bool = True

    def dtype_for(self, like: torch.dtype) -> torch.dtype:
        """The dtype of this state beside parameters of dtype `like`."""
        if self.dtype is None:
            return like
        if not self.dtype.is_complex:
            return self.dtype
        return torch.complex128 if like == torch.float64 else torch.complex64


@dataclass(frozen=True)
class NoiseSpec:
    """One random mask of a step, drawn by the engine so that every path sees the same numbers.

    In training each entry is 1 with probability 1 - rate, else 0; in evaluation every entry is the mean, 1 - rate.
    per: "sequence" holds one mask (batch, *shape) through time, "step" draws one for every step.
    """

    shape: tuple[int, ...]
    rate: float
    per: Literal["sequence", "step"] = "step"
