"""Words and the one tag that each has."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from rnnzoo.batch import IGNORE, Batch, DataSpec, Field
from rnnzoo.data.base import Arriving, Columns, RowError, label_ids, named_labels
from rnnzoo.data.encoding import spans, word_features
from rnnzoo.data.encoding.text import Encoder, Ragged, numbered
from rnnzoo.data.forms.arriving import ArrivingText
from rnnzoo.data.forms.rows import RowExamples, RowForm
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, VocabSize, checked

log = logging.getLogger("rnnzoo")
LONGEST = 64  # letters of a piece of typed text that is looked at for punctuation; a longer one is no word anyway


@dataclass
class TaggedExamples(RowExamples):
    """Rows of words, with the features of each word: its letters and its shape.

    words: the number of each distinct word. features: by input, a row for each distinct word: (words, letters) or
    (words,) int64; the last one is for padding. asked: the words themselves, where they were cut from a typed text.
    without_words: what a prediction for a text without words says.
    """

    words: Ragged = field(kw_only=True)
    features: dict[str, np.ndarray] = field(kw_only=True)
    asked: list[list[str]] | None = None
    without_words: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> list[np.ndarray]:
        return [*super().arrays(), *((self.words.flat, *self.features.values()) if self.features else ())]

    def collate(self, window: Sequence[int]) -> Batch:
        batch = super().collate(window)
        assert batch.index is not None
        for name, table in self.features.items():
            found = table[self.words.padded(batch.index.tolist(), len(table) - 1)]
            if found.ndim == 3:
                found = found[:, :, : max(1, int((found != 0).sum(-1).max(initial=0)))]
            batch.inputs[name] = torch.from_numpy(np.ascontiguousarray(found))
        return batch

    def echoed(self, row: int) -> dict[str, Any]:
        if self.asked is None:
            return {}
        return {"words": self.asked[row], **({} if self.asked[row] else self.without_words)}


class TaggedText(RowForm):
    """Words and the one tag that each has. The words are given, and stay whole.

    Tags of spans, in IOB1, IOB2, BIOES or BILOU, are recognised by how they are written: also in small letters, with
    the letter last, with an underscore or without a type (`rnnzoo.data.encoding.spans.NOTATIONS`). All parts are
    converted to one scheme: to `scheme`, or if not given, to that of the training split. Tags that break the rules of
    their scheme are read as conlleval reads them (`spans.joins`), counted, and reported in a warning.

    vocab_size: words kept, the most frequent first, four special ones counted. min_freq: how often a kept word occurs
    at least. max_length: words kept of a text, from its head; all if not given. characters, case: the letters of each
    word, and its shape, are inputs of their own, both before it is lower-cased. Batches of texts: see
    `RowForm`.
    """

    name = "tagged_text"
    hub_task = "token-classification"
    columns = ("words", "tags")
    target = "tags"

    @checked
    def __init__(
        self,
        vocab_size: VocabSize = 50000,
        min_freq: Count = 1,
        max_length: Count | None = None,
        lowercase: bool = False,
        characters: bool = False,
        case: bool = False,
        scheme: spans.Scheme | Literal["bilou"] | None = None,
        batch_size: Count = 32,
        **batching: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, **batching)
        self.vocab_size, self.min_freq = vocab_size, min_freq
        self.settings: dict[str, Any] = {"unit": "space", "lowercase": lowercase, "max_length": max_length}
        self.characters, self.case = characters, case
        self.scheme: spans.Scheme | None = "bioes" if scheme == "bilou" else scheme

    @classmethod
    def fields(cls, settings: Mapping[str, Any]) -> dict[str, str]:
        return {name: name for name in ("tokens", "characters", "case") if name == "tokens" or settings.get(name)}

    @classmethod
    def from_spec(cls, spec: DataSpec) -> TaggedText:
        options = spec.inputs["tokens"].options
        return cls(max_length=options["max_length"], lowercase=options["lowercase"])

    def pieces(self, text: str, spec: DataSpec) -> list[str]:
        encoder = Encoder.from_field(spec.inputs["tokens"])
        return [word for piece in text.split() for word in bare(piece, encoder)][: encoder.max_length]

    def ask(self, texts: Sequence[str | Sequence[str]], spec: DataSpec) -> TaggedExamples:
        """Typed texts: a word is what blanks separate, without the punctuation around it if that makes it known. Lists
        of words stay as they are."""
        encoder = Encoder.from_field(spec.inputs["tokens"])
        rows = [
            [word for piece in text.split() for word in bare(piece, encoder)] if isinstance(text, str) else list(text)
            for text in texts
        ]
        without_words: dict[str, Any] = {"tags": [], **({"spans": []} if spec.target.options.get("scheme") else {})}
        return replace(self.encode({"words": rows}, spec), asked=rows, without_words=without_words)

    def arriving(self, spec: DataSpec) -> Arriving:
        return ArrivingText(self, spec)

    def fit(self, train: Columns) -> DataSpec:
        self.rows(train, need_target=True)
        self._check(train)
        encoder = Encoder.fit(train["words"], self.vocab_size, self.min_freq, **self.settings)
        counts = np.bincount(encoder.encode(train["words"])[0].flat, minlength=len(encoder.names))
        inputs = {"tokens": replace(encoder.field(), counts=tuple(counts.tolist()))}
        words = sorted({word for row in train["words"] for word in row})
        if self.characters:
            inputs["characters"] = word_features.letters_field(words)
        if self.case:
            inputs["case"] = word_features.shapes_field(words)
        return DataSpec(self.name, inputs, self._tags(train["tags"]))

    def _tags(self, rows: Sequence[Sequence[str]]) -> Field:
        """The tags of the training split; of spans, each type with every letter of the scheme."""
        names = named_labels("tags", [tag for tags in rows for tag in tags])
        notation = spans.notation_of(names)
        if notation is not None and notation != spans.STANDARD:
            log.warning("column 'tags': read as spans, written in %s.", notation)
            rows = _canonical(rows, notation)
            names = named_labels("tags", [tag for tags in rows for tag in tags])
        found = spans.detect(rows)
        if found is None and self.scheme:
            strange = next((name for name in names if not spans.TAG.fullmatch(name)), "O")
            raise DataError(
                f"column 'tags': scheme is {self.scheme}, and {strange!r} is no tag of a span.\n"
                "  Such a tag is O, or B, I, E or S with a type, as in B-PER. For other tags, leave scheme out."
            )
        if found is None:
            alike = [name for name in names if spans.TAG.fullmatch(name) and name != spans.OUTSIDE]
            if alike:
                strange = next(name for name in names if not spans.TAG.fullmatch(name))
                log.warning(
                    "column 'tags': tags such as %r look like parts of spans, but %r is no tag of a span: all are read "
                    "as plain tags, scored by accuracy.",
                    alike[0],
                    strange,
                )
            return Field("tags", names)
        scheme = self.scheme or found.scheme
        kinds = sorted({name[2:] for name in names if name != spans.OUTSIDE})
        tags = [f"{letter}-{kind}" for kind in kinds for letter in spans.letters(scheme)]
        written = {} if notation in (None, spans.STANDARD) else {"notation": notation}
        return Field("tags", (spans.OUTSIDE, *tags), options={"scheme": scheme, **written})

    def _check(self, columns: Columns) -> None:
        for name in ("words", "tags"):
            for row, values in enumerate(columns.get(name, ())):
                if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
                    raise RowError(row, name, f"expected a list of {name}, got {values!r:.80}.")
        for row, (words, tags) in enumerate(zip(columns["words"], columns.get("tags", ()))):  # noqa: B905
            if len(words) != len(tags):
                raise RowError(row, None, f"{len(words)} words and {len(tags)} tags.\n  Give each word one tag.")

    def encode(self, columns: Columns, spec: DataSpec) -> TaggedExamples:
        """A row without words becomes one <unk>, whose tag is IGNORE."""
        self.rows(columns)
        self._check(columns)
        encoder = Encoder.from_field(spec.inputs["tokens"])
        tokens, cut = encoder.encode(columns["words"])
        words, distinct = numbered(columns["words"])
        words = words.truncated(encoder.max_length).filled(len(distinct))
        made = {"characters": word_features.letters, "case": word_features.shapes}
        tables = {name: made[name]([*distinct, ""], of) for name, of in spec.inputs.items() if name != "tokens"}
        examples = TaggedExamples(tokens, None, cut, words=words, features=tables)
        if "tags" not in columns:
            return examples
        rows = _canonical(columns["tags"], spec.target.options.get("notation"))
        if (scheme := spec.target.options.get("scheme")) and (found := spans.detect(rows)):
            given, rows = rows, [spans.write(spans.read(tags), len(tags), scheme) for tags in rows]
            changed = sum(a != b for old, new in zip(given, rows, strict=True) for a, b in zip(old, new, strict=True))
            examples.notes = {"scheme": found.scheme, "illegal_tags": found.illegal, "converted_tags": changed}
            if found.illegal:
                log.warning(
                    "%d tags break the rules of their scheme, %s; they are read as conlleval reads them: a tag that "
                    "does not continue the span before it begins one.",
                    found.illegal,
                    found.scheme,
                )
        lengths = [len(tags) for tags in rows]
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        flat = label_ids("tags", (tag for tags in rows for tag in tags), spec.labels, row_of.__getitem__)
        examples.target = Ragged.of(flat, lengths).truncated(encoder.max_length).filled(IGNORE)
        return examples


def _canonical(rows: Sequence[Sequence[str]], notation: str | None) -> Sequence[Sequence[str]]:
    """Rows of tags as `rnnzoo.data.encoding.spans` has them, whatever their notation."""
    known = spans.NOTATIONS.get(notation or spans.STANDARD)
    if known is None or notation is None:
        return rows
    return [[known.canonical(tag) for tag in tags] for tags in rows]


def bare(piece: str, encoder: Encoder) -> list[str]:
    """A piece of text as words: whole if it is known, else with the punctuation at its ends cut off, mark by mark."""
    before, after = [], []
    while 1 < len(piece) <= LONGEST and next(iter(encoder.tokens([[piece]])))[0] not in encoder.ids:
        if not piece[-1].isalnum():
            after.append(piece[-1])
            piece = piece[:-1]
        elif not piece[0].isalnum():
            before.append(piece[0])
            piece = piece[1:]
        else:
            break
    return [*before, piece, *reversed(after)]
