"""Multilabel: every label that a text has, none or several (many to one)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelExactMatch, MultilabelF1Score

from rnnzoo import ONE, Batch, DataSpec, Fraction, Output, SequenceModel, State, Task


class F1(MultilabelF1Score):
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
        return tuple(f"{count}_{label}" for count in counts for label in range(self.num_labels))

    def update(self, preds: Tensor, target: Tensor) -> None:
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


class Multilabel(Task):
    """Say of each label whether a text has it.

        p_k  = sigmoid(w_k . v + b_k)                                          v: the text, as the network pools it
        loss = -mean_k (y_k log p_k + (1 - y_k) log(1 - p_k))                  nats, the mean over texts and labels

    The data's label column holds all labels of a text, `separator` between them: "price|service"; nothing where there
    is none. A set of labels must occur in the training split to occur in others.
    threshold: p_k above which a text is said to have a label.
    """

    form = "labelled_text"
    needs = ONE
    needs_reason = "multilabel asks for one set of labels for a whole text"
    monitor = ("f1_micro", "max")

    def __init__(self, spec: DataSpec, separator: str = "|", threshold: Fraction = 0.5) -> None:
        super().__init__(spec)
        if not separator:
            raise ValueError("separator must not be empty")
        sets = [{label.strip() for label in name.split(separator)} - {""} for name in spec.labels]
        self.labels = sorted(set().union(*sets))
        if len(self.labels) < 2:
            raise ValueError(f"multilabel needs two labels or more, got {', '.join(self.labels) or 'none'}")
        self.threshold = threshold
        self.sets = torch.tensor([[float(label in own) for label in self.labels] for own in sets])  # (sets, labels)

    def head(self, features: int) -> nn.Module:
        return nn.Linear(features, len(self.labels))

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        return Output(model.sequence_logits(batch))  # (batch, labels)

    def truth(self, batch: Batch) -> Tensor:
        """(batch, labels) 1 where a text has a label, else 0."""
        return self.sets.to(batch.target.device)[batch.target]

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(output.logits.float(), self.truth(batch))

    def metrics(self) -> MetricCollection:
        """f1_micro: of all decisions; f1_macro: the mean of each label's; exact_match: the share of whole sets."""
        n, threshold = len(self.labels), self.threshold
        return MetricCollection(
            {
                "f1_micro": F1(n, threshold, average="micro"),
                "f1_macro": F1(n, threshold, average="macro"),
                "exact_match": MultilabelExactMatch(n, threshold),
            },
            compute_groups=False,
        )

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        metrics.update(output.logits.float().sigmoid(), self.truth(batch).long())

    @property
    def classes(self) -> list[str]:
        return self.labels

    def log_odds(self, logits: Tensor, chosen: int) -> Tensor:
        """Of each label by itself: the logit."""
        return logits[:, chosen].double()

    def predictions(self, model: SequenceModel, batch: Batch) -> list[dict[str, Any]]:
        """labels: those that the text has; probabilities: of each label."""
        rows = self.forward(model, batch).logits.float().sigmoid().tolist()
        told = [dict(zip(self.labels, row, strict=True)) for row in rows]
        return [{"labels": [k for k, p in row.items() if p > self.threshold], "probabilities": row} for row in told]

    def describe(self, answer: dict[str, Any]) -> list[str]:
        labels = (f"{label} {100 * answer['probabilities'][label]:.1f} %" for label in answer["labels"])
        return ["  ".join(labels) or "no label"]
