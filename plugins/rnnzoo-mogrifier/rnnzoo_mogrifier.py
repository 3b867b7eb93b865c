"""Mogrifier: input and state gate each other before the step of any cell."""

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from rnnzoo import CellLike, Count, Limit, Named, Size, State, StateSpec, Wrapper, checked


class Mogrifier(Wrapper):
    """A cell whose input x and state h modulate each other, in turn, before it makes its step.

        x^-1 = x,  h^0 = h
        x^i  = 2 sigmoid(Q^i h^(i-1)) * x^(i-2)        for odd i = 1..r
        h^i  = 2 sigmoid(R^i x^(i-1)) * h^(i-2)        for even i = 1..r
        h'   = cell(x^i, h^i)                          with the highest i of each

    Source: Melis, Kocisky, Blunsom, arXiv:1909.01792, around an LSTM. Here h is the first state of any cell.
    rounds: r; 0 leaves the cell as it is. rank: of each Q and R, a product of two smaller matrices; None is the full.
    """

    @checked
    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        cell: CellLike = "lstm",
        rounds: Annotated[int, Limit(0)] = 5,
        rank: Count | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, cell)
        first = self.cell.state_specs()[0]
        size = math.prod(first.shape)
        seen = 2 * size if first.dtype is not None and first.dtype.is_complex else size
        self.rounds = nn.ModuleList(
            _linear(input_size, size, rank) if k % 2 else _linear(seen, input_size, rank) for k in range(rounds)
        )
        self.keeps_output = bool(self.cell.overrides("readout"))  # it may need the modulated x, which only a step has
        if self.keeps_output:
            self.states = (StateSpec(f"mogrified_{first.name}", (self.output_size,), free=False), *self.states)

    @property
    def core(self) -> None:
        """None: W x waits for h, so that no product can be made for all steps at once."""
        return None

    def initial_state(self, batch: int, like: Tensor) -> State:
        inner = self.cell.initial_state(batch, like)
        return (like.new_zeros(batch, self.output_size), *inner) if self.keeps_output else inner

    def project(self, x: Tensor) -> Tensor:
        return x

    def step(self, gx: Tensor, state: Named, *noise: Tensor) -> State:
        """gx: x, (batch, input_size); state: the wrapped cell's, behind its output y if it has a readout of its own."""
        h, *others = state[1:] if self.keeps_output else state
        x, h = self.mogrify(gx, h)
        gx = self.cell.project(x)
        new = self.cell.step(gx, self.cell.as_state((h, *others)), *noise)
        return (self.cell.readout(gx, self.cell.as_state(new)), *new) if self.keeps_output else new

    def mogrify(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """x: (batch, input_size); h: (batch, *shape). Returns both after all rounds."""
        for k, matrix in enumerate(self.rounds):
            if k % 2:
                h = 2 * torch.sigmoid(matrix(x)).view(h.shape) * h
            else:
                numbers = torch.view_as_real(h) if h.is_complex() else h
                x = 2 * torch.sigmoid(matrix(numbers.flatten(1))) * x
        return x, h

    def readout(self, gx: Tensor, state: Named) -> Tensor:
        return state[0]


def _linear(inputs: int, outputs: int, rank: int | None) -> nn.Module:
    if rank is None:
        return nn.Linear(inputs, outputs, bias=False)
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=False))
