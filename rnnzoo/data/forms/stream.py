"""A stream of text: one long sequence, each token predicted from those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from rnnzoo.batch import EOS, IGNORE, UNK, Batch, DataSpec
from rnnzoo.data.base import Arriving, Chunks, Columns, Examples, Form, check_type
from rnnzoo.data.batching import StreamBatches, Window
from rnnzoo.data.encoding.counts import MOST
from rnnzoo.data.encoding.text import Encoder, share_of
from rnnzoo.data.forms.arriving import ArrivingLines
from rnnzoo.data.forms.rows import RowExamples
from rnnzoo.data.shards import SHARDS
from rnnzoo.data.streaming.packing import Kept, Packing
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, VocabSize, checked


@dataclass
class StreamExamples(Examples):
    """One long sequence, of which each token but the first is predicted from those before it.

    ids: (tokens,) int32, or uint16 or uint32 where they are mapped. Its windows are those of `StreamBatches`.
    unknown: how many are <unk>, where that was counted before. size: of the vocabulary, where ids are to be checked.
    """

    ids: np.ndarray
    truncated: int = 0
    unknown: int | None = None
    size: int | None = None

    @property
    def lengths(self) -> np.ndarray:
        """(1,): the number of predictions."""
        return np.array([max(0, len(self.ids) - 1)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.lengths[0])

    @property
    def unknown_share(self) -> float:
        if self.unknown is not None:
            return self.unknown / max(1, len(self.ids))
        return share_of(self.ids, UNK)

    def arrays(self) -> list[np.ndarray]:
        return [self.ids]

    def collate(self, window: Window) -> Batch:
        """The window's tokens, and as target those that follow each; `Batch.index` holds the column numbers."""
        shape = (len(window.starts), int(window.lengths.max()))
        tokens, target = np.zeros(shape, dtype=np.int64), np.full(shape, IGNORE, dtype=np.int64)
        ids = np.asarray(self.ids)  # without what a mapped array adds to each slice
        for row, (start, length) in enumerate(zip(window.starts, window.lengths, strict=True)):
            tokens[row, :length] = ids[start : start + length]
            target[row, :length] = ids[start + 1 : start + length + 1]
        self._check(tokens, target)
        return Batch(
            {"tokens": torch.from_numpy(tokens)},
            torch.from_numpy(window.lengths),
            torch.from_numpy(target),
            index=torch.from_numpy(window.columns),
            fresh=window.fresh,
            starts=torch.from_numpy(window.starts),
        )

    def _check(self, *read: np.ndarray) -> None:
        """Raises: DataError for numbers that no word has."""
        most = max(int(array.max()) for array in read)
        if self.size is not None and most >= self.size:
            raise DataError(
                f"the token files have a word number {most}, and the vocabulary has {self.size} words.\n"
                "  Prepare the data again."
            )


class TextStream(Form):
    """Lines of text as one sequence, each line ended by <eos>; each token but the very first is predicted once.

    vocab_size: tokens kept, the most frequent first, four special ones counted. min_freq: how often a kept token occurs
    at least. unit: what a token is: whatever blanks separate, a word or punctuation mark, a character, or "auto", see
    `LabelledText`. A written <unk> or <eos> is that special token. tbptt_steps: tokens a window, through which
    gradients flow. tbptt_jitter: the windows of training end elsewhere in each epoch, see `StreamBatches`. batch_size:
    columns side by side in training. eval_batch_size: windows of `tbptt_steps` read at once in evaluation, one after
    the other, which changes no result; `batch_size` if not given.
    """

    name = "text_stream"
    hub_task = "text-generation"
    columns = ("text",)
    in_order = True
    unstreamable = None
    free = Form.free | {"tbptt_steps", "tbptt_jitter"}

    @checked
    def __init__(
        self,
        vocab_size: VocabSize = 50000,
        min_freq: Count = 1,
        unit: Literal["word", "space", "character", "auto"] = "space",
        lowercase: bool = False,
        tbptt_steps: Count = 35,
        batch_size: Count = 20,
        eval_batch_size: Count | None = None,
        tbptt_jitter: bool = False,
    ) -> None:
        self.vocab_size, self.min_freq = vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase}
        self.tbptt_steps, self.batch_size, self.eval_batch_size = tbptt_steps, batch_size, eval_batch_size
        self.tbptt_jitter = tbptt_jitter

    @classmethod
    def from_spec(cls, spec: DataSpec) -> TextStream:
        options = spec.inputs["tokens"].options
        return cls(unit=options["unit"], lowercase=options["lowercase"])

    def fit(self, train: Columns) -> DataSpec:
        return self.fit_chunks(lambda: [train], most=None)

    def fit_chunks(self, chunks: Chunks, most: int | None = MOST) -> DataSpec:
        def texts() -> Iterator[list[str]]:
            for chunk in chunks():
                self._check(chunk)
                yield chunk["text"]

        field = Encoder.fit_chunks(texts, self.vocab_size, self.min_freq, most=most, **self.settings).field()
        return DataSpec(self.name, {"tokens": field}, field)

    def _check(self, columns: Columns) -> None:
        self.rows(columns)
        check_type("text", columns["text"], str, "a line of text")

    def encode(self, columns: Columns, spec: DataSpec) -> StreamExamples:
        return self.unpack(self.packing(spec).add(columns), spec)

    def packing(self, spec: DataSpec) -> Packing:
        encoder = Encoder.from_field(spec.inputs["tokens"])

        def ids(columns: Columns) -> dict[str, Kept]:
            self._check(columns)
            return {"ids": encoder.encode(columns["text"], blank=None)[0].with_last(EOS).flat}

        return Packing(ids)

    def unpack(self, kept: Mapping[str, Kept], spec: DataSpec) -> StreamExamples:
        ids = kept["ids"]
        assert isinstance(ids, np.ndarray)
        if len(ids) < 2:
            raise DataError("the text has one token, which there is nothing to predict from.\n  Give it some words.")
        return StreamExamples(ids)

    def ask(self, texts: Sequence[str], spec: DataSpec) -> RowExamples:
        """Each text a stream of its own, which its end does not end: no <eos>."""
        check_type("text", texts, str, "a line of text")
        return RowExamples(Encoder.from_field(spec.inputs["tokens"]).encode(texts)[0])

    def arriving(self, spec: DataSpec) -> Arriving:
        return ArrivingLines(self, spec)

    def batches(
        self, examples: Examples, *, training: bool, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> StreamBatches:
        return StreamBatches(
            len(examples),
            columns=self.batch_size if training else self.eval_batch_size or self.batch_size,
            tbptt_steps=self.tbptt_steps,
            training=training,
            jitter=self.tbptt_jitter,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )

    def shards(self, examples: Examples, window: Any) -> list[Any]:
        """Neighbouring columns together, the same in all windows of an epoch."""
        places = np.array_split(np.arange(len(window.columns)), SHARDS)
        return [
            Window(window.columns[at], window.starts[at], window.lengths[at], window.fresh) if len(at) else None
            for at in places
        ]
