"""Which rows are held out for the dev split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnzoo.data.base import PARTS, Columns


def held_out(labels: Sequence[Any], fraction: float, gap: int = 0) -> tuple[list[int], list[int]]:
    """The rows to train on, and the rows held out: the last `fraction` of each label's rows, at least one of two.

    gap: rows of each label before the held-out ones that belong to neither, so that neighbours are not split.
    """
    rows = defaultdict(list)
    for row, label in enumerate(labels):
        rows[label].append(row)
    train, dev = [], []
    for own in rows.values():
        count = min(max(1, round(len(own) * fraction)), len(own) - 1)
        train += own[: max(1, len(own) - count - gap)]
        dev += own[len(own) - count :]
    return sorted(train), sorted(dev)


def strata(columns: Columns, rows: int) -> Sequence[Any]:
    """What rows are held out by: their label, the rarest of their labels where they have several, or nothing."""
    if "labels" not in columns:
        return columns.get("label", [None] * rows)
    counts = Counter(label for labels in columns["labels"] for label in labels)
    return [min(labels, key=lambda label: (counts[label], label), default=None) for labels in columns["labels"]]


def drawn(rows: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """The rows to train on, and the `fraction` of all that are held out, drawn at random; each in order."""
    order = np.random.default_rng(seed).permutation(rows)
    count = max(1, round(rows * fraction))
    return sorted(order[count:].tolist()), sorted(order[:count].tolist())


def taken(columns: Columns, rows: Sequence[int]) -> Columns:
    """The given rows of each column."""
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def cut_in_time(panel: Columns, shares: Mapping[str, float]) -> dict[str, Columns]:
    """Train, and the parts with a share, cut off the end of each series of a panel: the first named is the very end.

    Each part has all steps up to its own; "own" says where these begin. A part has one step of a series at least.
    """
    cut = {part: {**panel, "values": [], "past": [], "known": [], "own": []} for part in ("train", *shares)}
    for row, values in enumerate(panel["values"]):
        end = len(values)
        for part, share in (*shares.items(), ("train", None)):
            start = int(panel["own"][row]) if share is None else max(0, end - max(1, round(len(values) * share)))
            for name in ("values", "past", "known"):
                cut[part][name].append(None if panel[name][row] is None else panel[name][row][:end])
            cut[part]["own"].append(start)
            end = start
    return cut


def in_time(series: Mapping[str, np.ndarray], ends: Sequence[int]) -> dict[str, Columns]:
    """Train, dev and perhaps test, one after the other; each sees the steps before its own.

    series: the values of each variable, by name. ends: the step after each part's last.
    """
    length = len(next(iter(series.values())))
    table: Any = np.empty(length, dtype=[(name, np.float64) for name in series])
    for name, values in series.items():
        table[name] = values
    place: Any = np.arange(length)
    return {
        part: {"values": table[:end], "own": place[:end] >= start}
        for part, start, end in zip(PARTS, [0, *ends], ends, strict=False)
    }
