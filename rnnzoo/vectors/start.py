"""A model that starts from vectors of words."""

from __future__ import annotations

import torch

from rnnzoo.batch import PAD, SPECIALS
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.readers.fetch import digest, fetch
from rnnzoo.errors import DataError
from rnnzoo.model import SequenceModel
from rnnzoo.runs.summary import VectorFacts
from rnnzoo.vectors.files import read_vectors


def start_from(model: SequenceModel, data: ZooData, place: str) -> VectorFacts:
    """Give the words of the model's input their vectors from the file `place`, see `fetch`; returns the coverage.

    A word that the file lacks takes the vector of its lower-case form; one that has neither takes a vector of its own,
    drawn from torch's generator with the standard deviation of those found. Padding stays zero.

    Coverage: file, its sha256, found (words), types (their share of the vocabulary), tokens (their share of the
    training part's tokens), both 0 to 1.
    Raises: DataError if the file cannot be read, has vectors of another size, or none for the vocabulary.
    """
    path = fetch(place)
    weight, names = model.word_embedding.weight, data.spec.inputs["tokens"].names
    vectors = read_vectors(path, {*names, *map(str.lower, names)})
    if vectors.size != weight.shape[1]:
        raise DataError(
            f"{path} has vectors of {vectors.size} numbers, where model.embedding_size is {weight.shape[1]}.\n"
            f"  Set embedding_size: {vectors.size}."
        )
    places = vectors.find(names)
    places[PAD] = -1
    found = places >= 0
    if not found.any():
        raise DataError(
            f"{path} has no vector for any of the {len(names)} words of the vocabulary, such as {names[-1]!r:.40}.\n"
            "  Is it of another language, or of other tokens?"
        )
    given = torch.from_numpy(vectors.rows[places[found]])
    with torch.no_grad():
        weight.normal_(std=float(given.std(correction=0)))
        weight[PAD].zero_()
        weight[torch.from_numpy(found)] = given
    tokens = data.parts["train"].arrays()[0]  # the ids
    return {
        "file": path.name,
        "sha256": digest(path),
        "found": int(found.sum()),
        "types": round(float(found[len(SPECIALS) :].mean()), 6),
        "tokens": round(float(found[tokens].mean()), 6),
    }
