"""Long short-term memory."""

import torch

from rnnzoo.cells.base import Named, PointwiseCell, State


class LSTMCell(PointwiseCell):
    """One step of a long short-term memory.

        i  = sigmoid(gx_i + gh_i)       input gate
        f  = sigmoid(gx_f + gh_f)       forget gate
        g  = tanh(gx_g + gh_g)          candidate
        o  = sigmoid(gx_o + gh_o)       output gate
        c' = f * c + i * g
        h' = o * tanh(c')

    where gx = W x + b and gh = U h + c. Sources: Hochreiter, Schmidhuber, doi:10.1162/neco.1997.9.8.1735; the forget
    gate: Gers et al., doi:10.1162/089976600300015015. Differs: no peepholes, two biases, as in `torch.nn.LSTM`.
    """

    gates = ("i", "f", "g", "o")
    states = ("h", "c")
    forget_gate, input_gate = "f", "i"

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor per gate; state: (h, c). Returns (h', c')."""
        i = torch.sigmoid(gx.i + gh.i)
        f = torch.sigmoid(gx.f + gh.f)
        g = torch.tanh(gx.g + gh.g)
        o = torch.sigmoid(gx.o + gh.o)
        c = f * state.c + i * g
        return o * torch.tanh(c), c
