"""Subwords: pieces of words, so that a small vocabulary writes every word of the training text.

Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", arXiv:1508.07909.
Differs: the mark of a word is at its beginning ("▁wor", "d", "s"), as in SentencePiece, arXiv:1808.06226, so that
pieces put together are the text again. Punctuation marks are pieces of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rnnzoo.batch import SPECIALS, UNK

if TYPE_CHECKING:  # it takes a twentieth of the time of a prediction to import, and words need none
    from tokenizers import Tokenizer, models

BLANK = "▁"


def _tokenizer(model: models.BPE) -> Tokenizer:
    from tokenizers import Tokenizer, pre_tokenizers

    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(BLANK, prepend_scheme="always"), pre_tokenizers.Punctuation()]
    )
    return tokenizer


def train(texts: Iterable[str], vocab_size: int, min_freq: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The vocabulary of the most frequent pieces, SPECIALS first, and the merges that make them, in their order.

    A merge is two pieces with a blank between, joined where they stand side by side `min_freq` times or more. The same
    texts give the same answer. Characters count to `vocab_size` and are kept all.
    """
    from tokenizers import models, trainers

    tokenizer = _tokenizer(models.BPE(unk_token=SPECIALS[UNK]))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=min_freq, special_tokens=list(SPECIALS), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    names = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return tuple(names), tuple(" ".join(pair) for pair in model["merges"])


class Subwords:
    """Cuts texts into the pieces of a vocabulary."""

    def __init__(self, names: Sequence[str], merges: Sequence[str]) -> None:
        """Raises: ValueError for a merge of pieces that the vocabulary lacks."""
        from tokenizers import models

        vocabulary = {name: number for number, name in enumerate(names)}
        pairs = [_pair(merge) for merge in merges]
        for pair in pairs:
            unknown = next((piece for piece in (*pair, "".join(pair)) if piece not in vocabulary), None)
            if unknown is not None:
                raise ValueError(f"the merges do not fit the vocabulary: no piece is {unknown!r}")
        self._tokenizer = _tokenizer(models.BPE(vocabulary, pairs, unk_token=SPECIALS[UNK]))

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text; <unk> for a character that the training text did not have."""
        return self._tokenizer.encode(text).tokens


def _pair(merge: str) -> tuple[str, str]:
    """The two pieces of a merge. Raises: ValueError."""
    first, blank, second = merge.partition(" ")
    if not blank or not first or not second or " " in second:
        raise ValueError(f"a merge is two pieces with a blank between, got {merge!r}")
    return first, second


def joined(pieces: Iterable[str]) -> str:
    """The text that the pieces were cut from, without blanks at its ends; blanks within are as many as they were."""
    return "".join(pieces).replace(BLANK, " ").strip()
