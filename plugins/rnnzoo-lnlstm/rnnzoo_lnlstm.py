"""Layer-norm LSTM."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import Cell, Named, State


class LayerNormLSTMCell(Cell):
    """One step of a long short-term memory with normalised products and memory.

        (i, f, g, o) = LN(W x; a_x) + LN(U h; a_h) + b
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(LN(c'; a_c, b_c))

    LN(v; a, b) = a * (v - mean v) / std v + b, over all gates at once in W x and U h. Source: Ba, Kiros, Hinton,
    arXiv:1607.06450. Differs: one b where the paper has three, of which only the sum counts.
    """

    gates = ("i", "f", "g", "o")
    states = ("h", "c")

    def make_recurrent(self) -> None:
        self.weight_hh = nn.Parameter(torch.empty(4 * self.hidden_size, self.hidden_size))

    def make_recurrent_bias(self) -> None:
        self.norm_x = nn.LayerNorm(4 * self.hidden_size, bias=False)
        self.norm_h = nn.LayerNorm(4 * self.hidden_size, bias=False)
        self.norm_c = nn.LayerNorm(self.hidden_size)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for norm in (self.norm_x, self.norm_h, self.norm_c):
            norm.reset_parameters()

    def project(self, x: Tensor) -> Tensor:
        """x: (..., input_size). Returns LN(W x) + b, (..., 4 * hidden_size)."""
        normalised: Tensor = self.norm_x(F.linear(x, self.weight_ih))
        return normalised + self.bias_ih

    def step(self, gx: Tensor, state: Named) -> State:
        """gx: (batch, 4 * hidden_size); state: h and c, (batch, hidden_size) each. Returns (h', c')."""
        i, f, g, o = (gx + self.norm_h(F.linear(state.h, self.weight_hh))).chunk(4, -1)
        c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(self.norm_c(c)), c
