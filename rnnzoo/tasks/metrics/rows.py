"""What each row of an update adds to a metric of torchmetrics, or to one of ours."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassF1Score,
    MultilabelExactMatch,
)

from rnnzoo.tasks.metrics.recall import Recall
from rnnzoo.tasks.metrics.sums import Mean, Perplexity, PerStep
from rnnzoo.tasks.units import Counted, Update

MAX_CLASSES = 100  # of a mean over classes, which takes three columns for each


@runtime_checkable
class CountsRows(Protocol):
    """A metric that knows what each row of its last update added.

    statistic, columns: see `Counted`. rows: (rows, columns), on any device.
    """

    statistic: str
    columns: tuple[str, ...]
    rows: Tensor


def counted(update: Update, rows: int) -> Counted | None:
    """What each of the rows of an update added; None for a metric that is no function of sums, or is not known."""
    metric, arguments = update
    if isinstance(metric, CountsRows):
        found: Counted | None = Counted(metric.statistic, metric.columns, metric.rows)
    else:
        found = of_rows(metric, *arguments)
    return found if found is not None and len(found.values) == rows else None


@singledispatch
def of_rows(metric: Metric, *arguments: Any) -> Counted | None:
    """What each row of an update adds, by the metric's class."""
    return None


@of_rows.register
def _(metric: MulticlassAccuracy, preds: Tensor, target: Tensor) -> Counted | None:
    return None if metric.average != "micro" else _right(metric, preds, target)


@of_rows.register
def _(metric: Recall, preds: Tensor, target: Tensor) -> Counted | None:
    return _right(metric, preds, target.masked_fill(target == metric.outside, cast(int, metric.ignore_index)))


def _right(metric: Any, preds: Tensor, target: Tensor) -> Counted | None:
    """Of a multiclass metric that takes all decisions alike: how many are right, of how many."""
    classes = _classes(metric, preds, target)
    if classes is None:
        return None
    asked = target != metric.ignore_index if metric.ignore_index is not None else torch.ones_like(target).bool()
    right = ((classes == target) & asked).flatten(1).sum(1) if target.ndim > 1 else (classes == target) & asked
    total = asked.flatten(1).sum(1) if target.ndim > 1 else asked
    return Counted("ratio", ("correct", "total"), torch.stack([right.float(), total.float()], 1))


def _classes(metric: Any, preds: Tensor, target: Tensor) -> Tensor | None:
    """The class named at each place of the target; None where several are named, or what is counted is not rows."""
    if getattr(metric, "top_k", 1) != 1 or metric.multidim_average != "global":
        return None
    return preds.argmax(1) if preds.ndim == target.ndim + 1 else preds


@of_rows.register
def _(metric: MulticlassF1Score, preds: Tensor, target: Tensor) -> Counted | None:
    if metric.average == "micro":
        return _right(metric, preds, target)
    classes, number = _classes(metric, preds, target), cast(int, metric.num_classes)
    if metric.average != "macro" or classes is None or target.ndim != 1 or number > MAX_CLASSES:
        return None
    asked = (target != metric.ignore_index if metric.ignore_index is not None else torch.ones_like(target).bool())[
        :, None
    ]
    names = torch.arange(number, device=target.device)
    named, true = (classes[:, None] == names) & asked, (target[:, None] == names) & asked
    return by_class(named & true, named & ~true, true & ~named)


def by_class(tp: Tensor, fp: Tensor, fn: Tensor) -> Counted:
    """Counts for the mean F1 over classes. tp, fp, fn: (rows, classes)."""
    columns = tuple(f"{name}_{number}" for name in ("tp", "fp", "fn") for number in range(tp.shape[1]))
    return Counted("macro_f1", columns, torch.cat([tp, fp, fn], 1).float())


@of_rows.register
def _(metric: BinaryAccuracy, preds: Tensor, target: Tensor) -> Counted | None:
    decisions = _decisions(metric, preds)
    if decisions is None or metric.ignore_index is not None:
        return None
    right = (decisions == target).reshape(len(target), -1).float()
    return Counted("ratio", ("correct", "total"), torch.stack([right.sum(1), torch.ones_like(right).sum(1)], 1))


@of_rows.register
def _(metric: BinaryF1Score, preds: Tensor, target: Tensor) -> Counted | None:
    decisions = _decisions(metric, preds)
    if decisions is None or metric.ignore_index is not None:
        return None
    named, true = (part.reshape(len(target), -1).bool() for part in (decisions, target))
    counts = [(named & true).sum(1), (named & ~true).sum(1), (true & ~named).sum(1)]
    return Counted("f1", ("tp", "fp", "fn"), torch.stack(counts, 1).float())


def _decisions(metric: Any, preds: Tensor) -> Tensor | None:
    """Yes or no, of probabilities; None where the metric reads logits, or counts otherwise."""
    if metric.multidim_average != "global":
        return None
    if not preds.is_floating_point():
        return preds
    return preds > metric.threshold if bool(((preds >= 0) & (preds <= 1)).all()) else None


@of_rows.register
def _(metric: MultilabelExactMatch, preds: Tensor, target: Tensor) -> Counted | None:
    decisions = _decisions(metric, preds)
    if decisions is None or target.ndim != 2 or metric.ignore_index is not None:
        return None
    right = (decisions == target).all(1).float()
    return Counted("ratio", ("correct", "total"), torch.stack([right, torch.ones_like(right)], 1))


@of_rows.register
def _(metric: MeanSquaredError, preds: Tensor, target: Tensor) -> Counted | None:
    if metric.num_outputs != 1:
        return None
    return _errors((preds - target).square(), "squares", "ratio" if metric.squared else "root_ratio")


@of_rows.register
def _(metric: MeanAbsoluteError, preds: Tensor, target: Tensor) -> Counted | None:
    return _errors((preds - target).abs(), "errors", "ratio") if getattr(metric, "num_outputs", 1) == 1 else None


def _errors(errors: Tensor, name: str, statistic: str) -> Counted:
    rows = errors.reshape(len(errors), -1).float()
    return Counted(statistic, (name, "numbers"), torch.stack([rows.sum(1), torch.ones_like(rows).sum(1)], 1))


@of_rows.register
def _(metric: Mean, value: Tensor, weight: float = 1.0) -> Counted | None:
    if value.ndim == 0 or isinstance(metric, PerStep):
        return None
    rows = value.reshape(len(value), -1).float()
    sums = torch.stack([rows.sum(1) * weight, torch.ones_like(rows).sum(1) * weight], 1)
    return Counted("exp_ratio" if isinstance(metric, Perplexity) else "ratio", ("sum", "weight"), sums)
