"""Vanilla (Elman) recurrent unit, with tanh or with a rectifier."""

import torch

from rnnzoo.cells.base import Named, PointwiseCell, State


class VanillaCell(PointwiseCell):
    """One step of a simple recurrent network.

        h' = tanh(gx + gh)

    where gx = W x + b and gh = U h + c. Source: Elman, "Finding structure in time", doi:10.1207/s15516709cog1402_1.
    Differs: two biases, as in `torch.nn.RNN`.
    """

    gates = ("h",)
    states = ("h",)

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor; state: (h,). Returns (h',)."""
        return (torch.tanh(gx.h + gh.h),)


class VanillaReluCell(PointwiseCell):
    """One step of a simple recurrent network with a rectifier.

        h' = relu(gx + gh)

    where gx = W x + b and gh = U h + c. Source: Le, Jaitly, Hinton, arXiv:1504.00941. Differs: two biases and their
    identity initialisation is left to `init`, as in `torch.nn.RNN`.
    """

    gates = ("h",)
    states = ("h",)

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor; state: (h,). Returns (h',)."""
        return (torch.relu(gx.h + gh.h),)
