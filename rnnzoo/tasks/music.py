"""Music, note by note (one to many): a language model of notes, measured by the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from rnnzoo.batch import EOS, SPECIALS, Batch, DataSpec
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.next_word import NextWord
from rnnzoo.tasks.units import Counted, Stretches, ratio

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


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
        from torchmetrics import MetricCollection

        from rnnzoo.tasks.metrics.sums import Perplexity, PerStep

        return MetricCollection({"perplexity": Perplexity(), "step_nll": PerStep()}, compute_groups=False)

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """Both metrics come from the loss, a scalar: per note, and per step."""
        count = self.count(batch)
        metrics["perplexity"].update(loss, weight=count)
        metrics["step_nll"].update(loss * count, int((batch.target == self.step_end).sum()))

    def stretch_counts(self, stretches: Stretches, nll: Tensor, batch: Batch) -> dict[str, Counted]:
        counts = super().stretch_counts(stretches, nll, batch)
        steps = stretches.sums((batch.target == self.step_end).float())
        return counts | {"step_nll": ratio(stretches.sums(nll), steps, ("nll", "steps"))}
