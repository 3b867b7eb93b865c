"""Dropout that holds its mask through time."""

from torch import Tensor, nn


class LockedDropout(nn.Dropout):
    """Dropout with one mask for all steps of a sequence, drawn anew for each sequence of each batch.

    Source: Gal, Ghahramani, arXiv:1512.05287.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time, features)."""
        if not (self.training and self.p):
            return x
        return x * super().forward(x.new_ones(len(x), 1, x.shape[-1]))
