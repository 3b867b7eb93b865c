"""A text and every label that it has, none or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnzoo.batch import DataSpec, Field
from rnnzoo.data.base import Chunks, Columns, RowError, check_type, label_ids, named_labels
from rnnzoo.data.encoding.counts import MOST
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms.labelled import LabelledTexts
from rnnzoo.data.forms.rows import RowExamples


@dataclass
class MultilabelledExamples(RowExamples):
    """Rows of tokens with a target (rows, labels) float32: 1 where a text has a label, else 0."""

    @property
    def label_ids(self) -> np.ndarray:
        if not isinstance(self.target, np.ndarray):
            return np.empty(0, dtype=np.int64)
        return self.target.nonzero()[1]


class MultilabelledText(LabelledTexts):
    """A text and every label that it has. `Batch.target` is (batch, labels) float32, 1 where a text has a label.

    The parameters are those of `LabelledTexts`.
    """

    name = "multilabelled_text"
    columns = ("text", "labels")
    target = "labels"

    def fit(self, train: Columns) -> DataSpec:
        return self.fit_chunks(lambda: [train], most=None)

    def fit_chunks(self, chunks: Chunks, most: int | None = MOST) -> DataSpec:
        counts: Counter[str] = Counter()

        def texts() -> Iterator[list[str]]:
            counts.clear()
            for chunk in chunks():
                self.rows(chunk, need_target=True)
                check_type("text", chunk["text"], str, "text")
                self._check(chunk)
                counts.update(label for labels in chunk["labels"] for label in labels)
                yield chunk["text"]

        encoder = Encoder.fit_chunks(texts, self.vocab_size, self.min_freq, most=most, **self.settings)
        return DataSpec(self.name, {"tokens": encoder.field()}, Field("labels", named_labels("labels", counts)))

    @staticmethod
    def _check(columns: Columns) -> None:
        for row, labels in enumerate(columns["labels"]):
            if not isinstance(labels, (list, tuple)) or not all(isinstance(label, str) for label in labels):
                raise RowError(row, "labels", f"expected a list of labels, got {labels!r:.80}.")

    def encode(self, columns: Columns, spec: DataSpec) -> RowExamples:
        count, target = self.rows(columns), None
        plain = self.encode_texts(columns, spec)
        if "labels" in columns:
            self._check(columns)
            row_of = np.repeat(np.arange(count), [len(labels) for labels in columns["labels"]])
            flat = (label for labels in columns["labels"] for label in labels)
            target = np.zeros((count, len(spec.labels)), np.float32)
            target[row_of, label_ids("labels", flat, spec.labels, row_of.__getitem__)] = 1
        examples = MultilabelledExamples(plain.tokens, target, plain.truncated)
        examples.notes = plain.notes
        return examples
