"""Transcription: the text that a series says, shorter than it and in its order (unaligned many to many)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rnnzoo.architectures.base import EACH
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.limits import Count, checked
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task
from rnnzoo.tasks.decoding.ctc import BLANK, best_path, ctc_loss, prefix_search
from rnnzoo.tasks.units import Units, Updates

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


class Transcription(Task):
    """Write down what a series says, by connectionist temporal classification; see `rnnzoo.tasks.decoding.ctc`.

    The blank is <pad>. Losses are in nats a token; none is infinite, since the data's form refuses a series that is
    too short for its text. beam: prefixes kept in decoding; 1 takes the best path.
    """

    form = "transcribed_series"
    needs = EACH
    needs_reason = "transcription names a token or a blank at each step of the series that is read"
    monitor = ("error_rate", "min")
    decoding = "connectionist temporal classification: the likeliest tokens, repeats and then blanks (0) left out"

    @checked
    def __init__(self, spec: DataSpec, beam: Count = 1) -> None:
        super().__init__(spec)
        self.beam = beam
        self.encoder = Encoder.from_field(spec.target)

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """Logits (batch, time, tokens); token 0 is the blank."""
        return Output(model.step_logits(batch)[0])

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        total = ctc_loss(output.logits, batch.target, batch.lengths, batch.target_lengths)
        return total / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        return int(batch.target_lengths.sum())

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from rnnzoo.tasks.metrics.error_rate import TokenErrorRate

        return MetricCollection({"error_rate": TokenErrorRate()})

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """Decodes the logits (batch, time, tokens) and compares tokens."""
        rows = zip(batch.target.tolist(), batch.target_lengths.tolist(), strict=True)
        metrics.update(self.decode(output.logits, batch.lengths), [row[:length] for row, length in rows])

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        units = super().units(updates, output, batch, loss, model)
        units.prediction, units.truth = (
            [self.encoder.decode(row) for row in rows] for rows in updates["error_rate"].arguments
        )
        return units

    def decode(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """The tokens of each sequence. logits: (batch, time, tokens); lengths: (batch,)."""
        if self.beam == 1:
            return best_path(logits, lengths)
        log_probs = logits.float().log_softmax(-1).cpu()
        return [
            prefix_search(row[:length], self.beam)[0] for row, length in zip(log_probs, lengths.tolist(), strict=True)
        ]

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """text: what the series says."""
        logits = self.forward(model, batch).logits
        return [{"text": self.encoder.decode(row)} for row in self.decode(logits, batch.lengths)]

    def reads_to_end(self, model: SequenceModel) -> str | None:
        return None if self.beam == 1 else "a beam search may take back what it has written"

    def arrived(self, model: SequenceModel, batch: Batch, memory: dict[str, Tensor]) -> list[Answer]:
        """text: what is new; nothing while the series says nothing. memory: the last step's token or blank."""
        best = self.forward(model, batch).logits.argmax(-1)[0]  # (time,)
        before = memory.get("token", best.new_zeros(1))
        new = best[(best != BLANK) & (best != torch.cat([before, best[:-1]]))]
        memory["token"] = best[-1:].clone()
        return [{"text": self.encoder.decode(new.tolist())}] if len(new) else []

    def describe(self, answer: Answer) -> list[str]:
        return [str(answer["text"])]
