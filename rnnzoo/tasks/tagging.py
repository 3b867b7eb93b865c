"""Tagging: one label for each word (aligned many to many)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from rnnzoo.architectures.base import EACH
from rnnzoo.batch import IGNORE, Batch, DataSpec
from rnnzoo.cells.base import State
from rnnzoo.data.encoding.spans import OUTSIDE, breaks, read
from rnnzoo.layers.crf import CRF, Independent
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import TEXT, Answer, Output, Task, row_numbers
from rnnzoo.tasks.decisions import Decisions
from rnnzoo.tasks.units import Units, Updates

if TYPE_CHECKING:
    from torchmetrics import Metric, MetricCollection


class Tagging(Task):
    """Label each word, from the words before it and, with a bidirectional architecture, after it.

    Where the tags are spans (IOB1, IOB2, BIOES), `precision`, `recall` and `f1` are those of whole spans, and f1
    chooses the checkpoint; otherwise the share of words that are tagged right, `accuracy`, does.

    crf: the tags of a sentence are decided together (`rnnzoo.layers.crf.CRF`), not each by itself. constrained: a CRF
    predicts no tags that their scheme forbids, such as an I-PER after an O. outside: where the tags are no spans, the
    tag of words that are nothing in particular; `recall` is then the share of the others that is tagged right.
    """

    form = "tagged_text"
    needs = EACH
    needs_reason = "tagging asks for one label for each word of the sequence that is read"
    monitor = ("accuracy", "max")
    unit = "sentence"

    def __init__(self, spec: DataSpec, crf: bool = False, constrained: bool = True, outside: str | None = None) -> None:
        super().__init__(spec)
        self.crf, self.constrained, self.outside = crf, constrained, outside
        if crf:
            self.decoding = "Viterbi: the logits are a CRF's emissions, whose transitions are not in the file"
        self.scheme = spec.target.options.get("scheme")
        if outside is not None and outside not in spec.labels:
            raise ValueError(f"task: outside must be one of the tags {', '.join(spec.labels)}, got '{outside}'")
        if outside is not None and self.scheme:
            raise ValueError("task: outside is for tags that are no spans; of spans it is always 'O'")
        if self.scheme:
            self.monitor = ("f1", "max")  # type: ignore[misc]  # a matter of the data, not of the class

    def head(self, features: int) -> nn.Module:
        """`CRF` or `Independent`: both give logits (batch, time, tags), their `nll`, and `decode` them."""
        return (
            CRF(features, self.spec.target.size, self.legal())
            if self.crf
            else Independent(features, self.spec.target.size)
        )

    @staticmethod
    def _tag_head(model: SequenceModel) -> CRF | Independent:
        return cast(CRF | Independent, model.head)

    def legal(self) -> Tensor | None:
        """Which tag may stand after which, as `CRF` takes it; None where all may."""
        if not (self.scheme and self.constrained):
            return None
        tags = (*self.spec.labels, OUTSIDE)
        return torch.tensor([[not breaks(self.scheme, before, tag) for tag in tags] for before in tags])

    def forward(
        self, model: SequenceModel, batch: Batch, state: list[State] | None = None, step: int | None = None
    ) -> Output:
        """Logits (batch, time, tags)."""
        return Output(model.step_logits(batch)[0])

    def loss(self, model: SequenceModel, output: Output, batch: Batch) -> Tensor:
        total = self._tag_head(model).nll(output.logits, batch.target, batch.lengths)
        return total / max(self.count(batch), 1)

    def count(self, batch: Batch) -> int:
        return batch.tokens if batch.target is None else int((batch.target != IGNORE).sum())

    def metrics(self) -> MetricCollection:
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy

        from rnnzoo.tasks.metrics.entities import SCORES, SpanScore
        from rnnzoo.tasks.metrics.recall import Recall

        n = len(self.spec.labels)
        metrics: dict[str, Metric | MetricCollection] = {}
        metrics["accuracy"] = MulticlassAccuracy(n, average="micro", ignore_index=IGNORE)
        if self.scheme:
            metrics |= {name: SpanScore(self.spec.labels, name) for name in SCORES}
        if self.outside is not None:
            metrics["recall"] = Recall(n, self.spec.labels.index(self.outside))
        return MetricCollection(metrics, compute_groups=False)  # equal counts in one batch do not make equal metrics

    def update(
        self, metrics: MetricCollection, output: Output, batch: Batch, loss: Tensor, model: SequenceModel
    ) -> None:
        """The metrics read decoded tags and true ones, (batch, time) int64."""
        metrics.update(self._tag_head(model).decode(output.logits, batch.lengths), batch.target)

    def units(self, updates: Updates, output: Output, batch: Batch, loss: Tensor, model: SequenceModel) -> Units:
        units = super().units(updates, output, batch, loss, model)
        tags = updates["accuracy"].arguments
        units.prediction, units.truth = (
            [" ".join(self.spec.labels[tag] for tag in row[: min(length, TEXT)]) for row, length in rows]
            for rows in (zip(part.tolist(), batch.lengths.tolist(), strict=True) for part in tags)
        )
        return units

    def decisions(self, output: Output, batch: Batch, model: SequenceModel) -> Decisions:
        """Of each word that has a tag. With a CRF they have no logits: a word's tag depends on those beside it."""
        asked = batch.target != IGNORE
        rows = row_numbers(batch)[:, None].expand(asked.shape)[asked.cpu()]
        if self.crf:
            return Decisions(
                rows, batch.target[asked], chosen=self._tag_head(model).decode(output.logits, batch.lengths)[asked]
            )
        return Decisions(rows, batch.target[asked], output.logits[asked])

    def predictions(self, model: SequenceModel, batch: Batch) -> list[Answer]:
        """tags: one for each word. spans, where the tags are such: type, first word and the one after the last."""
        output = self.forward(model, batch)
        rows = self._tag_head(model).decode(output.logits, batch.lengths).tolist()
        labels = self.spec.labels
        tags = [[labels[tag] for tag in row[:length]] for row, length in zip(rows, batch.lengths.tolist(), strict=True)]
        return [{"tags": row, **({"spans": [list(span) for span in read(row)]} if self.scheme else {})} for row in tags]

    def reads_to_end(self, model: SequenceModel) -> str | None:
        return "a CRF decides the tags of a whole sentence together" if self.crf else None

    def arrived(self, model: SequenceModel, batch: Batch, memory: dict[str, Tensor]) -> list[Answer]:
        """tags: of the words that are new. A span may go on: none are named."""
        return [{"tags": answer["tags"]} for answer in self.predictions(model, batch)]

    def describe(self, answer: Answer) -> list[str]:
        """Each word with its tag; the words are what the data add to an answer. Of other steps, each stretch."""
        if "words" not in answer:
            return ["  ".join(_stretches(answer["tags"]))]
        pairs = zip(answer["words"], answer["tags"], strict=False)  # words beyond the data's max_length have no tag
        return [" ".join(f"{word}/{tag}" for word, tag in pairs)]


def _stretches(tags: Sequence[str]) -> Iterator[str]:
    """Equal tags in a row as one: "walk 1-40", "rest 41"; steps are counted from 1."""
    first = 1
    for tag, steps in groupby(tags):
        count = len(list(steps))
        yield f"{tag} {first}" + (f"-{first + count - 1}" if count > 1 else "")
        first += count
