"""Words and the one tag that each has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnzoo.batch import IGNORE, DataSpec, Field
from rnnzoo.data.base import Columns, Examples, label_ids, named_labels
from rnnzoo.data.rows import RowExamples, RowForm
from rnnzoo.data.text import Encoder, Ragged
from rnnzoo.errors import DataError
from rnnzoo.limits import check


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
