"""SRU: a recurrence of light gates, with a highway around it."""

import math

import torch
from torch import Tensor, nn

from rnnzoo import Named, PointwiseCell, State, StateSpec

ALPHA = math.sqrt(3)  # keeps the variance of x through the highway while r is about one half: sqrt(1 + 2 exp(b_r))


class SRUCell(PointwiseCell):
    """One step of a simple recurrent unit.

        f  = sigmoid(W_f x + v_f * c + b_f)     forget gate
        r  = sigmoid(W_r x + v_r * c + b_r)     reset gate
        c' = f * c + (1 - f) * W x
        h  = r * c' + (1 - r) * alpha * x       alpha = sqrt(3); W_h x in place of x where their sizes differ

    The state is (c, r); h is the readout. Source: Lei et al., arXiv:1709.02755.
    Differs: W x has a bias too; v and the biases start as torch.nn's do.
    """

    gates = ("c", "f", "r")
    recurrent = None
    params = ("v_f", "v_r")
    v_f: nn.Parameter
    v_r: nn.Parameter
    forget_gate = "f"

    def state_specs(self) -> tuple[StateSpec, ...]:
        size = (self.hidden_size,)
        return StateSpec("c", size), StateSpec("r", size, free=False)  # no step reads r: only the readout does

    def make_recurrent_bias(self) -> None:
        super().make_recurrent_bias()
        same = self.input_size == self.hidden_size
        self.skip = nn.Identity() if same else nn.Linear(self.input_size, self.hidden_size, bias=False)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Input weights of variance 1 / input_size, as in the paper, unless `init` says otherwise."""
        super().reset_parameters()
        if self.init == "uniform":
            bound = math.sqrt(3 / self.input_size)
            for weight in (self.weight_ih, *self.skip.parameters()):
                weight.uniform_(-bound, bound)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x: (..., input_size). Returns the gates (..., 3 * hidden_size), and alpha x (..., hidden_size)."""
        return super().project(x), ALPHA * self.skip(x)

    def gates_of(self, gx: tuple[Tensor, Tensor]) -> Tensor:
        return gx[0]

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx: three (..., hidden_size) tensors; gh: (); state: (c, r). Returns (c', r')."""
        f = torch.sigmoid(gx.f + self.v_f * state.c)
        r = torch.sigmoid(gx.r + self.v_r * state.c)
        return f * state.c + (1 - f) * gx.c, r

    def readout(self, gx: tuple[Tensor, Tensor], state: Named) -> Tensor:
        """gx: as `project` returns it; state: (c, r). Returns h, (..., hidden_size)."""
        return state.r * state.c + (1 - state.r) * gx[1]
