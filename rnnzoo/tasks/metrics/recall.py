"""Recall without one class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from rnnzoo.batch import IGNORE


class Recall(MulticlassAccuracy):
    """The share that is right of those whose true class is not `outside`: micro-averaged recall without that class.

    NaN where there are none.
    """

    def __init__(self, classes: int, outside: int) -> None:
        super().__init__(classes, average="micro", ignore_index=IGNORE)
        self.outside = outside

    def update(self, preds: Tensor, target: Tensor) -> None:
        """preds, target: (batch, time) classes, int64."""
        super().update(preds, target.masked_fill(target == self.outside, IGNORE))

    def compute(self) -> Tensor:
        asked: Any = self.tp + self.fn  # type: ignore[operator]
        return super().compute().where(asked.sum() > 0, torch.nan)
