"""Translation: a sequence for a sequence, of another length (unaligned many to many)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.aggregation import MeanMetric

from rnnzoo.architectures.base import SEQUENCE
from rnnzoo.batch import BOS, EOS, IGNORE, PAD, Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output, Task


class Translation(Task):
    """Write a sequence token by token, each from the source and from the tokens written so far.

    Training feeds the true previous token (teacher forcing). `exact_match` is free-running: the share of sequences
    that greedy decoding gets right from beginning to end. max_steps: tokens after which decoding stops.
    """

    form = "text_pairs"
    needs = SEQUENCE
    needs_reason = "translation writes a sequence whose length is its own, which takes a decoder"
    monitor = ("exact_match", "max")

    def __init__(self, spec: DataSpec, label_smoothing: float = 0.0, max_steps: int = 100) -> None:
        super().__init__(spec)
        self.label_smoothing, self.max_steps = label_smoothing, max_steps

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        previous = batch.target.masked_fill(batch.target == IGNORE, PAD).roll(1, dims=1)
        previous[:, 0] = BOS
        memory, state = model.read(batch)
        decoding = model.write(previous, memory, state, batch.target_lengths)
        smoothing = self.label_smoothing if model.training else 0.0  # reported losses are plain
        extras = {"attention": decoding.attention, "label_smoothing": smoothing}
        return Output(logits=decoding.logits, extras=extras)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        smoothing = output.extras["label_smoothing"]
        total = F.cross_entropy(
            output.logits.flatten(0, 1).float(), batch.target.flatten(), ignore_index=IGNORE, reduction="sum",
            label_smoothing=smoothing,
        )  # fmt: skip
        return total / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        return int(batch.target_lengths.sum())

    def metrics(self) -> MetricCollection:
        return MetricCollection({"exact_match": MeanMetric()})

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        target = batch.target.masked_fill(batch.target == IGNORE, PAD)
        written = self.generate(model, batch, steps=target.shape[1])
        written = F.pad(written, (0, target.shape[1] - written.shape[1]), value=PAD)
        metrics.update((written == target).all(1).float())

    @torch.no_grad()
    def generate(self, model: SequenceModel, batch: Batch, steps: int | None = None) -> Tensor:
        """Greedy decoding: (batch, time) tokens, <eos> included, PAD after it; the same for any batch size."""
        memory, state = model.read(batch)
        token = memory.mask.new_full((len(batch), 1), BOS, dtype=torch.int64)
        ended = torch.zeros_like(token, dtype=torch.bool)
        written = []
        for _ in range(steps or self.max_steps):
            logits, state, _ = model.write(token, memory, state)
            token = logits.argmax(-1).masked_fill(ended, PAD)
            written.append(token)
            ended = ended | (token == EOS)
            if bool(ended.all()):
                break
        return torch.cat(written, 1)

    def predictions(self, model: SequenceModel, batch: Batch) -> list[dict[str, Any]]:
        """text: what greedy decoding writes."""
        vocabulary = self.spec.target.names
        return [
            {"text": " ".join(vocabulary[i] for i in row if i not in (PAD, EOS))}
            for row in self.generate(model, batch).tolist()
        ]
