"""What a test keeps of each example."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from rnnzoo.batch import Batch
from rnnzoo.runs.statistics import STATISTICS
from rnnzoo.tasks.units import Units, Update
from rnnzoo.testing.tasks.subject import TaskSubject, splits
from rnnzoo.training.callbacks.predictions import unwatch, updates_of, watch


def told(subject: TaskSubject, batches: list[Batch]) -> tuple[list[Units], dict[str, float]]:
    """What the task says of the units of each batch, and its metrics over all of them."""
    task, model, _ = subject.built()
    metrics: Any = task.metrics()
    updates: dict[str, Update] = {}
    watch(metrics, updates)
    units = []
    for batch in batches:
        output, loss = subject.loss(task, model, batch)
        task.update(metrics, output, batch, loss, model)
        units.append(task.units(updates_of(metrics, updates), output, batch, loss, model))
    unwatch(metrics)
    return units, {name: float(value) for name, value in metrics.compute().items()}


@torch.no_grad()
def check_units_add_up(subject: TaskSubject) -> str:
    """What the task counts of each example adds up to its metrics, however the data are cut into batches."""
    _, _, batch = subject.built()
    for how, parts in {"in one batch": [batch], **splits(batch)}.items():
        units, metrics = told(subject, parts)
        for name in units[0].metrics.keys() & metrics.keys():
            counted = [unit.metrics[name] for unit in units]
            statistic = counted[0].statistic
            known = f"{name}: expected a statistic among {', '.join(STATISTICS)}, found '{statistic}'"
            subject.require(statistic in STATISTICS, known)
            shape = [tuple(item.values.shape) for item in counted]
            wanted = [(len(unit.ids), len(item.columns)) for unit, item in zip(units, counted, strict=True)]
            subject.require(shape == wanted, f"{name}: expected counts {wanted} (units, columns), found {shape}")
            sums = np.stack([item.values.double().sum(0).numpy() for item in counted]).sum(0)
            value = float(STATISTICS[statistic](sums))
            message = f"{name} {how}: expected what its counts add up to, {value}, found {metrics[name]}"
            subject.require(math.isclose(value, metrics[name], rel_tol=1e-4, abs_tol=1e-6), message)
    return ", ".join(units[0].metrics) or "none"
