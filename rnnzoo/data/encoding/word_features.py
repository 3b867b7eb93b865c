"""Features of a word as it is written: its letters, and its shape."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnnzoo.batch import PAD, Field
from rnnzoo.data.encoding.text import Encoder

MAX_LETTERS = 24  # of a longer word, the first and the last twelve
MAX_SHAPES = 100


def kind_of(letter: str) -> str:
    """X for a capital, x for another letter, d for a digit, and anything else as it is."""
    if letter.isupper():
        return "X"
    return "x" if letter.isalpha() else "d" if letter.isdigit() else letter


def shape(word: str) -> str:
    """The kinds of a word's letters, of those that are alike the first: "McCoy" is XxXx, "3.5-inch" is d.d-x."""
    return "".join(kind for kind, _ in itertools.groupby(map(kind_of, unicodedata.normalize("NFC", word))))


def letters_field(words: Sequence[str]) -> Field:
    """The letters of some distinct words, those that at least two have."""
    encoder = Encoder.fit(words, 10_000, 2, "character", False, max_length=MAX_LETTERS, truncate="head_tail")
    return replace(encoder.field(), kind="characters")


def letters(words: Sequence[str], field: Field) -> np.ndarray:
    """(words, letters of the longest, at least one) int64 letters, PAD after each one's last."""
    ids = Encoder.from_field(field).encode(words, blank=None)[0].padded(range(len(words)), PAD)
    return ids if ids.shape[1] else np.full((len(words), 1), PAD, np.int64)


def shapes_field(words: Sequence[str]) -> Field:
    """The commonest shapes of some words."""
    encoder = Encoder.fit([[shape(word) for word in words]], MAX_SHAPES, 1, "space", False)
    return replace(encoder.field(), kind="case")


def shapes(words: Sequence[str], field: Field) -> np.ndarray:
    """(words,) int64 shapes; PAD for the word that has no letter."""
    ids = Encoder.from_field(field).encode([[shape(word) for word in words]], blank=None)[0].flat
    return np.where([bool(word) for word in words], ids, PAD).astype(np.int64)
