"""LRU: a linear recurrence with complex eigenvalues inside the unit circle."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import Limit, LinearCell, Named, Share, Size, StateSpec, checked


class LRUCell(LinearCell):
    """One step of a linear recurrent unit, whose state h is complex.

        lambda = exp(-exp(nu) + i exp(theta))   |lambda| < 1, whatever nu and theta are
        h'     = lambda * h + exp(gamma) * B x
        y      = Re(C h') + D x

    nu, theta and gamma are the paper's nu^log, theta^log and gamma^log. B and C hold the real part and then the
    imaginary one, along the rows of B and the columns of C. lambda starts uniform over a ring, r_min <= |lambda| <=
    r_max, with a phase in [0, max_phase] radians; exp(gamma) starts at sqrt(1 - |lambda|^2), which keeps a state as
    large as its input.
    Source: Orvieto et al., Resurrecting Recurrent Neural Networks for Long Sequences, arXiv:2303.06349.
    Differs: D is a matrix, as input_size may differ from hidden_size.
    Raises: ValueError unless 0 <= r_min <= r_max <= 1 and 0 < max_phase <= 2 pi.
    """

    @checked
    def __init__(
        self,
        input_size: Size,
        hidden_size: Size,
        r_min: Share = 0.0,
        r_max: Share = 1.0,
        max_phase: Annotated[float, Limit(0, 2 * math.pi, open_low=True)] = 2 * math.pi,
    ) -> None:
        if r_min > r_max:
            raise ValueError(f"r_min must not exceed r_max, got {r_min} and {r_max}")
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("h", (hidden_size,), torch.complex64),)
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        self.nu, self.theta, self.gamma = (nn.Parameter(torch.empty(hidden_size)) for _ in range(3))
        self.B = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.C = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size))
        self.D = nn.Parameter(torch.empty(hidden_size, input_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.nu.uniform_(1e-6, 1 - 1e-6).mul_(self.r_max**2 - self.r_min**2).add_(self.r_min**2)  # |lambda|^2
        self.nu.log_().mul_(-0.5).clamp_(min=1e-6)
        self.gamma.copy_(torch.log(-torch.expm1(-2 * self.nu)) / 2)
        self.nu.log_()
        self.theta.uniform_(1e-6, 1).mul_(self.max_phase).log_()
        nn.init.normal_(self.B, std=1 / math.sqrt(2 * self.input_size))
        nn.init.normal_(self.C, std=1 / math.sqrt(self.hidden_size))
        nn.init.normal_(self.D, std=1 / math.sqrt(self.input_size))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        real, imaginary = _wide(F.linear(x, self.B)).chunk(2, -1)
        return torch.complex(real, imaginary), x

    def coefficients(self, gx: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """gx: B x (..., hidden_size), complex, and x. Returns lambda and exp(gamma) * B x."""
        decay, phase, gain = (torch.exp(_wide(p)) for p in (self.nu, self.theta, self.gamma))
        return torch.exp(torch.complex(-decay, phase)).expand_as(gx[0]), gain * gx[0]

    def readout(self, gx: tuple[Tensor, Tensor], state: Named) -> Tensor:
        parts = torch.cat([state.h.real, -state.h.imag], -1)
        return F.linear(parts.to(self.C.dtype), self.C) + F.linear(gx[1], self.D)


def _wide(x: Tensor) -> Tensor:
    """In float32 at least: there are no complex numbers of half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
