"""A vocabulary that also holds the words of a trained model's."""

from __future__ import annotations

from dataclasses import replace

from rnnzoo.batch import DataSpec

TOKENS = "tokens"


def with_words_of(spec: DataSpec, known: DataSpec) -> DataSpec:
    """The spec with the words that a trained model knows after its own, so that a text keeps those it lacks.

    Only where the words are read and not predicted, and both cut a text into the same units, which are no subwords.
    """
    own, theirs = spec.inputs.get(TOKENS), known.inputs.get(TOKENS)
    if own is None or theirs is None or spec.target.kind == TOKENS:
        return spec
    if own.options.get("unit") != theirs.options.get("unit") or own.options.get("merges"):
        return spec
    have = set(own.names)
    new = tuple(name for name in theirs.names if name not in have)
    counts = (*own.counts, *[0] * len(new)) if own.counts else ()
    return replace(spec, inputs=spec.inputs | {TOKENS: replace(own, names=own.names + new, counts=counts)})
