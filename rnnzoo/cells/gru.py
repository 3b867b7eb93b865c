"""Gated recurrent unit."""

import torch

from rnnzoo.cells.base import Named, PointwiseCell, State


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

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor per gate; state: (h,). Returns (h',)."""
        r = torch.sigmoid(gx.r + gh.r)
        z = torch.sigmoid(gx.z + gh.z)
        n = torch.tanh(gx.n + r * gh.n)
        return ((1 - z) * n + z * state.h,)
