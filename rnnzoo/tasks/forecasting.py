"""Forecasting: the next steps of a series of several variables (many to one: all steps at once, by a direct head)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.architectures.base import ONE, Architecture
from rnnzoo.architectures.segment import Segment, SegmentHead
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

ERRORS = {"l1": F.l1_loss, "mse": F.mse_loss}


class Forecasting(Task):
    """Forecast the steps that follow a window. Losses and metrics are of standardised values, as in the papers.

    loss: the mean absolute ("l1") or squared ("mse") error over all windows, steps and variables. normalisation: "last"
    subtracts each window's last values from it, and adds them to the forecast, so that the level is not learned.
    channel_independent: each variable is a series of its own, read by the same weights.

    To say that all stays as it is has an MSE of 1.294 on ETTh1, 96 steps ahead.
    Sources: Zeng et al., arXiv:2205.13504 (last-value normalisation); Nie et al., arXiv:2211.14730 (independence).
    """

    form = "windowed_series"
    needs = ONE
    needs_reason = "forecasting asks for all steps to come at once, from what is known at a window's end"
    monitor = ("mse", "min")
    decoding = "none: (horizon, variables), standardised; times std plus mean of the input's options"

    def __init__(
        self,
        spec: DataSpec,
        loss: Literal["l1", "mse"] = "mse",
        normalisation: Literal["none", "last"] = "last",
        channel_independent: bool = False,
    ) -> None:
        super().__init__(spec)
        if loss not in ERRORS:
            raise ValueError(f"loss must be one of {', '.join(ERRORS)}, got {loss!r}")
        if normalisation not in ("none", "last"):
            raise ValueError(f"normalisation must be none or last, got {normalisation!r}")
        self.error, self.normalisation = ERRORS[loss], normalisation
        self.horizon: int = spec.target.options["horizon"]
        self.groups = spec.target.size if channel_independent else 1  # series that are read apart
        self.width = spec.target.size // self.groups  # variables of each

    def inputs(self, spec: DataSpec) -> dict[str, Field]:
        return {"values": replace(spec.inputs["values"], names=(), size=self.width)}

    def preprocess(self, batch: Batch) -> Batch:
        """Each window less its level, the series that are read apart in turn: (batch * groups, lookback, width)."""
        x = batch.inputs["values"]
        apart = (x - self._level(x)).unflatten(2, (self.groups, self.width)).transpose(1, 2).flatten(0, 1)
        return Batch({"values": apart}, batch.lengths.repeat_interleave(self.groups))

    def _level(self, x: Tensor) -> Tensor:
        """(batch, 1, variables)."""
        return x[:, -1:] if self.normalisation == "last" else torch.zeros_like(x[:, -1:])

    def head_for(self, architecture: Architecture, features: int) -> nn.Module:
        if isinstance(architecture, Segment):
            return SegmentHead(architecture, self.horizon, self.groups)
        return nn.Linear(features, self.horizon * self.width)

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """The steps to come, standardised: (batch, horizon, variables)."""
        x = batch.inputs["values"]
        steps = self._ahead(model, self.preprocess(batch))
        steps = steps.unflatten(1, (self.horizon, self.width)).unflatten(0, (len(x), self.groups))
        return Output(steps.transpose(1, 2).flatten(2) + self._level(x))

    @staticmethod
    def _ahead(model: SequenceModel, batch: Batch) -> Tensor:
        """(batch, horizon * width), the series apart."""
        if not isinstance(model.head, SegmentHead):
            return model.sequence_logits(batch)
        encoded = model.encode(batch, need_state=True)
        assert isinstance(model.architecture, Segment) and encoded.state is not None
        answers = model.architecture.ahead(model.head.queries(len(batch)), encoded.state)
        return model.head(model.dropout(answers))

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        return self.error(output.logits.float(), batch.target)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

        return MetricCollection({"mse": MeanSquaredError(), "mae": MeanAbsoluteError()})

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """The metrics read all numbers of (batch, horizon, variables) alike."""
        metrics.update(output.logits.float().flatten(1), batch.target.flatten(1))

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """values: (horizon, variables) in the data's own units; variables: their names."""
        field = self.spec.inputs["values"]
        forecast = self.forward(model, batch).logits.cpu().double()
        mean, std = (forecast.new_tensor(field.options[name]) for name in ("mean", "std"))
        return [{"variables": list(field.names), "values": row} for row in (forecast * std + mean).tolist()]

    def describe(self, answer: Answer) -> list[str]:
        """A line for each step."""
        names = answer["variables"] or range(1, len(answer["values"][0]) + 1)
        rows = (zip(names, row, strict=True) for row in answer["values"])
        steps = ("  ".join(f"{name} {value:.6g}" for name, value in row) for row in rows)
        return [f"step {number}  {step}" for number, step in enumerate(steps, start=1)]
