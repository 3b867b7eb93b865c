"""Classification: one label for a whole series of numbers (many to one)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.architectures.base import ONE
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.limits import Probability, checked
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task, row_numbers
from rnnzoo.tasks.class_weights import ClassWeights
from rnnzoo.tasks.class_weights import class_weights as weights_of
from rnnzoo.tasks.decisions import Decisions
from rnnzoo.tasks.units import Units, Updates, ratio

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Classification(Task):
    """Label a sequence from what the architecture knows at its end, or from all of its outputs pooled.

    label_smoothing: the share of each target that is spread over all labels, in training. class_weights: what examples
    of each label count in the training loss: "balanced", so that all labels together count alike, or by label.
    """

    form = "labelled_series"
    needs = ONE
    needs_reason = "classification asks for one label for a whole sequence"
    monitor = ("accuracy", "max")

    @checked
    def __init__(self, spec: DataSpec, label_smoothing: Probability = 0.0, class_weights: ClassWeights = None) -> None:
        super().__init__(spec)
        self.label_smoothing, self.weights = label_smoothing, weights_of(spec, class_weights)

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """Logits (batch, labels)."""
        return Output(model.sequence_logits(batch))

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        logits = output.logits.float()
        if not model.training:  # reported losses are plain
            return F.cross_entropy(logits, batch.target)
        if self.weights is None:
            return F.cross_entropy(logits, batch.target, label_smoothing=self.label_smoothing)
        weights = self.weights.to(logits.device)
        total = F.cross_entropy(logits, batch.target, weights, label_smoothing=self.label_smoothing, reduction="sum")
        return total / max(len(batch), 1)  # not by the batch's weights: what an example counts is the same in any batch

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

        from rnnzoo.tasks.metrics.sums import AUROC

        n = len(self.spec.labels)
        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(n, average="micro"),
                "f1": MulticlassF1Score(n, average="macro"),
                "auroc": AUROC(n),
            }
        )

    def train_metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy

        return MetricCollection({"accuracy": MulticlassAccuracy(len(self.spec.labels), average="micro")})

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """The metrics read probabilities (batch, labels) and labels (batch,) int64."""
        metrics.update(output.logits.float().softmax(-1), batch.target)

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        units = super().units(updates, output, batch, loss, model)
        each = F.cross_entropy(output.logits.float(), batch.target, reduction="none")
        units.metrics["loss"] = ratio(each, torch.ones_like(each), ("nll", "total"))
        best = self.calibration.probabilities(output.logits).max(-1)
        units.confidence = best.values
        units.truth, units.prediction = (
            [self.spec.labels[number] for number in numbers.tolist()] for numbers in (batch.target, best.indices)
        )
        return units

    def decisions(self, output: Output, batch: Batch, model: SequenceModel) -> Decisions:
        return Decisions(row_numbers(batch), batch.target, output.logits)

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """label, confidence in [0, 1], and the calibrated probability of each label."""
        rows = self.calibration.probabilities(self.forward(model, batch).logits).tolist()
        labels = self.spec.labels
        return [
            {
                "label": labels[max(range(len(row)), key=row.__getitem__)],
                "confidence": max(row),
                "probabilities": dict(zip(labels, row, strict=True)),
            }
            for row in rows
        ]

    def describe(self, answer: Answer) -> list[str]:
        return [f"{answer['label']}  {100 * answer['confidence']:.1f} %"]
