"""Text with gaps: some words of each line are masked, and are what is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from rnnzoo.batch import IGNORE, SPECIALS, Batch, DataSpec
from rnnzoo.data.base import Chunks, Columns, Examples, check_type
from rnnzoo.data.batching import BucketBatches
from rnnzoo.data.encoding.counts import MOST
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms.rows import RowExamples, RowForm
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, Probability, VocabSize, checked

GAP = "____"  # the mask, in texts and in the vocabulary, where it is the last name
WRITTEN_GAP = re.compile("_{2,}")


class Draw(NamedTuple):
    """Rows of one batch, and which drawing of gaps they have."""

    rows: list[int]
    drawing: tuple[int, ...]


@dataclass
class MaskedExamples(RowExamples):
    """Lines of which a share of the words is masked. Each line's gaps follow from its row number and the drawing.

    rate: the share of a line's known words that become gaps, at least one of them. gap: the mask's id.
    """

    rate: float = 0.15
    gap: int = 0

    def collate(self, window: Any) -> Batch:
        batch = super().collate(window.rows)
        tokens = batch.inputs["tokens"]
        batch.target = torch.full_like(tokens, IGNORE)
        assert batch.index is not None
        for place, row in enumerate(batch.index.tolist()):
            gaps = self.gaps(row, window.drawing)
            batch.target[place, gaps] = tokens[place, gaps]
            tokens[place, gaps] = self.gap
        return batch

    def gaps(self, row: int, drawing: tuple[int, ...]) -> np.ndarray:
        """Where a row's gaps are: never at a special token, nor where one is written."""
        tokens = self.tokens[row]
        known = np.flatnonzero((tokens >= len(SPECIALS)) & (tokens != self.gap))
        count = min(len(known), max(1, round(self.rate * len(known))))
        return np.random.default_rng((*drawing, row)).choice(known, count, replace=False)


class MaskedBatches(BucketBatches):
    """Batches of rows with their drawing of gaps: of the seed and the epoch in training, always one in evaluation."""

    def __iter__(self) -> Iterator[Any]:
        drawing = (1, self.seed, self.epoch) if self.training else (0,)
        return (Draw(rows, drawing) for rows in super().__iter__())


class MaskedText(RowForm):
    """Lines of text with gaps, drawn anew each epoch for training and once and for all for evaluation.

    `Batch.target` is (batch, time), the masked words, IGNORE elsewhere. A typed text has its gaps written, as two
    underscores or more.

    rate: the share of a line's words that become gaps; one at least. vocab_size: tokens kept, the most frequent first,
    four special ones counted and the gap not. min_freq: how often a kept token occurs at least. max_length: tokens
    kept of a line, from its head. unit: what a token is. Batches of lines: see `RowForm`.
    """

    name = "masked_text"
    hub_task = "fill-mask"
    unstreamable = None
    columns = ("text",)
    free = RowForm.free | {"rate"}
    batches_class = MaskedBatches

    @checked
    def __init__(
        self,
        rate: Probability = 0.15,
        vocab_size: VocabSize = 25000,
        min_freq: Count = 1,
        max_length: Count | None = 100,
        unit: Literal["word", "space"] = "space",
        lowercase: bool = True,
        **batching: Any,
    ) -> None:
        super().__init__(**batching)
        self.rate, self.vocab_size, self.min_freq = rate, vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase, "max_length": max_length}

    @classmethod
    def from_spec(cls, spec: DataSpec) -> MaskedText:
        options = spec.inputs["tokens"].options
        return cls(**{name: options[name] for name in ("unit", "lowercase", "max_length")})

    def fit(self, train: Columns) -> DataSpec:
        return self.fit_chunks(lambda: [train], most=None)

    def fit_chunks(self, chunks: Chunks, most: int | None = MOST) -> DataSpec:
        def texts() -> Iterator[list[str]]:
            for chunk in chunks():
                self.rows(chunk)
                check_type("text", chunk["text"], str, "a line of text")
                yield chunk["text"]

        words = Encoder.fit_chunks(texts, self.vocab_size, self.min_freq, most=most, **self.settings)
        names = (*(name for name in words.names if name != GAP), GAP)
        field = Encoder(names, **self.settings).field()
        return DataSpec(self.name, {"tokens": field}, field)

    def encode(self, columns: Columns, spec: DataSpec) -> MaskedExamples:
        self.rows(columns)
        check_type("text", columns["text"], str, "a line of text")
        field = spec.inputs["tokens"]
        tokens, cut = Encoder.from_field(field).encode(columns["text"])
        return MaskedExamples(tokens, None, cut, rate=self.rate, gap=field.names.index(GAP))

    def shards(self, examples: Examples, window: Any) -> list[Any]:
        return [rows and Draw(rows, window.drawing) for rows in super().shards(examples, window.rows)]

    def pieces(self, text: str, spec: DataSpec) -> list[str]:
        return super().pieces(WRITTEN_GAP.sub(f" {GAP} ", text), spec)

    def ask(self, texts: Sequence[str], spec: DataSpec) -> RowExamples:
        """Texts with the gaps that are written in them. Raises: DataError for a text without one."""
        check_type("text", texts, str, "a line of text")
        field = spec.inputs["tokens"]
        tokens, _ = Encoder.from_field(field).encode([WRITTEN_GAP.sub(f" {GAP} ", text) for text in texts])
        gap = field.names.index(GAP)
        limit = field.options["max_length"]
        for number, text in enumerate(texts):
            if gap not in tokens[number]:
                where = f" among its first {limit} tokens" if limit else ""
                raise DataError(
                    f"there is no gap{where} in {text!r:.80}.\n"
                    f"  Write {GAP} where a word is missing, as in 'the dog {GAP} loudly'."
                )
        return RowExamples(tokens)
