"""A text and the text it is turned into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from rnnzoo.batch import EOS, UNK, DataSpec
from rnnzoo.data.base import Chunks, Columns, check_type
from rnnzoo.data.encoding.counts import MOST
from rnnzoo.data.encoding.text import Encoder, Ragged, Unit
from rnnzoo.data.forms.rows import RowExamples, RowForm
from rnnzoo.limits import Count, VocabSize, checked


class TextPairs(RowForm):
    """A text and the text it is turned into, each with a vocabulary of its own, or both with one.

    `Batch.target` is the second text with <eos> at its end, (batch, time), IGNORE after it; `target_lengths` counts the
    <eos>. A target that was cut to `max_length` does not end there, so it has no <eos>. A decoder's input is <bos> and
    the target shifted by one, which the task makes. `Batch.references` holds the second texts as they were given.

    vocab_size: tokens kept of each vocabulary, the most frequent first, four special ones counted. joint_vocabulary:
    both sides have the same. min_freq: how often a kept token occurs at least. max_length: tokens kept of a text, from
    its head. unit: what a token is: a word or punctuation mark, whatever blanks separate, a character, or a piece of a
    word (see `rnnzoo.data.encoding.subwords`), or "auto", see `LabelledText`. Batches of pairs, whose
    tokens are those of the longer side: see `RowForm`.
    """

    name = "text_pairs"
    hub_task = "translation"
    unstreamable = None
    columns = ("source", "target")
    target = "target"

    @checked
    def __init__(
        self,
        vocab_size: VocabSize = 25000,
        min_freq: Count = 1,
        max_length: Count | None = 100,
        unit: Unit | Literal["auto"] = "word",
        lowercase: bool = True,
        joint_vocabulary: bool = False,
        **batching: Any,
    ) -> None:
        super().__init__(**batching)
        self.vocab_size, self.min_freq, self.joint_vocabulary = vocab_size, min_freq, joint_vocabulary
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase, "max_length": max_length}

    @classmethod
    def from_spec(cls, spec: DataSpec) -> TextPairs:
        options = spec.inputs["tokens"].options
        return cls(**{name: options[name] for name in ("unit", "lowercase", "max_length")})

    def fit(self, train: Columns) -> DataSpec:
        return self.fit_chunks(lambda: [train], most=None)

    def fit_chunks(self, chunks: Chunks, most: int | None = MOST) -> DataSpec:
        def texts(*names: str) -> Iterator[list[str]]:
            for chunk in chunks():
                self.rows(chunk, need_target=True)
                for name in self.columns:
                    check_type(name, chunk[name], str, "text")
                yield [text for name in names for text in chunk[name]]

        sides = [self.columns] if self.joint_vocabulary else [(name,) for name in self.columns]
        settings = {**self.settings, "most": most}
        fields = [
            Encoder.fit_chunks(partial(texts, *side), self.vocab_size, self.min_freq, **settings).field()
            for side in sides
        ]
        return DataSpec(self.name, {"tokens": fields[0]}, fields[-1])

    def encode(self, columns: Columns, spec: DataSpec) -> RowExamples:
        """A source without tokens becomes one <unk>."""
        self.rows(columns)
        check_type("source", columns["source"], str, "text")
        tokens, long = _cut(Encoder.from_field(spec.inputs["tokens"]), columns["source"])
        tokens = tokens.filled(UNK)
        if "target" not in columns:
            return RowExamples(tokens, None, int(long.sum()), sequence_target=True)
        check_type("target", columns["target"], str, "text")
        target, longer = _cut(Encoder.from_field(spec.target), columns["target"])
        target = target.with_last(EOS, ~longer)
        return RowExamples(tokens, target, int((long | longer).sum()), True, columns["target"])


def _cut(encoder: Encoder, texts: Sequence[str]) -> tuple[Ragged, np.ndarray]:
    """The ids of each text, and (rows,) bool: whether it was cut to the encoder's `max_length`."""
    ids, _ = replace(encoder, max_length=None).encode(texts, blank=None)
    limit = encoder.max_length
    return ids.truncated(limit, encoder.truncate), ids.lengths > (np.inf if limit is None else limit)
