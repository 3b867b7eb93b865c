"""Next word: at each step, what comes next (a language model; causal many to many)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.aggregation import MeanMetric

from rnnzoo.architectures.base import CAUSAL
from rnnzoo.batch import IGNORE, Batch
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output, Task

WINDOW = 1024  # steps of a text that are predicted at once


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
        """next: the five likeliest tokens after the text, each with its probability; perplexity of the text itself.

        A long text is read window by window, the state carried on, so that its logits never exist all at once.
        """
        tokens, lengths = batch.inputs["tokens"], batch.lengths
        vocabulary = self.spec.target.names
        told = torch.zeros(len(batch), device=tokens.device)  # (batch,) log-likelihood of each text so far, nats
        ends = told.new_zeros(len(batch), len(vocabulary))  # the answer to each text's last token
        state = None
        for start in range(0, tokens.shape[1], WINDOW):
            window = tokens[:, start : start + WINDOW]
            steps = (lengths - start).clamp(0, window.shape[1])
            logits, state = model.each(Batch({"tokens": window}, steps), state, need_state=True)
            logits = logits.float().log_softmax(-1)
            following = tokens[:, start + 1 : start + WINDOW + 1]
            known = torch.arange(start + 1, start + 1 + following.shape[1]) < lengths[:, None]
            likely = logits[:, : following.shape[1]].gather(2, following.unsqueeze(-1)).squeeze(-1)
            told += likely.masked_fill(~known.to(likely.device), 0).sum(1)
            rows = ((lengths > start) & (lengths <= start + WINDOW)).nonzero().squeeze(1)
            ends[rows] = logits[rows, lengths[rows] - 1 - start]
        best = ends.exp().topk(min(5, len(vocabulary)))
        return [
            {
                "next": {vocabulary[i]: p for p, i in zip(*both, strict=True)},
                "perplexity": math.exp(-log / (length - 1)) if length > 1 else None,
            }
            for *both, log, length in zip(
                best.values.tolist(), best.indices.tolist(), told.tolist(), lengths.tolist(), strict=True
            )
        ]
