"""F1 of sets of labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.classification import MultilabelF1Score


class LabelSetF1(MultilabelF1Score):
    """2 tp / (2 tp + fp + fn), of all decisions or as the mean over labels.

    A label that no text has and none is said to have is left out; NaN where all are such.
    rows: (texts, counts), what each text of the last update adds; see `rnnzoo.tasks.metrics.rows.CountsRows`.
    """

    rows: Tensor

    @property
    def statistic(self) -> str:
        return "f1" if self.average == "micro" else "macro_f1"

    @property
    def columns(self) -> tuple[str, ...]:
        counts = ("tp", "fp", "fn")
        if self.average == "micro":
            return counts
        return tuple(f"{count}_{label}" for count in counts for label in range(int(self.num_labels)))

    def update(self, preds: Tensor, target: Tensor) -> None:
        """preds: (texts, labels) probabilities. target: (texts, labels) int64, 0 or 1."""
        super().update(preds, target)
        said, true = preds > self.threshold, target.bool()
        counts = [said & true, said & ~true, true & ~said]
        self.rows = torch.stack([c.sum(1) for c in counts], 1) if self.average == "micro" else torch.cat(counts, 1)

    def compute(self) -> Tensor:
        tp, fp, fn = (torch.as_tensor(count).double() for count in (self.tp, self.fp, self.fn))
        below = 2 * tp + fp + fn
        if self.average == "micro":
            tp, below = tp.sum(), below.sum()
        return (2 * tp / below).nanmean().float()
