"""A series of numbers, or one vector of them, and a text that describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from rnnzoo.batch import EOS, Batch, DataSpec, Field
from rnnzoo.data.base import Columns, check_type
from rnnzoo.data.encoding.text import LONGEST, Encoder, Unit
from rnnzoo.data.forms.series import Series
from rnnzoo.data.forms.transcribed import TranscribedExamples
from rnnzoo.limits import VocabSize, checked


@dataclass
class DescribedExamples(TranscribedExamples):
    """Series with a text each, as ids and, in `references`, as it was given."""

    references: Sequence[str] | None = None

    def collate(self, window: Sequence[int]) -> Batch:
        batch = super().collate(window)
        if self.references is not None:
            assert batch.index is not None
            batch.references = [self.references[row] for row in batch.index.tolist()]
        return batch


class DescribedSeries(Series):
    """A series of numbers and a text that a decoder writes of it. A vector of features is a series of one step.

    `Batch.target` is the text with <eos> at its end, (batch, time), IGNORE after it; `target_lengths` counts the <eos>;
    `references` holds the texts as they were given.

    vocab_size: tokens kept of the texts, the most frequent first, four special ones counted. unit: what a token is: a
    word or punctuation mark, whatever blanks separate, a character, or a piece of a word. Batches: see `RowForm`.
    """

    name = "described_series"
    columns: ClassVar[tuple[str, ...]] = ("values", "text")
    target = "text"

    @checked
    def __init__(
        self, vocab_size: VocabSize = 25000, unit: Unit = "word", lowercase: bool = True, **batching: Any
    ) -> None:
        super().__init__(**batching)
        self.vocab_size = vocab_size
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase}

    def target_field(self, train: Columns) -> Field:
        check_type("text", train["text"], str, "text")
        encoder = Encoder.fit(train["text"], self.vocab_size, min_freq=1, **self.settings)
        longest = int(encoder.encode(train["text"], blank=None)[0].lengths.max()) + 1
        field = encoder.field()
        return replace(field, options=field.options | {LONGEST: longest})

    def encode(self, columns: Columns, spec: DataSpec) -> DescribedExamples:
        self.rows(columns)
        arrays = self.input_arrays(columns, spec.inputs["values"])
        values, offsets = np.concatenate(arrays), np.cumsum([0, *map(len, arrays)], dtype=np.int64)
        if "text" not in columns:
            return DescribedExamples(values, offsets)
        check_type("text", columns["text"], str, "text")
        text, _ = Encoder.from_field(spec.target).encode(columns["text"], blank=None)
        return DescribedExamples(values, offsets, text=text.with_last(EOS), references=columns["text"])
