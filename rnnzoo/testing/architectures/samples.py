"""Cells of every kind, to put into an architecture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell, State, StateSpec


class Counting(Cell):
    """h' = tanh(W x + b + u h / (1 + n)), n' = n + 1: any step, and a state that no encoder may set."""

    gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.states = ("h", StateSpec("n", (1,), free=False))
        self.u = nn.Parameter(torch.rand(hidden_size))

    def step(self, gx: Tensor, state: State) -> State:
        h, n = state
        return torch.tanh(gx + self.u * h / (1 + n)), n + 1


class Turning(Cell):
    """s' = 0.9 exp(i phi) s + W x + b, y = Re s: a complex state."""

    gates = ("s",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("s", (hidden_size,), torch.complex64),)
        self.phi = nn.Parameter(torch.rand(hidden_size))

    def step(self, gx: Tensor, state: State) -> State:
        return (0.9 * torch.polar(torch.ones_like(self.phi), self.phi) * state[0] + gx,)

    def readout(self, gx: Tensor, state: State) -> Tensor:
        return state[0].real


CELLS: dict[str, Any] = {
    "lstm": "lstm",
    "gru": "gru",
    "a projected lstm": {"name": "lstm_projected", "proj_size": 3},
    "a cell with a state that is not free": Counting,
    "a cell with a complex state": Turning,
}
