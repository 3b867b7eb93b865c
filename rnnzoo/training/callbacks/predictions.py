"""What the test says of each example, gathered over processes and written into the run's folder."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torchmetrics import MetricCollection

from rnnzoo.batch import Batch
from rnnzoo.errors import ZooError
from rnnzoo.runs import predictions
from rnnzoo.runs.predictions import Block, CountedMetric, Header, Mode
from rnnzoo.runs.statistics import STATISTICS
from rnnzoo.system import console
from rnnzoo.tasks.base import Output, Task
from rnnzoo.tasks.metrics.rows import CountsRows
from rnnzoo.tasks.units import Units, Update, Updates
from rnnzoo.training.module import Observer, ZooModule

log = logging.getLogger("rnnzoo")
MAX_LABELS = 1000  # whose names are told
TOLERANCE = 1e-4  # between a metric and the statistic of its summed counts, relative: both are sums in float32


class Predictions(Callback):
    """Keeps what a test says of each unit, and writes it to `file` at the end. A failure is a warning, and no file.

    task: its name. fingerprint, scored_rows: see `Header`. texts: whether inputs, truths and answers are told as
    texts too.
    """

    def __init__(self, file: Path, task: str, fingerprint: str, scored_rows: str = "", texts: bool = True) -> None:
        self.file, self.task, self.texts = file, task, texts
        self.fingerprint, self.scored_rows = fingerprint, scored_rows
        self.failed: str | None = None
        self.blocks: list[Block] = []
        self.header: Header | None = None
        self._updates: dict[str, Update] = {}
        self._observer: Observer | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(ZooModule, pl_module)
        self.blocks, self.failed, self.header = [], None, None
        watch(module.task_metrics("test"), self._updates)
        self._observer = partial(self._add, module)
        module.observers["test"].append(self._observer)

    def _add(self, module: ZooModule, output: Output, batch: Batch, loss: Tensor) -> None:
        """Keep what a batch says, until something fails; never raises."""
        if self.failed is not None:
            return
        try:
            metrics = module.task_metrics("test")
            units = module.task.units(updates_of(metrics, self._updates), output, batch, loss, module.model)
            self.header = self.header or self._header(module.task, metrics, units)
            self.blocks.append(block_of(units, self.header, self.texts))
        except Exception as error:  # of a plugin's task or metric
            self.failed = f"{type(error).__name__}: {console.inline(error, 200)}"

    def _header(self, task: Task, metrics: MetricCollection, units: Units) -> Header:
        """What the rows are of: the metrics of which it is known which values are better."""
        signatures = task.metric_signatures()
        counted = {}
        for name, item in units.metrics.items():
            better = None if name == "loss" else getattr(metrics, name).higher_is_better
            modes: dict[bool | None, Mode] = {True: "max", False: "min"}
            mode = task.monitor[1] if name == task.monitor[0] else modes.get(False if name == "loss" else better)
            if mode is not None:
                columns = tuple(f"{name}.{column}" for column in item.columns)
                counted[name] = CountedMetric(item.statistic, columns, mode, signatures.get(name, ""))
        labels = task.spec.labels if task.spec.target.kind in ("label", "tags") else ()
        labels = labels[:MAX_LABELS]
        return Header(self.task, task.unit, self.fingerprint, counted, labels, scored_rows=self.scored_rows)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(ZooModule, pl_module)
        self._stop(module)
        parts = gathered((self.header, self.blocks, self.failed), trainer.world_size)
        self.blocks = []
        if not trainer.is_global_zero:
            return
        try:
            self._write(parts, {name: float(value) for name, value in trainer.callback_metrics.items()})
        except (ZooError, OSError, ValueError, MemoryError) as error:  # as of a full disk: the run is worth more
            self.failed = console.inline(error, 200)
        if self.failed is not None:
            log.warning("the results of single examples are not kept: %s", self.failed)

    def _write(self, parts: list[Any], scores: dict[str, float]) -> None:
        self.failed = next((failed for _, _, failed in parts if failed is not None), None)
        headers = [header for header, _, _ in parts if header is not None]
        if self.failed is not None or not headers:
            return
        if any(header != headers[0] for header in headers):
            raise ValueError("the processes count different things")
        whole = predictions.joined([predictions.joined(blocks, add=True) for _, blocks, _ in parts if blocks])
        header = headers[0].with_only(sound(headers[0], whole, scores))
        whole.counts = whole.counts[:, np.isin(headers[0].columns, header.columns)]
        predictions.write(self.file, header, whole)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(pl_module, ZooModule) and self._observer is not None:
            self._stop(pl_module)

    def _stop(self, module: ZooModule) -> None:
        if self._observer is not None:
            module.observers["test"].remove(self._observer)
            self._observer = None
        unwatch(module.task_metrics("test"))


def gathered(mine: Any, world_size: int) -> list[Any]:
    """What each process has, in the order of their ranks, in the first one; an empty list in the others."""
    if world_size == 1:
        return [mine]
    rank = torch.distributed.get_rank()
    parts: list[Any] = [None] * world_size
    torch.distributed.gather_object(mine, parts if rank == 0 else None)
    return parts if rank == 0 else []


def watch(metrics: MetricCollection, updates: dict[str, Update]) -> None:
    """Have each metric put the arguments of its updates into `updates`, until `unwatch`."""
    for name, metric in metrics.items(keep_base=True, copy_state=False):
        metric.update = partial(_watched, name, metric, metric.update, updates)  # type: ignore[method-assign]


def _watched(
    name: str, metric: Any, update: Callable[..., None], updates: dict[str, Update], *args: Any, **named: Any
) -> None:
    bound = inspect.signature(type(metric).update).bind(metric, *args, **named) if named else None
    update(*args, **named)
    updates[name] = Update(metric, args if bound is None else bound.args[1:])


def unwatch(metrics: MetricCollection) -> None:
    for metric in metrics.values(copy_state=False):
        if isinstance(metric.update, partial) and metric.update.func is _watched:
            metric.update = metric.update.args[2]  # type: ignore[method-assign]


def updates_of(metrics: MetricCollection, seen: dict[str, Update]) -> Updates:
    """The updates of a batch, which are taken out of `seen`. Metrics with equal sums are updated as one: the others
    get the same arguments.
    """
    updates = dict(seen)
    seen.clear()
    for group in metrics.compute_groups.values():
        for name in group:
            metric = getattr(metrics, str(name))
            if name not in updates and group[0] in updates and not isinstance(metric, CountsRows):
                updates[name] = Update(metric, updates[group[0]].arguments)
    return updates


def block_of(units: Units, header: Header, texts: bool) -> Block:
    """The units as numpy arrays; what is on a GPU is fetched in one go. Raises: KeyError, ValueError."""
    unknown = {
        name: torch.full((len(units.ids), len(metric.columns)), torch.nan) for name, metric in header.metrics.items()
    }
    values = [
        units.metrics[name].values.detach() if name in units.metrics else unknown[name] for name in header.metrics
    ]
    sure = [] if units.confidence is None else [units.confidence.detach()[:, None].float()]
    device = next((value.device for value in (*values, *sure)), torch.device("cpu"))
    parts = torch.cat([value.to(device).float() for value in (*values, *sure)], 1) if values or sure else None
    table = np.empty((len(units.ids), 0)) if parts is None else parts.cpu().double().numpy()
    told = {name: getattr(units, name) for name in predictions.TEXTS}
    return Block(
        units.ids.cpu().numpy(),
        table[:, : len(header.columns)],
        {name: list(rows) for name, rows in told.items() if rows is not None} if texts else {},
        table[:, -1] if sure else None,
        units.glue,
    )


def sound(header: Header, block: Block, scores: dict[str, float]) -> list[str]:
    """The metrics whose counts, summed, give what the test has reported."""
    sums = dict(zip(header.columns, block.counts.sum(0), strict=True))
    found = []
    for name, metric in header.metrics.items():
        statistic, reported = STATISTICS.get(metric.statistic), scores.get(f"test/{name}", np.nan)
        value = np.nan if statistic is None else float(statistic(np.array([sums[key] for key in metric.columns])))
        if np.isclose(value, reported, rtol=TOLERANCE, atol=1e-7):
            found.append(name)
        else:
            log.debug("test/%s is %s and its counts give %s: they are not kept", name, reported, value)
    return found
