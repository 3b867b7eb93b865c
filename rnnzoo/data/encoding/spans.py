"""Spans of words written as tags: IOB1, IOB2, BIOES, and the one rule that reads them all.

A tag is "O", outside of every span, or a letter and the span's type, as in "B-PER".

    iob1   I for every word of a span; B for the first one where a span of the same type ends just before it
    iob2   B for the first word, I for the others
    bioes  B, I, E for the first word, those between and the last; S for a span of one word

The same tags are also written in small letters (b-per), with an underscore (B_PER), with the letter last (PER-B),
without a type (B), and with other letters for E and S: BILOU has L and U, BMEWO has M for I, E, and W. A `Notation`
brings them to the form above.

Sources: Ramshaw, Marcus, arXiv:cmp-lg/9505040; Tjong Kim Sang, Veenstra, "Representing Text Chunks", EACL 1999.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Literal, NamedTuple

Scheme = Literal["iob1", "iob2", "bioes"]
LETTERS: dict[Scheme, str] = {"iob2": "IIBB", "iob1": "IIII", "bioes": "IEBS"}  # by 2 * is the first + is the last word
OUTSIDE = "O"
TAG = re.compile(r"O|[BIES]-.+", re.DOTALL)


class Span(NamedTuple):
    """Words `start` up to `stop`, which is not among them, counted from 0."""

    type: str
    start: int
    stop: int


class Detected(NamedTuple):
    """The scheme of some rows of tags, and how many tags break its rules."""

    scheme: Scheme
    illegal: int


class Notation(NamedTuple):
    """A way to write tags of spans. pattern: of all but the outside tag. letters: what each of its letters is here."""

    name: str
    pattern: re.Pattern[str]
    letters: dict[str, str]
    small: bool

    def reads(self, tag: str) -> bool:
        return tag == ("o" if self.small else OUTSIDE) or self.pattern.fullmatch(tag) is not None

    def canonical(self, tag: str) -> str:
        """ "B-PER" for "PER-B"; a tag of another notation stays as it is."""
        match = self.pattern.fullmatch(tag)
        if match is None:
            return OUTSIDE if self.small and tag == "o" else tag
        letter = match["letter"].upper() if self.small else match["letter"]
        return f"{self.letters[letter]}-{match.groupdict().get('type') or UNTYPED}"


UNTYPED = "span"  # the type of spans whose tags have none
_FORMS = {
    "B-PER": "{letter}-{type}",
    "B_PER": "{letter}_{type}",
    "PER-B": "{type}-{letter}",
    "PER_B": "{type}_{letter}",
    "B": "{letter}",
}
_LETTERS = {"BIOES": "BIES", "BILOU": "BILU", "BMEWO": "BMEW"}  # each scheme's words for begin, inside, end, single


def _notations() -> Iterator[Notation]:
    for scheme, four in _LETTERS.items():
        meaning = dict(zip(four, "BIES", strict=True))
        for small in (False, True):
            for name, form in _FORMS.items():
                used = four.lower() if small else four
                pattern = form.format(letter=f"(?P<letter>[{used}])", type="(?P<type>.+)")
                shown = name.lower() if small else name
                yield Notation(f"{scheme}, as in {shown}", re.compile(pattern, re.DOTALL), meaning, small)


NOTATIONS = {notation.name: notation for notation in _notations()}
STANDARD = next(iter(NOTATIONS))


def notation_of(names: Iterable[str]) -> str | None:
    """The one way in which all of these tags are written, the standard one first; None if that is not certain.

    It is if every tag is of that form, one is outside of spans, and one begins a span.
    """
    kinds = set(names)
    for name, notation in NOTATIONS.items():
        outside = "o" if notation.small else OUTSIDE
        begins = any((found := notation.pattern.fullmatch(tag)) and found["letter"].upper() in "BSUW" for tag in kinds)
        if outside in kinds and all(map(notation.reads, kinds)) and (begins or name == STANDARD):
            return name if kinds != {outside} else None
    return None


def letters(scheme: Scheme) -> str:
    """The letters that a scheme's tags begin with, each once."""
    return "".join(dict.fromkeys(f"{LETTERS[scheme]}B"))


def joins(before: str, tag: str) -> bool:
    """Whether `tag` continues the span of the tag before it, as conlleval has it (CoNLL-2000 and 2003).

    It does if the type is the same, the span before may go on (B, I) and the tag may not begin one (I, E). A tag that
    joins nothing begins a span, whatever its letter: an I after an O, or after another type.
    """
    return before[0] in "BI" and tag[0] in "IE" and before[1:] == tag[1:]


def breaks(scheme: Scheme, before: str, tag: str) -> bool:
    """Whether `tag` after `before` is against the rules of `scheme`; "O" comes before a first tag and after a last."""
    if tag[0] not in f"O{letters(scheme)}":
        return True
    if scheme == "iob1":
        return tag[0] == "B" and before[1:] != tag[1:]
    must_join = tag[0] == "I" if scheme == "iob2" else tag[0] in "IE" or before[0] in "BI"
    return must_join and not joins(before, tag)


def read(tags: Sequence[str]) -> list[Span]:
    """The spans of one row of tags, in any scheme, well-formed or not; see `joins`."""
    spans: list[Span] = []
    before = OUTSIDE
    for index, tag in enumerate(tags):
        if joins(before, tag):
            spans[-1] = spans[-1]._replace(stop=index + 1)
        elif tag != OUTSIDE:
            spans.append(Span(tag[2:], index, index + 1))
        before = tag
    return spans


def write(spans: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """Spans, in order and apart, as one row of tags."""
    tags = [OUTSIDE] * length
    before = Span("", 0, 0)
    for span in spans:
        for index in range(span.start, span.stop):
            first, last = index == span.start, index == span.stop - 1
            tags[index] = f"{LETTERS[scheme][2 * first + last]}-{span.type}"
        if scheme == "iob1" and (before.type, before.stop) == (span.type, span.start):
            tags[span.start] = f"B-{span.type}"
        before = span
    return tags


def neighbours(rows: Iterable[Sequence[str]]) -> Counter[tuple[str, str]]:
    """How often each tag follows each; "O" comes before a row's first and after its last."""
    pairs: Counter[tuple[str, str]] = Counter()
    for tags in rows:
        pairs.update(pairwise(chain((OUTSIDE,), tags, (OUTSIDE,))))
    return pairs


def detect(rows: Iterable[Sequence[str]]) -> Detected | None:
    """The scheme of rows of tags; see `detected`."""
    return detected(neighbours(rows))


def detected(pairs: Counter[tuple[str, str]]) -> Detected | None:
    """The scheme whose rules the fewest tags break, iob2 before iob1 before bioes; None if the tags are no spans.

    pairs: of tags that stand side by side, see `neighbours`.
    """
    kinds = {tag for pair in pairs for tag in pair}
    if kinds <= {OUTSIDE} or not all(map(TAG.fullmatch, kinds)):
        return None
    schemes = [
        Detected(scheme, sum(count * breaks(scheme, *pair) for pair, count in pairs.items())) for scheme in LETTERS
    ]
    return min(schemes, key=lambda detected: detected.illegal)
