"""Masked word: the word in a gap, from both sides of it (aligned many to many, asked at the gaps only)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnzoo.architectures.base import EACH
from rnnzoo.batch import IGNORE, SPECIALS, Batch
from rnnzoo.cells.base import State
from rnnzoo.data.forms.masked import GAP
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Answer, Output, Task, percentages, row_numbers
from rnnzoo.tasks.decisions import Decisions
from rnnzoo.tasks.units import Units, Updates, ratio, row_sums, vocabulary

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

BEST = 5  # words predicted for a gap


class MaskedWord(Task):
    """Fill the gaps of a text. A bidirectional architecture sees both sides of a gap, a causal one the left alone.

    The logits are those of the gaps, (gaps, vocabulary), row after row.
    Source: Taylor, "Cloze procedure", Journalism Quarterly 30(4), 1953; as training: Devlin et al., arXiv:1810.04805.
    Differs: a gap always shows the mask, never a word.
    """

    form = "masked_text"
    needs = EACH
    needs_reason = "masked_word asks for a word at each gap of the text that is read"
    monitor = ("perplexity", "min")
    decoding = "softmax, at the steps of the mask"

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """Logits (gaps, vocabulary) of all gaps, row after row."""
        return Output(self._filled(model, batch, batch.target != IGNORE))

    @staticmethod
    def _filled(model: SequenceModel, batch: Batch, gaps: Tensor) -> Tensor:
        """gaps: (batch, time) bool. Returns logits (gaps, vocabulary); the head is asked nowhere else."""
        features, _ = model.step_features(batch)
        return model.head(features[gaps])

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        words = batch.target[batch.target != IGNORE]
        nll = F.cross_entropy(output.logits.float(), words, reduction="sum" if model.training else "none")
        output.extras["nll"] = nll.detach()  # of each gap, for `units`
        return nll.sum() / max(len(words), 1)

    def count(self, batch: Batch) -> int:
        return int((batch.target != IGNORE).sum())

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection

        from rnnzoo.tasks.metrics.sums import Perplexity, Share

        return MetricCollection({"perplexity": Perplexity(), "accuracy": Share()}, compute_groups=False)

    def metric_signatures(self) -> dict[str, str]:
        return {"perplexity": vocabulary(self.spec)}

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """Perplexity from the loss, a scalar; accuracy from the logits (gaps, vocabulary)."""
        metrics["perplexity"].update(loss, weight=self.count(batch))
        right = output.logits.argmax(-1) == batch.target[batch.target != IGNORE]
        metrics["accuracy"].update(right.float())

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        units = super().units(updates, output, batch, loss, model)
        gaps = batch.target != IGNORE
        many, best = gaps.sum(1), output.logits.argmax(-1)
        right = row_sums(best == batch.target[gaps], gaps)
        units.metrics["accuracy"] = ratio(right, many, ("correct", "total"))
        nll = row_sums(output.extras["nll"], gaps)
        units.metrics["perplexity"] = ratio(nll, many, ("nll", "tokens"), "exp_ratio")
        names = self.spec.target.names
        units.truth, units.prediction = (
            [" ".join(names[number] for number in row.tolist()) for row in words.split(many.tolist())]
            for words in (batch.target[gaps], best)
        )
        return units

    def decisions(self, output: Output, batch: Batch, model: SequenceModel) -> Decisions:
        """Of each gap."""
        gaps = batch.target != IGNORE
        rows = row_numbers(batch)[:, None].expand(gaps.shape)[gaps.cpu()]
        return Decisions(rows, batch.target[gaps], output.logits)

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """gaps: for each gap of a text, in order, the likeliest words with their probabilities."""
        names = self.spec.target.names
        tokens = batch.inputs["tokens"]
        gaps = tokens == names.index(GAP)
        logits = self._filled(model, batch, gaps).float()
        never = torch.tensor([*range(len(SPECIALS)), names.index(GAP)], device=logits.device)
        best = self.calibration.probabilities(logits.index_fill(-1, never, -torch.inf)).topk(
            min(BEST, len(names) - len(never))
        )
        words = [
            {names[i]: p for p, i in zip(*pair, strict=True)}
            for pair in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
        rows = iter(words)
        return [{"gaps": [next(rows) for _ in range(count)]} for count in gaps.sum(1).tolist()]

    def asked_step(self, batch: Batch, step: int | None) -> int | None:
        """The first gap, if not given."""
        gaps = (batch.inputs["tokens"][0] == self.spec.target.names.index(GAP)).nonzero().flatten().tolist()
        return super().asked_step(batch, gaps[0] if step is None else step)

    def describe(self, answer: Answer) -> list[str]:
        return ["  |  ".join(map(percentages, answer["gaps"]))]
