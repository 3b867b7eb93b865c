"""The kinds of examples: a labelled text, a tagged text, a stream of text, a pair of texts; and series of numbers.

A form owns the vocabulary, the encoding and the batching; a source only gives columns of raw rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from rnnzoo.batch import EOS, IGNORE, UNK, Batch, DataSpec, Field
from rnnzoo.data.base import Columns, Examples, Form, check_type, label_ids, named_labels
from rnnzoo.data.batching import StreamBatches, Window
from rnnzoo.data.rows import RowForm, longest_first
from rnnzoo.data.series import LabelledSeries, MeasuredSeries
from rnnzoo.data.text import Encoder, Ragged
from rnnzoo.errors import DataError
from rnnzoo.limits import check


@dataclass
class RowExamples(Examples):
    """Rows of tokens, batched by row numbers.

    tokens: the input ids. target: None, or one number a row, or a row of numbers each.
    sequence_target: the target has lengths of its own.
    """

    tokens: Ragged
    target: np.ndarray | Ragged | None = None
    truncated: int = 0
    sequence_target: bool = False

    @property
    def lengths(self) -> np.ndarray:
        return self.tokens.lengths

    @property
    def widths(self) -> np.ndarray:
        """The longer of a row's tokens and its target."""
        return np.maximum(self.lengths, self.target.lengths) if isinstance(self.target, Ragged) else self.lengths

    @property
    def unknown_share(self) -> float:
        return float((self.tokens.flat == UNK).mean()) if len(self.tokens.flat) else 0.0

    def arrays(self) -> list[np.ndarray]:
        target = [self.target.flat, self.target.offsets] if isinstance(self.target, Ragged) else [self.target]
        return [self.tokens.flat, self.tokens.offsets, *(array for array in target if array is not None)]

    def collate(self, window: Sequence[int]) -> Batch:
        """The batch of the given rows, the longest first; `Batch.index` says which is where."""
        rows = longest_first(self.lengths, window)
        target: Any = None
        target_lengths: Any = None
        if isinstance(self.target, Ragged):
            target = torch.from_numpy(self.target.padded(rows, IGNORE))
            if self.sequence_target:
                target_lengths = torch.from_numpy(self.target.lengths[rows])
        elif self.target is not None:
            target = torch.from_numpy(self.target[rows])
        return Batch(
            {"tokens": torch.from_numpy(self.tokens.padded(rows))},
            torch.from_numpy(self.lengths[rows]),
            target,
            target_lengths,
            torch.from_numpy(rows),
        )


class LabelledText(RowForm):
    """A text and the one label it has.

    vocab_size: tokens kept, the most frequent first, four special ones counted. min_freq: how often a kept token occurs
    at least. max_length: tokens kept of a text, from its head, its tail, or half from each. unit: what a token is: a
    word or punctuation mark, whatever blanks separate, or a character. batch_size: texts a batch. batch_tokens: at most
    so many tokens a batch, padding counted. eval_batch_size: texts a batch in evaluation; as in training if not given.
    """

    name = "labelled_text"
    columns = ("text", "label")
    target = "label"

    def __init__(
        self,
        vocab_size: int = 25000,
        min_freq: int = 1,
        max_length: int | None = 400,
        truncate: Literal["head", "tail", "head_tail"] = "head",
        unit: Literal["word", "space", "character"] = "word",
        lowercase: bool = True,
        batch_size: int = 64,
        batch_tokens: int | None = None,
        eval_batch_size: int | None = None,
    ) -> None:
        check(vocab_size=vocab_size, min_freq=min_freq, max_length=max_length)
        check(batch_size=batch_size, batch_tokens=batch_tokens, eval_batch_size=eval_batch_size)
        self.vocab_size, self.min_freq = vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase}
        self.settings |= {"max_length": max_length, "truncate": truncate}
        self.batch_size, self.batch_tokens, self.eval_batch_size = batch_size, batch_tokens, eval_batch_size

    def fit(self, train: Columns) -> DataSpec:
        self.rows(train, need_target=True)
        check_type("text", train["text"], str, "text")
        check_type("label", train["label"], str, "a label, as text")
        encoder = Encoder.fit(train["text"], self.vocab_size, self.min_freq, **self.settings)
        return DataSpec(self.name, {"tokens": encoder.field()}, Field("label", named_labels("label", train["label"])))

    def encode(self, columns: Columns, spec: DataSpec) -> RowExamples:
        self.rows(columns)
        check_type("text", columns["text"], str, "text")
        tokens, cut = Encoder.from_field(spec.inputs["tokens"]).encode(columns["text"])
        target = label_ids("label", columns["label"], spec.labels) if "label" in columns else None
        return RowExamples(tokens, target, cut)


class TaggedText(RowForm):
    """Words and the one tag that each has. The words are given, and stay whole.

    vocab_size: words kept, the most frequent first, four special ones counted. min_freq: how often a kept word occurs
    at least. max_length: words kept of a text, from its head; all if not given. batch_size: texts a batch.
    batch_tokens: at most so many words a batch, padding counted. eval_batch_size: texts a batch in evaluation; as in
    training if not given.
    """

    name = "tagged_text"
    columns = ("words", "tags")
    target = "tags"

    def __init__(
        self,
        vocab_size: int = 50000,
        min_freq: int = 1,
        max_length: int | None = None,
        lowercase: bool = False,
        batch_size: int = 32,
        batch_tokens: int | None = None,
        eval_batch_size: int | None = None,
    ) -> None:
        check(vocab_size=vocab_size, min_freq=min_freq, max_length=max_length)
        check(batch_size=batch_size, batch_tokens=batch_tokens, eval_batch_size=eval_batch_size)
        self.vocab_size, self.min_freq = vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": "space", "lowercase": lowercase, "max_length": max_length}
        self.batch_size, self.batch_tokens, self.eval_batch_size = batch_size, batch_tokens, eval_batch_size

    @classmethod
    def from_spec(cls, spec: DataSpec) -> TaggedText:
        options = spec.inputs["tokens"].options
        return cls(max_length=options["max_length"], lowercase=options["lowercase"])

    def ask(self, texts: Sequence[str], spec: DataSpec) -> Examples:
        """Texts whose words are what blanks separate."""
        return self.encode({"words": [text.split() for text in texts]}, spec)

    def fit(self, train: Columns) -> DataSpec:
        self.rows(train, need_target=True)
        self._check(train)
        encoder = Encoder.fit(train["words"], self.vocab_size, self.min_freq, **self.settings)
        names = named_labels("tags", [tag for tags in train["tags"] for tag in tags])
        return DataSpec(self.name, {"tokens": encoder.field()}, Field("tags", names))

    def _check(self, columns: Columns) -> None:
        for name in ("words", "tags"):
            for row, values in enumerate(columns.get(name, ()), start=1):
                if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
                    raise DataError(f"column '{name}', row {row}: expected a list of {name}, got {values!r:.80}.")
        for row, (words, tags) in enumerate(zip(columns["words"], columns.get("tags", ())), start=1):  # noqa: B905
            if len(words) != len(tags):
                raise DataError(f"row {row} has {len(words)} words and {len(tags)} tags.\n  Give each word one tag.")

    def encode(self, columns: Columns, spec: DataSpec) -> RowExamples:
        """A row without words becomes one <unk>, whose tag is IGNORE."""
        self.rows(columns)
        self._check(columns)
        encoder = Encoder.from_field(spec.inputs["tokens"])
        tokens, cut = encoder.encode(columns["words"])
        if "tags" not in columns:
            return RowExamples(tokens, None, cut)
        lengths = [len(tags) for tags in columns["tags"]]
        rows = np.repeat(np.arange(1, len(lengths) + 1), lengths)
        flat = label_ids("tags", (tag for tags in columns["tags"] for tag in tags), spec.labels, rows.__getitem__)
        return RowExamples(tokens, Ragged.of(flat, lengths).truncated(encoder.max_length).filled(IGNORE), cut)


@dataclass
class StreamExamples(Examples):
    """One long sequence, of which each token but the first is predicted from those before it.

    ids: (tokens,) int32. Its windows are those of `StreamBatches`.
    """

    ids: np.ndarray
    truncated: int = 0

    @property
    def lengths(self) -> np.ndarray:
        """(1,): the number of predictions."""
        return np.array([max(0, len(self.ids) - 1)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.lengths[0])

    @property
    def unknown_share(self) -> float:
        return float((self.ids == UNK).mean()) if len(self.ids) else 0.0

    def arrays(self) -> list[np.ndarray]:
        return [self.ids]

    def collate(self, window: Window) -> Batch:
        """The window's tokens, and as target those that follow each; `Batch.index` holds the column numbers."""
        shape = (len(window.starts), int(window.lengths.max()))
        tokens, target = np.zeros(shape, dtype=np.int64), np.full(shape, IGNORE, dtype=np.int64)
        for row, (start, length) in enumerate(zip(window.starts, window.lengths, strict=True)):
            tokens[row, :length] = self.ids[start : start + length]
            target[row, :length] = self.ids[start + 1 : start + length + 1]
        return Batch(
            {"tokens": torch.from_numpy(tokens)},
            torch.from_numpy(window.lengths),
            torch.from_numpy(target),
            index=torch.from_numpy(window.columns),
            fresh=window.fresh,
        )


class TextStream(Form):
    """Lines of text as one sequence, each line ended by <eos>; each token but the very first is predicted once.

    vocab_size: tokens kept, the most frequent first, four special ones counted. min_freq: how often a kept token occurs
    at least. unit: what a token is: whatever blanks separate, a word or punctuation mark, or a character. A written
    <unk> or <eos> is that special token. tbptt_steps: tokens a window, through which gradients flow. batch_size:
    columns side by side. eval_batch_size: the same in evaluation; as in training if not given.
    """

    name = "text_stream"
    columns = ("text",)

    def __init__(
        self,
        vocab_size: int = 50000,
        min_freq: int = 1,
        unit: Literal["word", "space", "character"] = "space",
        lowercase: bool = False,
        tbptt_steps: int = 35,
        batch_size: int = 20,
        eval_batch_size: int | None = None,
    ) -> None:
        check(vocab_size=vocab_size, min_freq=min_freq, tbptt_steps=tbptt_steps)
        check(batch_size=batch_size, eval_batch_size=eval_batch_size)
        self.vocab_size, self.min_freq = vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase}
        self.tbptt_steps, self.batch_size, self.eval_batch_size = tbptt_steps, batch_size, eval_batch_size

    @classmethod
    def from_spec(cls, spec: DataSpec) -> TextStream:
        options = spec.inputs["tokens"].options
        return cls(unit=options["unit"], lowercase=options["lowercase"])

    def fit(self, train: Columns) -> DataSpec:
        self.rows(train)
        check_type("text", train["text"], str, "a line of text")
        field = Encoder.fit(train["text"], self.vocab_size, self.min_freq, **self.settings).field()
        return DataSpec(self.name, {"tokens": field}, field)

    def encode(self, columns: Columns, spec: DataSpec) -> StreamExamples:
        self.rows(columns)
        check_type("text", columns["text"], str, "a line of text")
        lines = Encoder.from_field(spec.inputs["tokens"]).encode(columns["text"], blank=None)[0]
        return StreamExamples(lines.with_last(EOS).flat)

    def ask(self, texts: Sequence[str], spec: DataSpec) -> RowExamples:
        """Each text a stream of its own, which its end does not end: no <eos>."""
        check_type("text", texts, str, "a line of text")
        return RowExamples(Encoder.from_field(spec.inputs["tokens"]).encode(texts)[0])

    def batches(
        self, examples: Examples, *, training: bool, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> StreamBatches:
        return StreamBatches(
            len(examples),
            columns=self.batch_size if training else self.eval_batch_size or self.batch_size,
            tbptt_steps=self.tbptt_steps,
            training=training,
            rank=rank,
            world_size=world_size,
        )


class TextPairs(RowForm):
    """A text and the text it is turned into, each with a vocabulary of its own.

    `Batch.target` is the second text with <eos> at its end, (batch, time), IGNORE after it; `target_lengths` counts the
    <eos>. A decoder's input is <bos> and the target shifted by one, which the task makes.

    vocab_size: tokens kept of each side, the most frequent first, four special ones counted. min_freq: how often a kept
    token occurs at least. max_length: tokens kept of a text, from its head. unit: what a token is: a word or
    punctuation mark, whatever blanks separate, or a character. batch_size: pairs a batch. batch_tokens: at most so many
    tokens a batch, padding counted, on the longer side. eval_batch_size: pairs a batch in evaluation; as in training if
    not given.
    """

    name = "text_pairs"
    columns = ("source", "target")
    target = "target"

    def __init__(
        self,
        vocab_size: int = 25000,
        min_freq: int = 1,
        max_length: int | None = 100,
        unit: Literal["word", "space", "character"] = "word",
        lowercase: bool = True,
        batch_size: int = 64,
        batch_tokens: int | None = None,
        eval_batch_size: int | None = None,
    ) -> None:
        check(vocab_size=vocab_size, min_freq=min_freq, max_length=max_length)
        check(batch_size=batch_size, batch_tokens=batch_tokens, eval_batch_size=eval_batch_size)
        self.vocab_size, self.min_freq = vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase, "max_length": max_length}
        self.batch_size, self.batch_tokens, self.eval_batch_size = batch_size, batch_tokens, eval_batch_size

    @classmethod
    def from_spec(cls, spec: DataSpec) -> TextPairs:
        options = spec.inputs["tokens"].options
        return cls(**{name: options[name] for name in ("unit", "lowercase", "max_length")})

    def fit(self, train: Columns) -> DataSpec:
        self.rows(train, need_target=True)
        fields = []
        for name in self.columns:
            check_type(name, train[name], str, "text")
            fields.append(Encoder.fit(train[name], self.vocab_size, self.min_freq, **self.settings).field())
        return DataSpec(self.name, {"tokens": fields[0]}, fields[1])

    def encode(self, columns: Columns, spec: DataSpec) -> RowExamples:
        self.rows(columns)
        check_type("source", columns["source"], str, "text")
        tokens, cut = Encoder.from_field(spec.inputs["tokens"]).encode(columns["source"])
        if "target" not in columns:
            return RowExamples(tokens, None, cut, sequence_target=True)
        check_type("target", columns["target"], str, "text")
        encoder = Encoder.from_field(spec.target)
        target, target_cut = encoder.encode(columns["target"], blank=None)
        return RowExamples(tokens, target.with_last(EOS), cut + target_cut, sequence_target=True)


FORMS: dict[str, type[Form]] = {
    form.name: form for form in (LabelledText, TaggedText, TextStream, TextPairs, LabelledSeries, MeasuredSeries)
}
