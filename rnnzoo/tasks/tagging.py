"""Tagging: one label for each word (aligned many to many)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from rnnzoo.architectures.base import EACH
from rnnzoo.batch import IGNORE, Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output, Task


class Recall(MulticlassAccuracy):
    """The share that is right of those whose true class is not `outside`: micro-averaged recall without that class."""

    def __init__(self, classes: int, outside: int) -> None:
        super().__init__(classes, average="micro", ignore_index=IGNORE)
        self.outside = outside

    def update(self, preds: Tensor, target: Tensor) -> None:
        super().update(preds, target.masked_fill(target == self.outside, IGNORE))


class Tagging(Task):
    """Label each word, from the words before it and, with a bidirectional architecture, after it.

    outside: the tag of words that are nothing in particular; `recall` is then the share of the others that is tagged
    right.
    """

    form = "tagged_text"
    needs = EACH
    needs_reason = "tagging asks for one label for each word of the sequence that is read"
    monitor = ("accuracy", "max")

    def __init__(self, spec: DataSpec, outside: str | None = None) -> None:
        super().__init__(spec)
        if outside is not None and outside not in spec.labels:
            raise ValueError(f"task: outside must be one of the tags {', '.join(spec.labels)}, got '{outside}'")
        self.outside = outside

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        return Output(logits=model.each(batch)[0])  # (batch, time, tags)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        total = F.cross_entropy(
            output.logits.flatten(0, 1).float(), batch.target.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        return total / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        return batch.tokens

    def metrics(self) -> MetricCollection:
        n = len(self.spec.labels)
        found: dict[str, Metric | MetricCollection] = {}
        found["accuracy"] = MulticlassAccuracy(n, average="micro", ignore_index=IGNORE)
        if self.outside is not None:
            found["recall"] = Recall(n, self.spec.labels.index(self.outside))
        return MetricCollection(found, compute_groups=False)  # equal counts in one batch do not make equal metrics

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        metrics.update(output.logits.flatten(0, 1), batch.target.flatten())

    def predictions(self, model: SequenceModel, batch: Batch) -> list[dict[str, Any]]:
        """tags: one for each word."""
        best = self.forward(model, batch).logits.argmax(-1).tolist()
        labels = self.spec.labels
        return [
            {"tags": [labels[tag] for tag in row[:length]]}
            for row, length in zip(best, batch.lengths.tolist(), strict=True)
        ]
