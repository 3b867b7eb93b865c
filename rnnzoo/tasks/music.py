"""Music, note by note (one to many): a language model of notes, measured by the step."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from rnnzoo.batch import EOS, SPECIALS, Batch, DataSpec
from rnnzoo.metrics import Perplexity
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.next_word import NextWord


class PerStep(Metric):
    """A total over the number of steps, each summed over the whole part of the data."""

    full_state_update = False
    total: Tensor
    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("steps", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, total: Tensor, steps: Tensor) -> None:
        self.total += total
        self.steps += steps

    def compute(self) -> Tensor:
        return self.total / self.steps


class Music(NextWord):
    """Write a chord's notes one after the other, each from those before it in the chord and in the piece.

    step_nll: the negative log-likelihood of a step, all its notes and its end together, in nats, as published for the
    chorales; a piece's <eos> counts to its last step. step_end: the token that ends a step.
    """

    def __init__(self, spec: DataSpec, step_end: str = SPECIALS[EOS]) -> None:
        super().__init__(spec)
        if step_end not in spec.target.names:
            raise ValueError(f"step_end must be one of the data's tokens, got '{step_end}'")
        self.step_end = spec.target.names.index(step_end)

    def metrics(self) -> MetricCollection:
        return MetricCollection({"perplexity": Perplexity(), "step_nll": PerStep()}, compute_groups=False)

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        count = self.count(batch)
        metrics["perplexity"].update(loss, weight=count)
        metrics["step_nll"].update(loss * count, (batch.target == self.step_end).sum())
