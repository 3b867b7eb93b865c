"""A text and the one label it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from rnnzoo.batch import DataSpec, Field
from rnnzoo.data.base import Arriving, Chunks, Columns, check_type, label_ids, named_labels
from rnnzoo.data.encoding.counts import MOST
from rnnzoo.data.encoding.text import Encoder, Quotes
from rnnzoo.data.forms.arriving import ArrivingText
from rnnzoo.data.forms.rows import RowExamples, RowForm
from rnnzoo.limits import Count, VocabSize, checked


class LabelledTexts(RowForm):
    """Texts with what is to be said of each.

    vocab_size: tokens kept, the most frequent first, four special ones counted. min_freq: how often a kept token occurs
    at least. max_length: tokens kept of a text, from its head, its tail, or half from each. unit: what a token is: a
    word or punctuation mark, whatever blanks separate, or a character; "auto" is a character where the script has no
    blanks between words, and else a word. quotes: whether a curly apostrophe is read as ' where words are cut, or kept
    as a mark of its own. Batches of texts: see `RowForm`.
    """

    hub_task = "text-classification"
    unstreamable = None

    @checked
    def __init__(
        self,
        vocab_size: VocabSize = 25000,
        min_freq: Count = 1,
        max_length: Count | None = 400,
        truncate: Literal["head", "tail", "head_tail"] = "head",
        unit: Literal["word", "space", "character", "auto"] = "word",
        lowercase: bool = True,
        quotes: Quotes = "straight",
        **batching: Any,
    ) -> None:
        super().__init__(**batching)
        self.vocab_size, self.min_freq = vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": unit, "lowercase": lowercase, "quotes": quotes}
        self.settings |= {"max_length": max_length, "truncate": truncate}

    def encode_texts(self, columns: Columns, spec: DataSpec) -> RowExamples:
        """The column `text` alone, without a target."""
        check_type("text", columns["text"], str, "text")
        tokens, cut = Encoder.from_field(spec.inputs["tokens"]).encode(columns["text"])
        examples = RowExamples(tokens, None, cut)
        if empty := sum(not text.strip() for text in columns["text"]):
            examples.notes = {"empty": empty}
        return examples

    def arriving(self, spec: DataSpec) -> Arriving:
        return ArrivingText(self, spec)


class LabelledText(LabelledTexts):
    """A text and the one label it has. The parameters are those of `LabelledTexts`."""

    name = "labelled_text"
    columns = ("text", "label")
    target = "label"

    def fit(self, train: Columns) -> DataSpec:
        return self.fit_chunks(lambda: [train], most=None)

    def fit_chunks(self, chunks: Chunks, most: int | None = MOST) -> DataSpec:
        labels: Counter[str] = Counter()

        def texts() -> Iterator[list[str]]:
            labels.clear()
            for chunk in chunks():
                self.rows(chunk, need_target=True)
                check_type("text", chunk["text"], str, "text")
                check_type("label", chunk["label"], str, "a label, as text")
                labels.update(chunk["label"])
                yield chunk["text"]

        encoder = Encoder.fit_chunks(texts, self.vocab_size, self.min_freq, most=most, **self.settings)
        return DataSpec(self.name, {"tokens": encoder.field()}, Field("label", named_labels("label", labels)))

    def encode(self, columns: Columns, spec: DataSpec) -> RowExamples:
        self.rows(columns)
        examples = self.encode_texts(columns, spec)
        examples.target = label_ids("label", columns["label"], spec.labels) if "label" in columns else None
        return examples
