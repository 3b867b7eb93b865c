"""What vectors of words know: people's judgements of similarity, and analogies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnzoo.data.readers import tables
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.fetch import fetch
from rnnzoo.errors import DataError
from rnnzoo.vectors.files import Vectors

CELLS = 2**24  # numbers of a block of answers, (questions, words)
COPIES = "https://raw.githubusercontent.com/piskvorky/gensim/4.4.0/gensim/test/test_data"
SIMILARITY = {  # where to download each set of pairs
    "wordsim353": f"{COPIES}/wordsim353.tsv#sha256=f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d",
    "simlex999": f"{COPIES}/simlex999.txt#sha256=d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d",
}
ANALOGIES = f"{COPIES}/questions-words.txt#sha256=8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36"

Pair = tuple[str, str, float]
Question = tuple[str, str, str, str, str]


class Similarity(NamedTuple):
    """spearman: rank correlation with people's scores over the covered pairs, -1 to 1; None if all are equal."""

    spearman: float | None
    covered: int
    total: int


class Analogies(NamedTuple):
    """One category: questions answered with the very word that is asked for, of those covered, of all."""

    category: str
    correct: int
    covered: int
    total: int


def read_pairs(location: str | Path) -> list[Pair]:
    """Two words and a score a row: Parquet (word1, word2, score), or text with tabs between and # before remarks.

    location: a path or an address, see `fetch`. Raises: DataError, naming the line or row.
    """
    path = fetch(location)
    if path.suffix == ".parquet":
        return _rows(path, ("word1", "word2"), "score")
    pairs: list[Pair] = []
    for number, line in enumerate(decoded(path, "utf-8").split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            first, second, score = line.strip().split("\t")
            pairs.append((first, second, _finite(score)))
        except ValueError:
            raise DataError(
                f"{path}, line {number}: not two words and a score, but {line.strip()!r:.60}.\n"
                "  Between the three stand tabs; a line that begins with # is a remark."
            ) from None
    if not pairs:
        raise DataError(f"{path} has no pairs.\n  Each line is two words and a score, with tabs between.")
    return pairs


def read_questions(location: str | Path) -> list[Question]:
    """A category and four words a row: Parquet (category, word1 to word4), or text as in word2vec's questions-words.

    There, a line ": category" comes before its questions, each of them four words with blanks between.
    location: a path or an address, see `fetch`. Raises: DataError, naming the line or row.
    """
    path = fetch(location)
    if path.suffix == ".parquet":
        return _rows(path, ("category", "word1", "word2", "word3", "word4"))
    questions: list[Question] = []
    category = ""
    for number, line in enumerate(decoded(path, "utf-8").split("\n"), start=1):
        words = line.split()
        if words[:1] == [":"]:
            category = " ".join(words[1:])
        elif len(words) == 4:
            questions.append((category, *words))  # type: ignore[arg-type]
        elif words:
            raise DataError(
                f"{path}, line {number}: not four words, but {line.strip()!r:.60}.\n"
                '  A line is a question, "Athens Greece Oslo Norway", or names a category, ": capitals".'
            )
    if not questions:
        raise DataError(f'{path} has no questions.\n  A line is a question, as "Athens Greece Oslo Norway".')
    return questions


def _rows(path: Path, texts: Sequence[str], *scores: str) -> list[Any]:
    """The rows of a Parquet file: columns of text, and of scores as floats. Raises: DataError, naming the row."""
    columns = tables.read_columns(path, (*texts, *scores))
    for name, values in columns.items():
        for row, value in enumerate(values):
            try:
                values[row] = _finite(value) if name in scores else _text(value)
            except (TypeError, ValueError):
                wanted = "a finite number" if name in scores else "text"
                raise DataError(f"{path}, row {row + 1}: '{name}' is {value!r:.60}, not {wanted}.") from None
    return list(zip(*columns.values(), strict=True))


def _finite(value: Any) -> float:
    """Raises: ValueError or TypeError for what is no finite number."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _text(value: Any) -> str:
    """Raises: TypeError for what is no text."""
    if not isinstance(value, str):
        raise TypeError
    return value


def similarity(vectors: Vectors, pairs: Sequence[Pair]) -> Similarity:
    """Spearman's correlation of the cosines of word pairs with people's scores, over the pairs of known words."""
    indices = vectors.find(word for *words, _ in pairs for word in words).reshape(-1, 2)
    covered = (indices >= 0).all(1)
    first, second = indices[covered].T
    scores = np.array([score for *_, score in pairs])[covered]
    unit = _unit(vectors.rows)
    cosines = (unit[first] * unit[second]).sum(1)
    ranks = np.stack([_ranks(cosines), _ranks(scores)])
    varied = len(scores) > 1 and ranks.std(1).all()
    return Similarity(float(np.corrcoef(ranks)[0, 1]) if varied else None, len(scores), len(pairs))


def analogies(vectors: Vectors, questions: Sequence[Question]) -> list[Analogies]:
    """Which word is to c as b is to a? The one whose vector is nearest to b - a + c, all of length 1; a, b, c aside.

    3CosAdd (Levy, Goldberg, CoNLL 2014) on the questions of Mikolov et al., arXiv:1301.3781. One row a category, in
    their order. A question is covered if all of its four words are known.
    """
    indices = vectors.find(word for _, *words in questions for word in words).reshape(-1, 4)
    covered = np.asarray((indices >= 0).all(1))
    correct = np.zeros(len(questions), dtype=bool)
    unit = _unit(vectors.rows)
    rows = np.flatnonzero(covered)
    step = max(1, CELLS // max(1, len(unit)))
    for block in (rows[start : start + step] for start in range(0, len(rows), step)):
        a, b, c, expected = indices[block].T
        scores = (unit[b] - unit[a] + unit[c]) @ unit.T  # (questions, words)
        scores[np.arange(len(block))[:, None], indices[block, :3]] = -np.inf
        correct[block] = scores.argmax(1) == expected
    names = [category for category, *_ in questions]
    categories = []
    for name in dict.fromkeys(names):
        of_category = np.array([other == name for other in names])
        categories.append(
            Analogies(name, int(correct[of_category].sum()), int(covered[of_category].sum()), int(of_category.sum()))
        )
    return categories


def _unit(rows: np.ndarray) -> np.ndarray:
    """The same directions at length 1; a vector of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group]
