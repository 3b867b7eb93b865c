"""A model that starts from vectors of words."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnzoo.batch import PAD, SPECIALS
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.readers.fetch import digest, fetch
from rnnzoo.errors import DataError
from rnnzoo.inputs.tokens import TokenEmbedding
from rnnzoo.model import SequenceModel
from rnnzoo.runs.summary import VectorFacts
from rnnzoo.vectors.files import read_vectors


def start_from_vectors(model: SequenceModel, data: ZooData) -> VectorFacts | None:
    """Give the words of the model's input "tokens" their vectors, where its settings name a file of them.

    Returns the coverage; None where no file is named. Raises: DataError, see `start_from`.
    """
    part = model.input_of("tokens") if "tokens" in model.input_names else None
    if not isinstance(part, TokenEmbedding) or not part.vectors:
        return None
    return start_from(part.embedding.weight, data, part.vectors)


def start_from(weight: Tensor, data: ZooData, file: str) -> VectorFacts:
    """Give the words of the data's tokens their vectors from a file, see `fetch`; returns the coverage.

    weight: (vocabulary, size), changed in place.

    A word that the file lacks takes the vector of its lower-case form; one that has neither takes a vector of its own,
    drawn from torch's generator with the standard deviation of those found. Padding stays zero.

    Coverage: file, its sha256, found (words), types (their share of the vocabulary), tokens (their share of the
    training split's tokens), both 0 to 1.
    Raises: DataError if the file cannot be read, has vectors of another size, or none for the vocabulary.
    """
    path = fetch(file)
    names = data.spec.inputs["tokens"].names
    vectors = read_vectors(path, {*names, *map(str.lower, names)})
    if vectors.size != weight.shape[1]:
        raise DataError(
            f"{path} has vectors of {vectors.size} numbers, where model.inputs.tokens.size is {weight.shape[1]}.\n"
            f"  Set it to {vectors.size}."
        )
    rows = vectors.find(names)
    rows[PAD] = -1
    has_vector = rows >= 0
    if not has_vector.any():
        raise DataError(
            f"{path} has no vector for any of the {len(names)} words of the vocabulary, such as {names[-1]!r:.40}.\n"
            "  Is it of another language, or of other tokens?"
        )
    known = torch.from_numpy(vectors.rows[rows[has_vector]])
    with torch.no_grad():
        weight.normal_(std=float(known.std(correction=0)))
        weight[PAD].zero_()
        weight[torch.from_numpy(has_vector)] = known
    tokens = data.parts["train"].arrays()[0]  # the ids
    return {
        "file": path.name,
        "sha256": digest(path),
        "found": int(has_vector.sum()),
        "types": round(float(has_vector[len(SPECIALS) :].mean()), 6),
        "tokens": round(float(has_vector[tokens].mean()), 6),
    }
