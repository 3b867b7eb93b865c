"""Words and the one tag that each has."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from rnnzoo.batch import IGNORE, Batch, DataSpec, Field
from rnnzoo.data.base import Arriving, Chunks, Columns, RowError, label_ids, named_labels
from rnnzoo.data.encoding import spans, word_features
from rnnzoo.data.encoding.counts import MOST
from rnnzoo.data.encoding.text import Encoder, Numbers, Ragged, numbered
from rnnzoo.data.forms.arriving import ArrivingText
from rnnzoo.data.forms.rows import RowExamples, RowForm
from rnnzoo.data.streaming.packing import Kept, Packing
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, VocabSize, checked

log = logging.getLogger("rnnzoo")
Key = TypeVar("Key", str, tuple[str, str])
NO_WORD = -1  # the number of the word of a row without words: the last one, whose features are those of padding
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
    unstreamable = None
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
        return self.fit_chunks(lambda: [train], most=None)

    def fit_chunks(self, chunks: Chunks, most: int | None = MOST) -> DataSpec:
        tags: Counter[str] = Counter()
        pairs: Counter[tuple[str, str]] = Counter()
        distinct: set[str] = set()

        def words() -> Iterator[list[list[str]]]:
            for chunk in chunks():
                self.rows(chunk, need_target=True)
                self._check(chunk)
                yield chunk["words"]

        encoder = Encoder.fit_chunks(words, self.vocab_size, self.min_freq, most=most, **self.settings)
        counts = np.zeros(len(encoder.names), np.int64)
        for chunk in chunks():
            counts += np.bincount(encoder.encode(chunk["words"])[0].flat, minlength=len(encoder.names))
            tags.update(tag for row in chunk["tags"] for tag in row)
            pairs.update(spans.neighbours(chunk["tags"]))
            if self.characters or self.case:
                distinct.update(word for row in chunk["words"] for word in row)
                check_distinct(len(distinct), most)
        inputs = {"tokens": replace(encoder.field(), counts=tuple(counts.tolist()))}
        if self.characters:
            inputs["characters"] = word_features.letters_field(sorted(distinct))
        if self.case:
            inputs["case"] = word_features.shapes_field(sorted(distinct))
        return DataSpec(self.name, inputs, self._tags(tags, pairs))

    def _tags(self, counts: Counter[str], pairs: Counter[tuple[str, str]]) -> Field:
        """The tags of the training split; of spans, each type with every letter of the scheme."""
        names = named_labels("tags", counts)
        notation = spans.notation_of(names)
        if notation is not None and notation != spans.STANDARD:
            log.warning("column 'tags': read as spans, written in %s.", notation)
            canonical = spans.NOTATIONS[notation].canonical
            names = named_labels("tags", _summed((canonical(tag), count) for tag, count in counts.items()))
            pairs = _summed(((canonical(one), canonical(two)), count) for (one, two), count in pairs.items())
        found = spans.detected(pairs)
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

    def check(self, columns: Columns) -> None:
        """Raises: DataError for columns that are no words with a tag each."""
        self.rows(columns)
        self._check(columns)

    @staticmethod
    def _check(columns: Columns) -> None:
        for name in ("words", "tags"):
            for row, values in enumerate(columns.get(name, ())):
                if not isinstance(values, (list, tuple)) or not all(isinstance(value, str) for value in values):
                    raise RowError(row, name, f"expected a list of {name}, got {values!r:.80}.")
        for row, (words, tags) in enumerate(zip(columns["words"], columns.get("tags", ()))):  # noqa: B905
            if len(words) != len(tags):
                raise RowError(row, None, f"{len(words)} words and {len(tags)} tags.\n  Give each word one tag.")

    def packing(self, spec: DataSpec) -> TaggedPacking:
        return TaggedPacking(self, spec)

    def unpack(self, kept: Mapping[str, Kept], spec: DataSpec) -> TaggedExamples:
        tokens, target = kept["tokens"], kept.get("target")
        assert isinstance(tokens, Ragged) and (target is None or isinstance(target, Ragged))
        words = kept.get("words", tokens)
        assert isinstance(words, Ragged)
        features = {
            name: table for name, table in kept.items() if name in spec.inputs and isinstance(table, np.ndarray)
        }
        return TaggedExamples(tokens, target, words=words, features=features)

    def encode(self, columns: Columns, spec: DataSpec) -> TaggedExamples:
        """A row without words becomes one <unk>, whose tag is IGNORE."""
        packing = self.packing(spec)
        kept = packing.add(columns)
        if isinstance(words := kept.get("words"), Ragged):
            kept["words"] = Ragged(np.where(words.flat == NO_WORD, len(packing.numbers), words.flat), words.offsets)
        examples = self.unpack({**kept, **packing.end()}, spec)
        examples.truncated, examples.notes = packing.truncated, dict(packing.notes)
        return examples


class TaggedPacking(Packing):
    """Encodes tagged words; the distinct ones are numbered over all chunks, and their features kept at the end."""

    def __init__(self, form: TaggedText, spec: DataSpec) -> None:
        self.form, self.spec, self.encoder = form, spec, Encoder.from_field(spec.inputs["tokens"])
        self.features = [name for name in spec.inputs if name != "tokens"]
        self.numbers = Numbers()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.converted = 0

    def add(self, columns: Columns) -> dict[str, Kept]:
        self.form.check(columns)
        tokens, cut = self.encoder.encode(columns["words"])
        self.truncated += cut
        kept: dict[str, Kept] = {"tokens": tokens}
        if self.features:
            words = numbered(columns["words"], self.numbers)[0]
            kept["words"] = words.truncated(self.encoder.max_length).filled(NO_WORD)
        if "tags" in columns:
            kept["target"] = self._tags(columns["tags"])
        return kept

    def _tags(self, given: Sequence[Sequence[str]]) -> Ragged:
        options = self.spec.target.options
        rows = given = _canonical(given, options.get("notation"))
        if options.get("scheme") and spans.detected(pairs := spans.neighbours(rows)):
            self.pairs.update(pairs)
            rows = [spans.write(spans.read(tags), len(tags), options["scheme"]) for tags in given]
            changed = (zip(old, new, strict=True) for old, new in zip(given, rows, strict=True))
            self.converted += sum(old != new for row in changed for old, new in row)
        lengths = [len(tags) for tags in rows]
        row_of = np.repeat(np.arange(len(lengths)), lengths)
        flat = label_ids("tags", (tag for tags in rows for tag in tags), self.spec.labels, row_of.__getitem__)
        return Ragged.of(flat, lengths).truncated(self.encoder.max_length).filled(IGNORE)

    def end(self) -> dict[str, Kept]:
        if found := spans.detected(self.pairs):
            self.notes = {"scheme": found.scheme, "illegal_tags": found.illegal, "converted_tags": self.converted}
            if found.illegal:
                log.warning(
                    "%d tags break the rules of their scheme, %s; they are read as conlleval reads them: a tag that "
                    "does not continue the span before it begins one.",
                    found.illegal,
                    found.scheme,
                )
        made = {"characters": word_features.letters, "case": word_features.shapes}
        return {name: made[name]([*self.numbers, ""], self.spec.inputs[name]) for name in self.features}


def _summed(counts: Iterable[tuple[Key, int]]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for key, count in counts:
        found[key] += count
    return found


def check_distinct(count: int, most: int | None) -> None:
    """Raises: DataError for more distinct words than a stream keeps the letters of."""
    if most is not None and count > most:
        raise DataError(
            f"the text has more than {most:,} distinct words, and a stream keeps the letters and shapes of no more.\n"
            "  Leave out data.characters and data.case, or data.streaming."
        )


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
