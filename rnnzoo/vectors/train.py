"""Vectors of words from running text: word2vec, as gensim trains it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from rnnzoo import registry
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.data.forms import FORMS
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.fetch import fetch
from rnnzoo.data.sources.text_lines import TextLines
from rnnzoo.errors import DataError, ZooError
from rnnzoo.recipe.schema import signature


def sentences(data: str) -> list[list[str]]:
    """The training split of a data set, or the lines of a text file, as the tokens that a model reads by default.

    data: a registered name (of a stream, of labelled texts, of tagged words, of pairs, whose sources are taken), or a
    path. Raises: DataError.
    """
    named = any(data == entry.name for entry in registry.entries("datasets"))
    source: Any = registry.load("datasets", data) if named else TextLines
    form = FORMS[source.form]
    settings = signature(form)
    if "lowercase" not in settings:
        raise DataError(f"data set '{data}' has {source.form}, which has no words to learn vectors of.")
    needed = [name for name, parameter in signature(source).items() if parameter.required]
    if named and needed:
        raise DataError(f"data set '{data}' needs {', '.join(needed)}.\n  Give the path of a text file instead.")
    rows = source().read()["train"][form.columns[0]] if named else decoded(fetch(data), "utf-8").split("\n")
    unit: Any = settings["unit"].default if "unit" in settings else "space"
    return [list(tokens) for tokens in Encoder((), unit, settings["lowercase"].default).tokens(rows)]


def train(
    text: list[list[str]],
    out: Path,
    method: str = "skipgram",
    size: int = 100,
    window: int = 5,
    negative: int = 5,
    min_count: int = 5,
    epochs: int = 5,
    seed: int = 1,
) -> int:
    """Train word2vec with negative sampling and write its vectors to `out`, in its text format; returns their number.

    Mikolov et al., arXiv:1301.3781 and 1310.4546. method: "skipgram" predicts the words around a word from it, "cbow"
    a word from the mean of those around it. size: numbers a vector. window: words to each side, at most. negative:
    words drawn beside each true one. min_count: occurrences of a word that gets a vector. It runs in one thread, so
    that the same text and seed give the same vectors.
    Raises: ZooError without gensim; DataError if no word occurs often enough, or `out` cannot be written.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError as cause:
        raise ZooError("word2vec needs gensim, which is not installed.\n  pip install 'rnnzoo[vectors]'") from cause
    if os.path.exists(out):
        raise DataError(f"'{out}' exists.\n  Give another name, or move it away.")
    settings: dict[str, Any] = {"vector_size": size, "window": window, "negative": negative, "min_count": min_count}
    model = Word2Vec(sg=int(method == "skipgram"), epochs=epochs, seed=seed, workers=1, **settings)
    model.build_vocab(text)
    if not model.wv.index_to_key:
        raise DataError(f"no word of the text occurs {min_count} times or more.\n  Lower --min_count.")
    model.train(text, total_examples=model.corpus_count, epochs=epochs)
    temporary = out.with_name(f".tmp-{out.name}-{secrets.token_hex(4)}")
    try:
        model.wv.save_word2vec_format(str(temporary), binary=False)
        os.replace(temporary, out)
    except OSError as cause:
        raise DataError(f"cannot write {out}: {cause.strerror or cause}.") from cause
    finally:
        temporary.unlink(missing_ok=True)
    return len(model.wv.index_to_key)
