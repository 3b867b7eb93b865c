"""Long short-term memory with a projected output."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.cells.base import Cell, Named, State, StateSpec
from rnnzoo.limits import Size, checked


class ProjectedLSTMCell(Cell):
    """One step of a long short-term memory whose output is smaller than its memory.

        i, f, o = sigmoid(W x + b + U h + c)          g = tanh(W_g x + b_g + U_g h + c_g)
        c' = f * c + i * g
        h' = V (o * tanh(c'))

    Source: Sak, Senior, Beaufays, arXiv:1402.1128. Differs: no peepholes, as in `torch.nn.LSTM` with `proj_size`.
    proj_size: features of h; weight_hr is V.
    """

    gates = ("i", "f", "g", "o")

    @checked
    def __init__(self, input_size: Size, hidden_size: Size, proj_size: Size = 64) -> None:
        self.proj_size = proj_size
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("h", (proj_size,)), StateSpec("c", (hidden_size,)))

    def make_recurrent(self) -> None:
        self.weight_hh = nn.Parameter(torch.empty(4 * self.hidden_size, self.proj_size))

    def make_recurrent_bias(self) -> None:
        self.bias_hh = nn.Parameter(torch.empty(4 * self.hidden_size))
        self.weight_hr = nn.Parameter(torch.empty(self.proj_size, self.hidden_size))

    @property
    def output_size(self) -> int:
        return self.proj_size

    def step(self, gx: Tensor, state: Named) -> State:
        """gx: (batch, 4 * hidden_size); state: h (batch, proj_size) and c (batch, hidden_size)."""
        i, f, g, o = (gx + F.linear(state.h, self.weight_hh, self.bias_hh)).chunk(4, -1)
        c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
        return F.linear(torch.sigmoid(o) * torch.tanh(c), self.weight_hr), c
