"""minGRU and minLSTM: a GRU and an LSTM without what keeps them from running in parallel over time."""

from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo import Limit, LinearCell, Named, Size, checked


class Minimal(LinearCell):
    """What both cells share: the start of the biases.

    chrono_steps: T, the longest memory in steps: a channel begins to forget after U(1, T - 1) steps (Tallec, Ollivier,
    arXiv:1804.11188). Without it all forget about half at every step.
    """

    keeps: ClassVar[dict[str, int]] = {}  # the gates that decide what is kept: 1 where an open one keeps, -1 where not

    @checked
    def __init__(
        self, input_size: Size, hidden_size: Size, chrono_steps: Annotated[int, Limit(3)] | None = None
    ) -> None:
        self.chrono_steps = chrono_steps
        super().__init__(input_size, hidden_size)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.chrono_steps is not None:
            memory = torch.empty(self.hidden_size).uniform_(1, self.chrono_steps - 1).log_()
            for gate, bias in zip(self.gates, self.bias_ih.chunk(len(self.gates)), strict=True):
                if gate in self.keeps:
                    bias.copy_(self.keeps[gate] * memory)


class MinGRUCell(Minimal):
    """One step of a minimal gated recurrent unit.

        z  = sigmoid(W_z x + b_z)               update gate
        h~ = W_h x + b_h                        candidate
        h' = (1 - z) * h + z * h~

    Source: Feng et al., Were RNNs All We Needed?, arXiv:2410.01201, section 3.1.
    Differs: the candidate is linear; the paper's log-space form makes it positive, which a loop over time needs not.
    """

    gates = ("z", "h")
    keeps: ClassVar = {"z": -1}

    def coefficients(self, gx: Named) -> tuple[Tensor, Tensor]:
        """gx: two (..., hidden_size) tensors. Returns 1 - z and z * h~."""
        z = torch.sigmoid(gx.z)
        return 1 - z, z * gx.h


class MinLSTMCell(Minimal):
    """One step of a minimal long short-term memory.

        f  = sigmoid(W_f x + b_f)               forget gate
        i  = sigmoid(W_i x + b_i)               input gate
        h~ = W_h x + b_h                        candidate
        h' = f / (f + i) * h + i / (f + i) * h~

    Source: Feng et al., Were RNNs All We Needed?, arXiv:2410.01201, section 3.2.
    Differs: the candidate is linear, as in `MinGRUCell`; f / (f + i) is sigmoid(log f - log i), which never divides 0
    by 0.
    """

    gates = ("f", "i", "h")
    keeps: ClassVar = {"f": 1, "i": -1}

    def coefficients(self, gx: Named) -> tuple[Tensor, Tensor]:
        """gx: three (..., hidden_size) tensors. Returns f / (f + i) and i / (f + i) * h~."""
        difference = F.logsigmoid(gx.f) - F.logsigmoid(gx.i)
        return torch.sigmoid(difference), torch.sigmoid(-difference) * gx.h
