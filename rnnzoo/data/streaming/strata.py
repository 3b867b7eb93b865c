"""Which rows are held out for dev, of rows that come some at a time: the same ones as of all rows in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from rnnzoo.data.streaming.stream import Chunk


def held_out_rows(chunks: Iterable[Chunk], fraction: float) -> np.ndarray:
    """(rows,) bool: the rows that `splits.held_out` takes, by the strata of `splits.strata`.

    Memory: some bytes a row, or a label of a row.
    """
    groups = _groups(chunks)
    held = np.zeros(len(groups), dtype=bool)
    order = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    for rows in np.split(order, ends):
        count = min(max(1, round(len(rows) * fraction)), len(rows) - 1)
        held[rows[len(rows) - count :]] = True  # the last of them
    return held


def _groups(chunks: Iterable[Chunk]) -> np.ndarray:
    """(rows,) the number of each row's label, of the rarest of its labels, or of none."""
    codes: dict[str, int] = {}
    flat, counts = array("q"), array("q")
    several = False
    for chunk in chunks:
        rows = len(next(iter(chunk.values())))
        several = "labels" in chunk
        labels = chunk["labels"] if several else [[label] for label in chunk["label"]] if "label" in chunk else None
        if labels is None:
            counts.extend([0] * rows)
            continue
        for own in labels:
            flat.extend(codes.setdefault(label, len(codes)) for label in own)
            counts.append(len(own))
    lengths = np.array(counts, dtype=np.int64)
    ids = np.array(flat, dtype=np.int64)
    groups = np.full(len(lengths), -1, dtype=np.int64)  # of rows without a label
    if not len(ids):
        return groups
    often = np.bincount(ids, minlength=len(codes)).tolist()
    ranked = sorted(codes, key=lambda label: (often[codes[label]], label))
    rank = np.empty(len(codes), dtype=np.int64)
    rank[[codes[label] for label in ranked]] = np.arange(len(codes))
    filled = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[filled]
    groups[filled] = np.minimum.reduceat(rank[ids], starts)
    return groups
