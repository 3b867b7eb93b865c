"""Gated recurrent unit."""

import torch
from torch import Tensor

from rnnzoo.cells.base import PointwiseCell, State


class GRUCell(PointwiseCell):
    """One step of a gated recurrent unit.

        r  = sigmoid(gx_r + gh_r)               reset gate
        z  = sigmoid(gx_z + gh_z)               update gate
        n  = tanh(gx_n + r * gh_n)              candidate
        h' = (1 - z) * n + z * h

    where gx = W x + b and gh = U h + c. Source: Cho et al., arXiv:1406.1078.
    Differs: r is applied after U, as in cuDNN and `torch.nn.GRU`.
    """

    gates = ("r", "z", "n")
    states = ("h",)
    forget_gate = "z"

    def update(self, gx: tuple[Tensor, ...], gh: tuple[Tensor, ...], state: State) -> State:
        """gx, gh: one (..., hidden_size) tensor per gate; state: (h,). Returns (h',)."""
        (h,) = state
        r = torch.sigmoid(gx[0] + gh[0])
        z = torch.sigmoid(gx[1] + gh[1])
        n = torch.tanh(gx[2] + r * gh[2])
        return ((1 - z) * n + z * h,)
