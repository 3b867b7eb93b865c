"""IndRNN: every channel remembers by itself."""

import torch
from torch import Tensor

from rnnzoo import Count, Named, PointwiseCell, Size, State, checked


class IndRNNCell(PointwiseCell):
    """One step of an independently recurrent network.

        h' = relu(W x + u * h + b)              u: one weight per channel

    memory_steps: T, the longest memory in steps. u starts in U(2^(-1/T), 2^(1/T)), and before each pass in training it
    is clipped to +-2^(1/T), so that T steps at most double a state. Without it u starts in U(0, 1) and is free.
    Source: Li et al., Independently Recurrent Neural Network, arXiv:1803.04831.
    Differs: two biases, as in torch.nn, whose sum is b; every layer starts in the range of the last one of the paper.
    """

    gates = ("h",)
    recurrent = "diagonal"

    @checked
    def __init__(self, input_size: Size, hidden_size: Size, memory_steps: Count | None = None) -> None:
        self.bound = None if memory_steps is None else 2 ** (1 / memory_steps)
        super().__init__(input_size, hidden_size)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        self.weight_hh.uniform_(*((0, 1) if self.bound is None else (1 / self.bound, self.bound)))

    def effective_weights(self) -> dict[str, Tensor]:
        """None; called once a pass, it is where u is clipped, as the paper does after an update."""
        if self.training and self.bound is not None:
            u = self.weight_hh.detach()
            if u.abs().max() > self.bound:  # written to only when needed: the last pass may still await its gradient
                u.clamp_(-self.bound, self.bound)
        return {}

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """gx, gh: one (..., hidden_size) tensor each; state: (h,). Returns (h',)."""
        return (torch.relu(gx.h + gh.h),)
