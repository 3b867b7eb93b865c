"""Classification: one label for a whole series of numbers (many to one)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

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
    threshold: of two labels, "f1" says the rarer one from the probability on at which its F1 is largest on dev; if not
    given, the likelier label is said. Reported metrics are always of the likelier one.
    """

    form = "labelled_series"
    needs = ONE
    needs_reason = "classification asks for one label for a whole sequence"
    monitor = ("accuracy", "max")

    @checked
    def __init__(
        self,
        spec: DataSpec,
        label_smoothing: Probability = 0.0,
        class_weights: ClassWeights = None,
        threshold: Literal["f1"] | None = None,
    ) -> None:
        super().__init__(spec)
        if threshold is not None and len(spec.labels) != 2:
            raise ValueError(f"task: threshold is for data of two labels, and these have {len(spec.labels)}")
        self.threshold = threshold
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
        probabilities = self.calibration.probabilities(output.logits)
        said = self.chosen(probabilities)
        units.confidence = probabilities.gather(1, said[:, None]).squeeze(1)
        units.truth, units.prediction = (
            [self.spec.labels[number] for number in numbers.tolist()] for numbers in (batch.target, said)
        )
        return units

    def decisions(self, output: Output, batch: Batch, model: SequenceModel) -> Decisions:
        return Decisions(row_numbers(batch), batch.target, output.logits)

    def threshold_labels(self) -> Sequence[str]:
        counts, labels = self.spec.target.counts, self.spec.labels
        return () if self.threshold is None else (labels[counts.index(min(counts)) if counts else -1],)

    def chosen(self, probabilities: Tensor) -> Tensor:
        thresholds = self.calibration.thresholds
        if not thresholds or len(self.spec.labels) != 2:
            return probabilities.argmax(-1)
        ((label, least),) = [*thresholds.items()][:1]
        number = self.spec.labels.index(label)
        return torch.where(probabilities[:, number] >= least, number, 1 - number)

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """label, confidence in [0, 1], and the calibrated probability of each label."""
        probabilities = self.calibration.probabilities(self.forward(model, batch).logits)
        labels = self.spec.labels
        return [
            {
                "label": labels[number],
                "confidence": row[number],
                "probabilities": dict(zip(labels, row, strict=True)),
            }
            for number, row in zip(self.chosen(probabilities).tolist(), probabilities.tolist(), strict=True)
        ]

    def describe(self, answer: Answer) -> list[str]:
        return [f"{answer['label']}  {100 * answer['confidence']:.1f} %"]
