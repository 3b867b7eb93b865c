"""Forecasting: the next steps of a series of several variables (many to one: all steps at once, by a direct head)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnzoo.architectures.base import ONE, Architecture
from rnnzoo.architectures.segment import Segment, SegmentHead
from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cells.base import State
from rnnzoo.limits import Fraction, checked
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task
from rnnzoo.tasks.forecast_heads import LEVELS, Gaussian, KnownHead, Point, Quantiles
from rnnzoo.tasks.units import SHOWN, Units, Updates, numbers

if TYPE_CHECKING:
    from torchmetrics import Metric, MetricCollection

ERRORS = {"l1": F.l1_loss, "mse": F.mse_loss}


class Forecasting(Task):
    """Forecast the steps that follow a window. Losses and metrics are of standardised values, as in the papers.

    loss: of a point forecast, the mean absolute ("l1") or squared ("mse") error over all windows, steps and variables.
    head: what is said of each number: the number alone, "point"; its "quantile"s, at the levels `quantiles` (0.1 to 0.9
    if not given); or a normal distribution, "gaussian". `crps` then chooses the checkpoint, `coverage` is the share of
    truths in the interval from the lowest to the highest quantile, or in the central 80 % of a normal distribution, and
    `width` is that interval's; see `rnnzoo.tasks.forecast_heads`. mse and mae are those of the median.
    normalisation: "last" subtracts each window's last values from it, and adds them to the forecast, so that the level
    is not learned. channel_independent: each variable is a series of its own, read by the same weights.
    What is known in advance of the steps to come, where the data have such covariates, is read by a `KnownHead`.

    To say that all stays as it is has an MSE of 1.294 on ETTh1, 96 steps ahead.
    Sources: Zeng et al., arXiv:2205.13504 (last-value normalisation); Nie et al., arXiv:2211.14730 (independence).
    """

    form = "windowed_series"
    needs = ONE
    needs_reason = "forecasting asks for all steps to come at once, from what is known at a window's end"
    monitor = ("mse", "min")

    @checked
    def __init__(
        self,
        spec: DataSpec,
        loss: Literal["l1", "mse"] = "mse",
        normalisation: Literal["none", "last"] = "last",
        channel_independent: bool = False,
        head: Literal["point", "quantile", "gaussian"] = "point",
        quantiles: list[Fraction] | None = None,
    ) -> None:
        super().__init__(spec)
        if loss not in ERRORS:
            raise ValueError(f"loss must be one of {', '.join(ERRORS)}, got {loss!r}")
        if normalisation not in ("none", "last"):
            raise ValueError(f"normalisation must be none or last, got {normalisation!r}")
        if quantiles is not None and head != "quantile":
            raise ValueError("task: quantiles are for head: quantile")
        makers: dict[str, Callable[[], Point]] = {
            "point": lambda: Point(ERRORS[loss]),
            "quantile": lambda: Quantiles(quantiles or LEVELS),
            "gaussian": Gaussian,
        }
        if head not in makers:
            raise ValueError(f"head must be one of {', '.join(makers)}, got {head!r}")
        self.said = makers[head]()
        if self.said.size > 1:
            self.monitor = ("crps", "min")  # type: ignore[misc]  # a matter of the settings, not of the class
        self.normalisation = normalisation
        self.horizon: int = spec.target.options["horizon"]
        self.targets = spec.target.size  # variables that are forecast, the first of those that are read
        self.groups = self.targets if channel_independent else 1  # series that are read apart
        self.width = self.targets // self.groups  # variables of each
        field = spec.inputs["values"]
        self.covariates = field.size - self.targets
        known = len(field.options.get("known", ()))
        self.known = 2 * known if field.options.get("missing") == "mask" else known  # features of each step to come

    def inputs(self, spec: DataSpec) -> dict[str, Field]:
        return {"values": replace(spec.inputs["values"], names=(), size=self.width + self.covariates)}

    def preprocess(self, batch: Batch) -> Batch:
        """Each window less its level, the series that are read apart in turn: (batch * groups, lookback, width), and
        after these the covariates."""
        x = batch.inputs["values"]
        level = self._level(x)
        apart = (x[..., : self.targets] - level).unflatten(2, (self.groups, self.width)).transpose(1, 2).flatten(0, 1)
        if self.covariates:
            apart = torch.cat([apart, x[..., self.targets :].repeat_interleave(self.groups, 0)], -1)
        return Batch({"values": apart}, batch.lengths.repeat_interleave(self.groups))

    def _level(self, x: Tensor) -> Tensor:
        """(batch, 1, targets)."""
        last = x[:, -1:, : self.targets]
        return last if self.normalisation == "last" else torch.zeros_like(last)

    def head_for(self, architecture: Architecture, features: int) -> nn.Module:
        outputs = self.width * self.said.size
        if self.known:
            return KnownHead(features, self.horizon, self.known, outputs)
        if isinstance(architecture, Segment):
            return SegmentHead(architecture, self.horizon, self.groups, outputs)
        return nn.Linear(features, self.horizon * outputs)

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """What is said of the steps to come, standardised: (batch, horizon, variables) of points, and of others (batch,
        horizon, variables, numbers), see `rnnzoo.tasks.forecast_heads`.
        """
        x = batch.inputs["values"]
        steps = self._ahead(model, self.preprocess(batch), batch)
        steps = steps.unflatten(1, (self.horizon, self.width, self.said.size)).unflatten(0, (len(x), self.groups))
        raw = steps.transpose(1, 2).flatten(2, 3).float()  # (batch, horizon, variables, size)
        said = self.said.shifted(self.said.parameters(raw), self._level(x).float())
        return Output(said.squeeze(-1) if self.said.size == 1 else said)

    def _ahead(self, model: SequenceModel, apart: Batch, batch: Batch) -> Tensor:
        """(batch, horizon * width * size), the series apart."""
        if isinstance(model.head, KnownHead):
            known = batch.inputs["known"][:, -self.horizon :].repeat_interleave(self.groups, 0)
            answers: Tensor = model.head(model.dropout(model.pool(model.encode(apart))), known)
            return answers
        if not isinstance(model.head, SegmentHead):
            return model.sequence_logits(apart)
        encoded = model.encode(apart, need_state=True)
        assert isinstance(model.architecture, Segment) and encoded.state is not None
        queried = model.architecture.ahead(model.head.queries(len(apart)), encoded.state)
        return model.head(model.dropout(queried))

    def _said(self, output: Output) -> Tensor:
        """(batch, horizon, variables, size)."""
        return output.logits if self.said.size > 1 else output.logits.unsqueeze(-1)

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        return self.said.loss(self._said(output).float(), batch.target)

    def metrics(self) -> MetricCollection:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

        from rnnzoo.tasks.metrics.sums import Error, Mean

        metrics: dict[str, Metric | MetricCollection] = {"mse": MeanSquaredError(), "mae": MeanAbsoluteError()}
        if self.said.size > 1:
            metrics["crps"] = Error()
        if self.said.share is not None:
            metrics |= {"coverage": Mean(), "width": Mean()}
        return MetricCollection(metrics, compute_groups=False)

    def metric_signatures(self) -> dict[str, str]:
        if self.said.share is None:
            return {}
        interval = f"of the interval that should hold {100 * self.said.share:.3g} % of the truths"
        return {"coverage": interval, "width": interval}

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """The metrics read all numbers of (batch, horizon, variables) alike."""
        said, target = self._said(output).float(), batch.target
        point = self.said.point(said).flatten(1)
        values: dict[str, tuple[Tensor, ...]] = dict.fromkeys(("mse", "mae"), (point, target.flatten(1)))
        values["crps"] = (self.said.crps(said, target).flatten(1),)
        if interval := self.said.interval(said):
            low, high = interval
            values["coverage"] = (((low <= target) & (target <= high)).float().flatten(1),)
            values["width"] = ((high - low).flatten(1),)
        for name, metric in metrics.items(keep_base=True):
            metric.update(*values[name])

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        """history, truth, prediction, low and high are texts of the first variable's numbers, in the data's units."""
        units = super().units(updates, output, batch, loss, model)
        said = self._said(output).float()
        units.history = numbers(self._in_units(batch.inputs["values"][:, -SHOWN:, : self.targets])[..., 0])
        units.truth = numbers(self._in_units(batch.target)[..., 0])
        units.prediction = numbers(self._in_units(self.said.point(said))[..., 0])
        if interval := self.said.interval(said):
            units.low, units.high = (numbers(self._in_units(end)[..., 0]) for end in interval)
        return units

    def _in_units(self, values: Tensor) -> Tensor:
        """(..., variables) in the data's own units."""
        options = self.spec.inputs["values"].options
        mean, std = (values.new_tensor(options[name][: self.targets]) for name in ("mean", "std"))
        return values * std + mean

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """values: (horizon, variables) in the data's own units; variables: their names; units: of those that have one.
        quantiles: of a head that says such, values by their level.
        """
        said = self._said(self.forward(model, batch)).cpu().double()
        names, units = list(self.spec.target.names), self.spec.target.options.get("units")
        about: Answer = {"variables": names, **({"units": units} if units else {})}
        rows = self._in_units(self.said.point(said)).tolist()
        answers = [{**about, "values": row} for row in rows]
        for level, values in self.said.quantiles(said).items():
            for answer, row in zip(answers, self._in_units(values).tolist(), strict=True):
                answer.setdefault("quantiles", {})[level] = row
        return answers

    def describe(self, answer: Answer) -> list[str]:
        """A line for each step: its time, if it has one, and of each variable the value and its interval."""
        names = answer["variables"] or [str(number) for number in range(1, len(answer["values"][0]) + 1)]
        ends = [*answer.get("quantiles", {}).values()]
        lines = []
        for step, row in enumerate(answer["values"]):
            parts = []
            for place, (name, value) in enumerate(zip(names, row, strict=True)):
                unit = f" {answer['units'][name]}" if name in answer.get("units", {}) else ""
                between = f" ({ends[0][step][place]:.6g} to {ends[-1][step][place]:.6g})" if len(ends) > 1 else ""
                parts.append(f"{name} {value:.6g}{unit}{between}")
            when = answer["times"][step] if "times" in answer else f"step {step + 1}"
            lines.append(f"{when}  {'  '.join(parts)}")
        return lines
