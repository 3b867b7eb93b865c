"""The recurrent network of the textbooks, written from its three weight matrices."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import Cell, Named, Size, State


class ElmanCell(Cell):
    """One step of a simple recurrent network, and its output.

        h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)
        y_t = W_hy h_t + b_y

    y has hidden_size features; what they are asked for is the head's work. Source: Elman, "Finding structure in time",
    doi:10.1207/s15516709cog1402_1.
    """

    states = ("h",)

    def __init__(self, input_size: Size, hidden_size: Size) -> None:
        super().__init__(input_size, hidden_size)
        bound = 1 / math.sqrt(hidden_size)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        self.W_xh, self.W_hh, self.W_hy = (drawn(hidden_size, size) for size in (input_size, hidden_size, hidden_size))
        self.b_h, self.b_y = drawn(hidden_size), drawn(hidden_size)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.W_xh, self.b_h)

    def step(self, gx: Tensor, state: Named) -> State:
        return (torch.tanh(gx + F.linear(state.h, self.W_hh)),)

    def readout(self, gx: Tensor, state: Named) -> Tensor:
        return F.linear(state.h, self.W_hy, self.b_y)
