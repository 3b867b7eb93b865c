"""Long short-term memories with other gates: peepholes, and an input gate coupled to the forget gate."""

import torch
from torch import nn

from rnnzoo import Named, PointwiseCell, State


class PeepholeLSTMCell(PointwiseCell):
    """One step of a long short-term memory whose gates see the memory.

        i  = sigmoid(gx_i + gh_i + p_i * c)     input gate
        f  = sigmoid(gx_f + gh_f + p_f * c)     forget gate
        g  = tanh(gx_g + gh_g)                  candidate
        c' = f * c + i * g
        o  = sigmoid(gx_o + gh_o + p_o * c')    output gate, which sees the new memory
        h' = o * tanh(c')

    where gx = W x + b and gh = U h + c. Source: Gers, Schraudolph, Schmidhuber, JMLR 3:115-143,
    doi:10.1162/153244303768966139. Differs: tanh of c' in h', and gradients through the peepholes, as in Graves,
    arXiv:1308.0850.
    """

    gates = ("i", "f", "g", "o")
    states = ("h", "c")
    params = ("p_i", "p_f", "p_o")
    p_i: nn.Parameter
    p_f: nn.Parameter
    p_o: nn.Parameter
    forget_gate, input_gate = "f", "i"

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor per gate; state: (h, c). Returns (h', c')."""
        i = torch.sigmoid(gx.i + gh.i + self.p_i * state.c)
        f = torch.sigmoid(gx.f + gh.f + self.p_f * state.c)
        g = torch.tanh(gx.g + gh.g)
        c = f * state.c + i * g
        o = torch.sigmoid(gx.o + gh.o + self.p_o * c)
        return o * torch.tanh(c), c


class CoupledLSTMCell(PointwiseCell):
    """One step of a long short-term memory that writes exactly as much as it forgets: three gates in place of four.

        f  = sigmoid(gx_f + gh_f)               forget gate
        i  = 1 - f                              input gate
        g  = tanh(gx_g + gh_g)                  candidate
        o  = sigmoid(gx_o + gh_o)               output gate
        c' = f * c + i * g
        h' = o * tanh(c')

    where gx = W x + b and gh = U h + c. Source: Greff et al., arXiv:1503.04069, variant CIFG. Differs: no peepholes; f
    has the weights and i follows, where the paper has f = 1 - i: the same cells, with weights of the other sign.
    """

    gates = ("f", "g", "o")
    states = ("h", "c")
    forget_gate = "f"

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor per gate; state: (h, c). Returns (h', c')."""
        f = torch.sigmoid(gx.f + gh.f)
        g = torch.tanh(gx.g + gh.g)
        o = torch.sigmoid(gx.o + gh.o)
        c = f * state.c + (1 - f) * g
        return o * torch.tanh(c), c
