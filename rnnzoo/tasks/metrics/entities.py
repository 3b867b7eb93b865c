"""How many spans are found exactly: the entity-level scores of CoNLL, from counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from rnnzoo.batch import IGNORE
from rnnzoo.data.encoding.spans import OUTSIDE, joins

Score = Literal["precision", "recall", "f1"]
SCORES: tuple[Score, ...] = get_args(Score)


class SpanScore(Metric):
    """Precision, recall or F1 of spans: right are those with exactly the true type, first and last word.

        precision = tp / (tp + fp)    recall = tp / (tp + fn)    f1 = 2 tp / (2 tp + fp + fn)

    summed over all types and texts. NaN where there is nothing to divide by, but for the precision of a model that
    finds none of the spans there are: that is 0. Tags are read as conlleval reads them, those of the model and the true
    ones alike, so that output that is not well-formed counts too; see `rnnzoo.data.encoding.spans.joins`.
    """

    higher_is_better = True
    full_state_update = False
    columns = ("tp", "fp", "fn")
    tp: Tensor
    fp: Tensor
    fn: Tensor
    joins: Tensor
    types: Tensor
    rows: Tensor  # (rows, 3) what each row of the last update added

    def __init__(self, labels: Sequence[str], what: Score = "f1", **options: Any) -> None:
        super().__init__(**options)
        self.what: Score = what
        self.statistic: str = what
        for name in ("tp", "fp", "fn"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")
        tags = (*labels, OUTSIDE)  # the last one marks the end of a text
        types = sorted({tag[2:] for tag in tags})
        self.register_buffer("joins", torch.tensor([[joins(a, b) for b in tags] for a in tags]), persistent=False)
        self.register_buffer("types", torch.tensor([types.index(tag[2:]) for tag in tags]), persistent=False)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """preds, target: (batch, time) tags by number; a text's end is where the target is IGNORE."""
        end = len(self.types) - 1
        past = target == IGNORE
        predicted = self._spans(preds.masked_fill(past, end))
        true = self._spans(target.masked_fill(past, end))
        begins, right = predicted[0] & true[0], predicted[1] == true[1]
        tp = (begins & right & (predicted[2] == true[2])).sum(1)
        self.rows = torch.stack([tp, predicted[0].sum(1) - tp, true[0].sum(1) - tp], 1)
        counts = self.rows.sum(0)
        self.tp += counts[0]
        self.fp += counts[1]
        self.fn += counts[2]

    def _spans(self, tags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each word whether a span begins there, of which type, and how many words after it the next one ends."""
        outside = tags.new_full((len(tags), 1), len(self.types) - 1)
        before, after = torch.cat([outside, tags[:, :-1]], 1), torch.cat([tags[:, 1:], outside], 1)
        types = self.types[tags]
        inside = types != self.types[-1]
        begins = inside & ~self.joins[before, tags]
        ends = inside & ~self.joins[tags, after]
        index = torch.arange(tags.shape[1], device=tags.device).expand_as(tags)
        last = torch.where(ends, index, tags.shape[1]).flip(1).cummin(1).values.flip(1)
        return begins, types, last

    def compute(self) -> Tensor:
        tp, fp, fn = self.tp.double(), self.fp.double(), self.fn.double()
        below = {"precision": tp + fp, "recall": tp + fn, "f1": (2 * tp + fp + fn) / 2}[self.what]
        if self.what == "precision" and fn > 0:
            below = below.clamp(min=1)
        return (tp / below).float()
