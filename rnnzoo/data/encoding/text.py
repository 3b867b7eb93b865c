"""Text to numbers: tokens, the vocabulary, and rows of ids kept as one flat array."""

from __future__ import annotations

import logging
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import regex

from rnnzoo.batch import EOS, PAD, SPECIALS, UNK, Field
from rnnzoo.data.encoding import subwords
from rnnzoo.data.encoding.counts import Counts
from rnnzoo.errors import DataError

log = logging.getLogger("rnnzoo")
Quotes = Literal["straight", "keep"]
Unit = Literal["word", "space", "character", "subword"]
AUTO: Literal["auto"] = "auto"  # words, or characters where the script has no blanks between words
Truncate = Literal["head", "tail", "head_tail"]

# `\w` of `regex` has the vowel signs and joiners of a word (UAX 29), which Python's own lacks. Marks and joiners after
# another character, such as the parts of an emoji, stay with it. 0x1c to 0x1f are blanks, as in Python's `re`.
WORD = regex.compile(r"\w+(?:'\w+)?|[^\w\s\x1c-\x1f]\p{M}*(?:\u200d[^\w\s]\p{M}*)*")
STRAIGHT = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bc\uff07", "'"))
UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
CUT: dict[str, Callable[[str], Sequence[str]]] = {"word": WORD.findall, "space": str.split, "character": str}
PAIR = " ||| "  # between two texts that are read as one
PIECE = 2**22  # ids looked at together
LARGE = 0.2  # share of tokens that is worth a warning
LONGEST = "longest"  # option of a target: tokens of the longest training text, <eos> counted
WRITTEN_SPECIALS = {SPECIALS[UNK]: UNK, SPECIALS[EOS]: EOS}  # corpora have these spelled out; they keep their meaning


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length, end to end: row i is flat[offsets[i]:offsets[i + 1]].

    flat: (tokens,) int32. offsets: (rows + 1,) int64, from 0 to tokens.
    """

    flat: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, flat: np.ndarray, lengths: np.ndarray | Sequence[int]) -> Ragged:
        return cls(flat.astype(np.int32, copy=False), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    @cached_property
    def lengths(self) -> np.ndarray:
        """(rows,) int64."""
        return np.diff(self._plain[1])

    @cached_property
    def _plain(self) -> tuple[np.ndarray, np.ndarray]:
        """Both arrays without what a mapped file adds to them: it would take half of the time of `padded`."""
        return np.asarray(self.flat), np.asarray(self.offsets)

    def __reduce__(self) -> Any:
        return Ragged, (self.flat, self.offsets)  # and not what is made from them

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        flat, offsets = self._plain
        return flat[offsets[row] : offsets[row + 1]]

    def padded(self, rows: Iterable[int], fill: int = PAD) -> np.ndarray:
        """The given rows, int64 (rows, longest), with `fill` after each one's end."""
        pieces = [self[row] for row in rows]
        out = np.full((len(pieces), max(map(len, pieces), default=0)), fill, dtype=np.int64)
        for row, piece in zip(out, pieces, strict=True):
            row[: len(piece)] = piece
        return out

    def truncated(self, max_length: int | None, how: Truncate = "head") -> Ragged:
        """Rows of at most `max_length` tokens: their head, their tail, or half of each."""
        lengths = self.lengths
        if max_length is None or not (lengths > max_length).any():
            return self
        head = {"head": max_length, "tail": 0, "head_tail": (max_length + 1) // 2}[how]
        position = np.arange(len(self.flat)) - np.repeat(self.offsets[:-1], lengths)  # (tokens,) within its row
        tail_starts = np.repeat(lengths - np.minimum(lengths, max_length) + np.minimum(lengths, head), lengths)
        keep = (position < head) | (position >= tail_starts)
        return Ragged.of(self.flat[keep], np.minimum(lengths, max_length))

    def filled(self, token: int) -> Ragged:
        """The same rows, the empty ones with one `token` instead."""
        empty = self.lengths == 0
        if not empty.any():
            return self
        flat = np.insert(self.flat, self.offsets[:-1][empty], token)
        return Ragged.of(flat, np.where(empty, 1, self.lengths))

    def with_last(self, token: int, where: np.ndarray | None = None) -> Ragged:
        """The same rows with `token` at the end of each, or of those that `where`, (rows,) bool, selects."""
        where = np.ones(len(self), dtype=bool) if where is None else where
        return Ragged.of(np.insert(self.flat, self.offsets[1:][where], token), self.lengths + where)


def share_of(ids: np.ndarray, one: int) -> float:
    """How many of the ids are this one, 0 to 1; counted piece by piece, as they may be a mapped file."""
    pieces = (ids[start : start + PIECE] for start in range(0, len(ids), PIECE))
    return sum(int((piece == one).sum()) for piece in pieces) / len(ids) if len(ids) else 0.0


def splitter(
    unit: Unit,
    lowercase: bool,
    names: Sequence[str] = (),
    merges: Sequence[str] = (),
    quotes: Quotes = "straight",
) -> Callable[[str], Sequence[str]]:
    """What cuts a text, in Unicode's composed form NFC, into tokens.

    unit: "word" for words and single punctuation marks ("it's fine!" -> it's, fine, !), "space" for whatever blanks
    separate (text that is tokenised already), "character" for each character, blanks too, "subword" for pieces of
    words, which `merges` of the vocabulary `names` make (see `rnnzoo.data.encoding.subwords`).
    """
    pieces = subwords.Subwords(names, merges).pieces if unit == "subword" else CUT[unit]
    if unit == "word" and quotes == "straight":
        return lambda text: pieces(normal(text, lowercase).translate(STRAIGHT))
    return lambda text: pieces(normal(text, lowercase))


def normal(text: str, lowercase: bool) -> str:
    """The text in Unicode's composed form NFC, in small letters if asked."""
    return unicodedata.normalize("NFC", text.lower() if lowercase else text)


def unspaced(tokens: Iterable[str], counts: Iterable[int]) -> float:
    """The share of tokens that are longer than a character and of a script without blanks between words, 0 to 1."""
    long = total = 0
    for token, count in zip(tokens, counts, strict=True):
        total += count
        long += count * (len(token) > 1 and not token.isascii() and UNSPACED.search(token) is not None)
    return long / total if total else 0.0


class Numbers(dict):
    """Token -> number, in order of first appearance."""

    def __missing__(self, token: str) -> int:
        number = self[token] = len(self)
        return number


def numbered(rows: Iterable[Sequence[str]], numbers: Numbers | None = None) -> tuple[Ragged, list[str]]:
    """Rows of tokens as numbers, and the token of each number. numbers: those of earlier rows, to go on with."""
    numbers = Numbers() if numbers is None else numbers
    flat, ends = array("i"), array("q", [0])
    for tokens in rows:
        flat.extend(map(numbers.__getitem__, tokens))
        ends.append(len(flat))
    return Ragged(np.array(flat, dtype=np.int32), np.array(ends, dtype=np.int64)), list(numbers)


def numbered_words(texts: Iterable[str]) -> tuple[Ragged, list[str]]:
    """The words and punctuation marks of texts that are `normal` already, as `numbered` gives them, in half the time.

    No token has a blank in it. So each different piece between blanks is cut into its tokens once.
    """
    pieces, spelled = numbered(map(str.split, texts))
    inside, tokens = numbered(map(WORD.findall, spelled))
    counts = inside.lengths.astype(np.int32)[pieces.flat]  # (pieces,) the tokens of each
    ends = np.cumsum(counts, dtype=np.int64)
    shift = inside.offsets.astype(np.int64)[pieces.flat] - (
        ends - counts
    )  # from places in the text to places in `inside`
    flat = inside.flat[np.arange(ends[-1] if len(ends) else 0) + np.repeat(shift, counts)]
    return Ragged(flat, np.concatenate([[0], ends])[pieces.offsets]), tokens


def _warn_of_dropped(counts: Counts) -> None:
    if counts.short:
        log.warning(
            "the training text has more than %s distinct tokens: rare ones were dropped while they were counted, and "
            "counts may be too small by %s at most, so that the rarest tokens of the vocabulary may be others.",
            f"{counts.most:,}",
            f"{counts.short:,}",
        )


@dataclass(frozen=True)
class Encoder:
    """Tokens to ids and back, and the settings that made the tokens: all that a `Field` of tokens holds.

    names: the vocabulary in id order, SPECIALS first. A token that is not in it becomes <unk>. merges: of subwords, see
    `rnnzoo.data.encoding.subwords`. quotes: of the unit "word", whether curly apostrophes are read as ' or kept.
    """

    names: tuple[str, ...]
    unit: Unit = "word"
    lowercase: bool = True
    max_length: int | None = None
    truncate: Truncate = "head"
    merges: Sequence[str] = ()
    quotes: Quotes = "straight"  # also of vocabularies that were kept before there was a choice

    @classmethod
    def fit(cls, rows: Sequence[Any], vocab_size: int, min_freq: int, *settings: Any, **named: Any) -> Encoder:
        """The encoder of the `vocab_size` most frequent tokens of `rows`; see `fit_chunks`."""
        return cls.fit_chunks(lambda: [rows], vocab_size, min_freq, *settings, **named)

    @classmethod
    def fit_chunks(
        cls,
        chunks: Callable[[], Iterable[Sequence[Any]]],
        vocab_size: int,
        min_freq: int,
        unit: Unit | Literal["auto"] = "word",
        lowercase: bool = True,
        quotes: Quotes = "straight",
        most: int | None = None,
        **cut: Any,
    ) -> Encoder:
        """The encoder of the `vocab_size` most frequent tokens, SPECIALS counted; the alphabet breaks ties.

        chunks: gives the rows, some at a time, each time it is called. unit: "auto" is "word", or "character" where
        most of the text has no blanks between words, which is reported. most: distinct tokens that are counted; where
        there are more, rare ones may be counted too low, which is reported.
        Raises: DataError if no token occurs `min_freq` times.
        """
        rows = 0
        if unit == "subword":
            texts = (normal(text, lowercase) for chunk in chunks() for text in chunk)
            names, merges = subwords.train(texts, vocab_size, min_freq)
            if len(names) == len(SPECIALS):
                rows = sum(len(chunk) for chunk in chunks())
                raise DataError(f"the vocabulary is empty: none of the {rows} training rows has a character.")
            return cls(names, unit, lowercase, merges=merges, quotes=quotes, **cut)
        encoder = cls(SPECIALS, "word" if unit == AUTO else unit, lowercase, quotes=quotes, **cut)
        counts = Counts(None if most is None else max(most, 2 * vocab_size))
        for chunk in chunks():
            ragged, tokens = encoder.numbered(chunk)
            counts.add(tokens, np.bincount(ragged.flat, minlength=len(tokens)).tolist())
            rows += len(chunk)
        _warn_of_dropped(counts)
        common = [(-count, token) for token, count in counts.of.items() if count >= min_freq and token not in SPECIALS]
        if not common:
            highest = max(counts.of.values(), default=0)
            raise DataError(
                f"the vocabulary is empty: no token of the {rows} training rows occurs {min_freq} times or more.\n"
                f"  The most frequent one occurs {highest} times; lower min_freq (now {min_freq})."
            )
        share = unspaced(counts.of, counts.of.values()) if unit in ("word", "space", AUTO) else 0.0
        if share > LARGE and unit == AUTO:
            log.warning(
                "the script of the text has no blanks between words (%.0f %% of its words would be phrases), so it is "
                "read by characters (unit: auto); max_length counts characters.",
                100 * share,
            )
            return cls.fit_chunks(chunks, vocab_size, min_freq, "character", lowercase, quotes, most, **cut)
        if share > LARGE:
            log.warning(
                "%.0f %% of the training tokens are phrases, in a script without blanks between words. "
                "`unit: character`, or auto, reads characters, `unit: subword` parts of words, where data have it.",
                100 * share,
            )
        names = SPECIALS + tuple(token for _, token in sorted(common)[: vocab_size - len(SPECIALS)])
        return cls(names, encoder.unit, lowercase, quotes=quotes, **cut)

    @classmethod
    def from_field(cls, field: Field) -> Encoder:
        return cls(field.names, **{name: value for name, value in field.options.items() if name != LONGEST})

    def field(self) -> Field:
        options: dict[str, Any] = {"unit": self.unit, "lowercase": self.lowercase}
        options |= {"max_length": self.max_length, "truncate": self.truncate, "quotes": self.quotes}
        return Field("tokens", self.names, options=options | ({"merges": list(self.merges)} if self.merges else {}))

    @cached_property
    def ids(self) -> dict[str, int]:
        start = len(SPECIALS)
        return {name: number for number, name in enumerate(self.names[start:], start)} | WRITTEN_SPECIALS

    def tokens(self, rows: Iterable[Any]) -> Iterable[Sequence[str]]:
        """The tokens of each row: of a text, or of a list of words, which stay whole."""
        split = splitter(self.unit, self.lowercase, self.names, self.merges, self.quotes)
        for row in rows:
            if isinstance(row, str):
                yield split(row)
            else:
                yield [normal(word, self.lowercase) for word in row]

    def numbered(self, rows: Iterable[Any]) -> tuple[Ragged, list[str]]:
        """The tokens of each row as numbers, and the token of each number."""
        rows = rows if isinstance(rows, Sequence) else list(rows)
        if self.unit != "word" or not all(isinstance(row, str) for row in rows):
            return numbered(self.tokens(rows))
        straight = STRAIGHT if self.quotes == "straight" else {}
        return numbered_words(normal(row, self.lowercase).translate(straight) for row in rows)

    def encode(self, rows: Iterable[Any], blank: int | None = UNK) -> tuple[Ragged, int]:
        """The ids of each row, and how many rows were cut to `max_length`; an empty row is one `blank`, if given."""
        ragged, tokens = self.numbered(rows)
        table = np.array([self.ids.get(token, UNK) for token in tokens], dtype=np.int32)
        cut = 0 if self.max_length is None else int((ragged.lengths > self.max_length).sum())
        flat = table[ragged.flat] if len(tokens) else ragged.flat
        ids = Ragged(flat, ragged.offsets).truncated(self.max_length, self.truncate)
        return (ids if blank is None else ids.filled(blank)), cut

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` up to the first <eos>, as far as tokens tell it."""
        words = []
        for number in ids:
            if number == EOS:
                break
            words.append(self.names[number])
        if self.unit == "subword":
            return subwords.joined(words)
        return ("" if self.unit == "character" else " ").join(words)
