"""RG-LRU: Griffin's linear recurrence, gated by its input."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo import LinearCell, Named

C = 8.0  # the paper's constant c


class RGLRUCell(LinearCell):
    """One step of a real-gated linear recurrent unit.

        r  = sigmoid(W_a x + b_a)               recurrence gate
        i  = sigmoid(W_x x + b_x)               input gate
        u  = W x + b
        a  = sigmoid(Lambda)^(c r)              c = 8; computed as exp(-c r softplus(-Lambda))
        h' = a * h + sqrt(1 - a^2) * (i * u)

    Lambda starts such that sigmoid(Lambda)^c is uniform in [0.9, 0.999].
    Source: De et al., Griffin, arXiv:2402.19427, section 2.4.
    Differs: the linear map that stands before the unit in Griffin's block is part of the cell, and the gates read its
    input, not its output; no convolution in between; the gates' matrices are dense.
    """

    gates = ("r", "i", "u")
    params = ("Lambda",)
    Lambda: nn.Parameter

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.Lambda.uniform_(0.9, 0.999).pow_(1 / C).logit_()

    def coefficients(self, gx: Named) -> tuple[Tensor, Tensor]:
        """gx: three (..., hidden_size) tensors. Returns a and sqrt(1 - a^2) * i * u, in float32 at least."""
        r, i, u = (g.to(torch.promote_types(g.dtype, torch.float32)) for g in gx)  # a near 1 has no room in bfloat16
        log_a = -C * torch.sigmoid(r) * F.softplus(-self.Lambda)
        rest = -torch.expm1(2 * log_a)  # 1 - a^2, exact for a near 1; kept off 0, where a square root has no slope
        return torch.exp(log_a), rest.clamp(min=torch.finfo(rest.dtype).tiny).sqrt() * torch.sigmoid(i) * u
