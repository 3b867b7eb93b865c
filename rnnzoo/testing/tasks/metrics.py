"""Metrics that depend neither on the batches nor on the number of processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnnzoo.batch import Batch
from rnnzoo.testing.tasks.subject import TaskSubject, rows_of, splits


def counted(subject: TaskSubject, metrics: Any, batches: list[Batch]) -> Any:
    """The metrics, with these batches counted."""
    task, model, _ = subject.built()
    for batch in batches:
        output, loss = subject.loss(task, model, batch)
        task.update(metrics, output, batch, loss.detach(), model)
    return metrics


def measured(subject: TaskSubject, metrics: Any, batches: list[Batch]) -> dict[str, Tensor]:
    """What the metrics are with these batches counted."""
    metrics = counted(subject, metrics, batches)
    return {name: torch.as_tensor(value) for name, value in metrics.compute().items()}


@torch.no_grad()
def check_metrics_of_any_split(subject: TaskSubject) -> str:
    """Metrics of a part of the data do not depend on how it is cut into batches."""
    task, _, batch = subject.built()
    wanted = measured(subject, task.metrics(), [batch])
    for name, value in wanted.items():
        subject.require(value.shape == () and not bool(value.isnan()), f"{name}: expected one number, found {value}")
    for how, parts in splits(batch).items():
        subject.close(measured(subject, task.metrics(), parts), wanted, how)
    return ", ".join(wanted) or "none"


@torch.no_grad()
def check_metrics_of_processes(subject: TaskSubject) -> None:
    """Counts of two processes, put together, give the metrics of one."""
    task, _, batch = subject.built()
    wanted = measured(subject, task.metrics(), [batch])
    first, second = (counted(subject, task.metrics(), [part]) for part in splits(batch)["one and the rest"])
    for name, metric in first.items():
        for state, reduction in metric._reductions.items():
            message = f"{name}: expected a rule to add '{state}' over processes (dist_reduce_fx), found none"
            subject.require(reduction is not None, message)
        metric.merge_state(second[name])
        subject.agree(metric.compute(), wanted[name], f"{name} of two processes")


@torch.no_grad()
def check_metrics_reset(subject: TaskSubject) -> None:
    """After a reset the metrics count from nothing, and two calls of `metrics` share nothing."""
    task, _, batch = subject.built()
    metrics, first = task.metrics(), rows_of(batch, [0, 1, 2])
    wanted = measured(subject, task.metrics(), [batch])
    measured(subject, metrics, [first])
    metrics.reset()
    subject.close(measured(subject, metrics, [batch]), wanted, "after a reset")
