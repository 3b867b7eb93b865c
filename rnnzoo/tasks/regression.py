"""Regression: a number, or several, for a whole series of numbers (many to one)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from rnnzoo.architectures.base import ONE
from rnnzoo.batch import Batch
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task
from rnnzoo.tasks.units import Units, Updates, numbers

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Regression(Task):
    """Predict numbers from what the architecture knows at a series' end, or from all of its outputs pooled.

    The loss is the mean squared error. It and the metrics are means over all numbers of all series. Where the data are
    standardised, the loss is of standardised numbers; the metrics and the answers are in the data's own units.
    """

    form = "measured_series"
    needs = ONE
    needs_reason = "regression asks for one answer to a whole series"
    monitor = ("mse", "min")
    decoding = "none: the numbers themselves"

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """The numbers themselves, (batch, targets)."""
        return Output(model.sequence_logits(batch))

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        return F.mse_loss(output.logits.float(), batch.target)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

        return MetricCollection({"mse": MeanSquaredError(), "mae": MeanAbsoluteError()})

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """The metrics read (batch, targets), numbers and target alike."""
        metrics.update(self._in_units(output.logits.float()), self._in_units(batch.target))

    def _in_units(self, numbers: Tensor) -> Tensor:
        """(batch, targets) in the data's own units."""
        scale = self.spec.target.options
        if "mean" not in scale:
            return numbers
        return numbers * numbers.new_tensor(scale["std"]) + numbers.new_tensor(scale["mean"])

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        units = super().units(updates, output, batch, loss, model)
        truth, preds = (self._in_units(part.float()) for part in (batch.target, output.logits))
        units.truth, units.prediction = numbers(truth), numbers(preds)
        return units

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """values: the numbers, in the order of the target. targets: their names, where the data have some."""
        names = {"targets": list(self.spec.target.names)} if self.spec.target.names else {}
        rows = self._in_units(self.forward(model, batch).logits.float().cpu()).tolist()
        return [{"values": row, **names} for row in rows]

    def describe(self, answer: Answer) -> list[str]:
        if "targets" in answer:
            pairs = zip(answer["targets"], answer["values"], strict=True)
            return ["  ".join(f"{name} {value:.6g}" for name, value in pairs)]
        return ["  ".join(f"{value:.6g}" for value in answer["values"])]
