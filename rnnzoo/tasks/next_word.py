"""Next word: at each step, what comes next (a language model; causal many to many)."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.aggregation import MeanMetric

from rnnzoo.architectures.base import CAUSAL
from rnnzoo.batch import IGNORE, Batch
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output, Task


class Perplexity(MeanMetric):
    """exp of the mean negative log-likelihood, each batch's mean in nats weighted by its tokens."""

    def compute(self) -> Tensor:
        return super().compute().exp()


class NextWord(Task):
    """Predict each next token of a stream from all before it; the state is carried from window to window."""

    form = "text_stream"
    needs = CAUSAL
    needs_reason = "next_word predicts each word from those before it; a backward direction would see the answer"
    monitor = ("perplexity", "min")
    carries_state = True

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        logits, state = model.each(batch, state, need_state=True)  # (batch, time, vocabulary)
        return Output(logits=logits, state=state)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        total = F.cross_entropy(
            output.logits.flatten(0, 1).float(), batch.target.flatten(), ignore_index=IGNORE, reduction="sum"
        )
        return total / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        return int((batch.target != IGNORE).sum()) if batch.target is not None else 0

    def metrics(self) -> MetricCollection:
        return MetricCollection({"perplexity": Perplexity()})

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        metrics.update(loss, weight=self.count(batch))

    def predictions(self, model: SequenceModel, batch: Batch) -> list[dict[str, Any]]:
        """next: the five likeliest tokens after the text, each with its probability; perplexity of the text itself."""
        logits = self.forward(model, batch).logits.float().log_softmax(-1)
        vocabulary = self.spec.target.names
        rows = []
        for row, tokens, length in zip(logits, batch.inputs["tokens"], batch.lengths.tolist(), strict=True):
            best = row[length - 1].exp().topk(min(5, len(vocabulary)))
            seen = row[: length - 1].gather(1, tokens[1:length, None])
            rows.append(
                {
                    "next": {
                        vocabulary[i]: p for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
                    },
                    "perplexity": math.exp(-seen.mean().item()) if length > 1 else None,
                }
            )
        return rows
