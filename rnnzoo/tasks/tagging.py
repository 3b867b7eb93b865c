"""Tagging: one label for each word (aligned many to many)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from rnnzoo.architectures.base import EACH
from rnnzoo.batch import IGNORE, Batch
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output, Task


class Tagging(Task):
    """Label each word, from the words before it and, with a bidirectional architecture, after it."""

    form = "tagged_text"
    needs = EACH
    needs_reason = "tagging asks for one label for each word of the sequence that is read"
    monitor = ("accuracy", "max")

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
        return MetricCollection({"accuracy": MulticlassAccuracy(n, average="micro", ignore_index=IGNORE)})

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
