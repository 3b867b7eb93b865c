"""LinOSS: a bank of forced harmonic oscillators, each a channel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import Named, PointwiseCell, Size, State


class LinOSSCell(PointwiseCell):
    """One step of linear oscillators, z = dy/dt and dz/dt = -A y + B u + b, by the implicit method (LinOSS-IM).

        A = relu(A^)          dt = sigmoid(dt^)                  one of each per channel
        S  = 1 / (1 + dt^2 A)
        z' = S (z + dt (B u + b - A y))                          z' = z + dt (B u + b - A y')
        y' = y + dt z'
        x  = C y' + D u

    The state is (y, z), the output x. An oscillation fades, the faster the larger dt.
    Source: Rusch, Rus, Oscillatory State-Space Models, arXiv:2410.03943.
    Differs: one layer's recurrence alone, without the block's GELU, GLU and skip connection.
    """

    gates = ("u",)
    states = ("y", "z")
    recurrent = None
    params = ("A_hat", "dt_hat")
    A_hat: nn.Parameter
    dt_hat: nn.Parameter

    def __init__(self, input_size: Size, hidden_size: Size) -> None:
        super().__init__(input_size, hidden_size)

    def make_recurrent_bias(self) -> None:
        super().make_recurrent_bias()
        self.C = nn.Parameter(torch.empty(self.hidden_size, self.hidden_size))
        self.D = nn.Parameter(torch.empty(self.hidden_size, self.input_size))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """A^ and dt^ uniform in [0, 1], B and D of variance 1 / (3 input_size), all else as in torch.nn."""
        super().reset_parameters()
        bound = 1 / math.sqrt(self.input_size)
        for weight in (self.weight_ih, self.D):
            weight.uniform_(-bound, bound)
        for channel in (self.A_hat, self.dt_hat):
            channel.uniform_(0, 1)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """u: (..., input_size). Returns B u + b (..., hidden_size), and u."""
        return super().project(x), x

    def gates_of(self, gx: tuple[Tensor, Tensor]) -> Tensor:
        return gx[0]

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx: B u + b (..., hidden_size); gh: (); state: (y, z). Returns (y', z')."""
        A, dt = torch.relu(self.A_hat), torch.sigmoid(self.dt_hat)
        z = (state.z + dt * (gx.u - A * state.y)) / (1 + dt * dt * A)
        return state.y + dt * z, z

    def readout(self, gx: tuple[Tensor, Tensor], state: Named) -> Tensor:
        """gx: as `project` returns it; state: (y, z). Returns C y + D u, (..., hidden_size)."""
        return F.linear(state.y, self.C) + F.linear(gx[1], self.D)


class LinOSSIMEXCell(LinOSSCell):
    """One step of linear oscillators by the implicit-explicit method (LinOSS-IMEX).

        z' = z + dt (B u + b - A y)
        y' = y + dt z'
        x  = C y' + D u

    As `LinOSSCell` in all else. An oscillation lasts for ever: for A dt^2 < 4 each step keeps the area in the plane of
    y and z. Source: Rusch, Rus, Oscillatory State-Space Models, arXiv:2410.03943.
    """

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx: B u + b (..., hidden_size); gh: (); state: (y, z). Returns (y', z')."""
        A, dt = torch.relu(self.A_hat), torch.sigmoid(self.dt_hat)
        z = state.z + dt * (gx.u - A * state.y)
        return state.y + dt * z, z
