"""minGRU and minLSTM: a GRU and an LSTM without what keeps them from running in parallel over time."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo import LinearCell


class MinGRUCell(LinearCell):
    """One step of a minimal gated recurrent unit.

        z  = sigmoid(W_z x + b_z)               update gate
        h~ = W_h x + b_h                        candidate
        h' = (1 - z) * h + z * h~

    Source: Feng et al., Were RNNs All We Needed?, arXiv:2410.01201, section 3.1.
    Differs: the candidate is linear; the paper's log-space form makes it positive, which a loop over time needs not.
    """

    gates = ("z", "h")

    def coefficients(self, gx: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """gx: two (..., hidden_size) tensors. Returns 1 - z and z * h~."""
        z = torch.sigmoid(gx[0])
        return 1 - z, z * gx[1]


class MinLSTMCell(LinearCell):
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

    def coefficients(self, gx: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """gx: three (..., hidden_size) tensors. Returns f / (f + i) and i / (f + i) * h~."""
        difference = F.logsigmoid(gx[0]) - F.logsigmoid(gx[1])
        return torch.sigmoid(difference), torch.sigmoid(-difference) * gx[2]
