"""Multilabel: every label that a text has, none or several (many to one)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.architectures.base import ONE
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.limits import Fraction, checked
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task, percentages, row_numbers
from rnnzoo.tasks.decisions import Decisions
from rnnzoo.tasks.units import Units, Updates, ratio

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

NONE = "no label"


class Multilabel(Task):
    """Say of each label whether a text has it.

        p_k  = sigmoid(z_k / T)                                                T: 1 in training, then see `Calibration`
        loss = -mean_k (y_k log p_k + (1 - y_k) log(1 - p_k))                  nats, the mean over texts and labels

    threshold: p_k from which on a text is said to have label k; "f1" chooses one for each label on dev, with the best
    checkpoint, so that the label's F1 is largest. The metrics, which choose that checkpoint, are those at 0.5, or at
    the threshold that is given.
    """

    form = "multilabelled_text"
    needs = ONE
    needs_reason = "multilabel asks for one set of labels for a whole text"
    monitor = ("f1_micro", "max")
    decoding = "sigmoid"

    @checked
    def __init__(self, spec: DataSpec, threshold: Fraction | Literal["f1"] = "f1") -> None:
        super().__init__(spec)
        self.threshold = threshold

    def threshold_labels(self) -> Sequence[str]:
        return self.spec.labels if self.threshold == "f1" else ()

    @property
    def fixed(self) -> float:
        """The threshold of the metrics."""
        return 0.5 if isinstance(self.threshold, str) else self.threshold

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """Logits (batch, labels)."""
        return Output(model.sequence_logits(batch))

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(output.logits.float(), batch.target)

    def metrics(self) -> MetricCollection:
        """f1_micro: of all decisions; f1_macro: the mean of each label's; exact_match: the share of whole sets."""
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MultilabelExactMatch

        from rnnzoo.tasks.metrics.label_sets import LabelSetF1

        n = len(self.spec.labels)
        return MetricCollection(
            {
                "f1_micro": LabelSetF1(n, self.fixed, average="micro"),
                "f1_macro": LabelSetF1(n, self.fixed, average="macro"),
                "exact_match": MultilabelExactMatch(n, self.fixed),
            },
            compute_groups=False,  # equal counts in one batch do not make equal metrics
        )

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """The metrics read probabilities and true labels, (batch, labels)."""
        metrics.update(output.logits.float().sigmoid(), batch.target.long())

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        units = super().units(updates, output, batch, loss, model)
        logits = output.logits.float()
        each = F.binary_cross_entropy_with_logits(logits, batch.target, reduction="none").mean(1)
        units.metrics["loss"] = ratio(each, torch.ones_like(each), ("nll", "total"))
        said = self.chosen(self.calibration.probabilities(logits, independent=True))
        units.truth, units.prediction = (
            [", ".join(row) or NONE for row in self._named(x)] for x in (batch.target, said)
        )
        return units

    def decisions(self, output: Output, batch: Batch, model: SequenceModel) -> Decisions:
        return Decisions(row_numbers(batch), batch.target.long(), output.logits)

    @property
    def thresholds(self) -> list[float]:
        """The probability of each label from which on it is said."""
        chosen = self.calibration.thresholds or {}
        return [chosen.get(label, self.fixed) for label in self.spec.labels]

    def chosen(self, probabilities: Tensor) -> Tensor:
        return (probabilities >= torch.tensor(self.thresholds, device=probabilities.device)).long()

    def _named(self, rows: Tensor) -> list[list[str]]:
        """rows: (batch, labels) 0 or 1."""
        return [[name for name, has in zip(self.spec.labels, row, strict=True) if has] for row in rows.tolist()]

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """labels: those that the text has; confidence: that of the least sure of all decisions; probabilities: of each
        label.
        """
        logits = self.forward(model, batch).logits
        probabilities = self.calibration.probabilities(logits, independent=True)
        sure = torch.maximum(probabilities, 1 - probabilities).min(1).values
        told = zip(self._named(self.chosen(probabilities)), sure.tolist(), probabilities.tolist(), strict=True)
        return [
            {"labels": labels, "confidence": p, "probabilities": dict(zip(self.spec.labels, row, strict=True))}
            for labels, p, row in told
        ]

    def describe(self, answer: Answer) -> list[str]:
        return [percentages({label: answer["probabilities"][label] for label in answer["labels"]}) or NONE]
