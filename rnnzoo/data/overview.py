"""A first look at data: what a training would read, and what is odd about it. Plain facts; nobody is asked to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnnzoo.data.base import PARTS, Columns, Examples
from rnnzoo.data.datamodule import ZooData
from rnnzoo.system.files import JsonObject

QUANTILES = {"min": 0.0, "median": 0.5, "90 %": 0.9, "99 %": 0.99, "max": 1.0}
TOKENS = 8192  # a batch: about so many steps keep a core or a GPU at work, and leave room in its memory
MOST_ROWS, LEAST_ROWS = 256, 8
STEPS = 50  # an epoch has at least so many, where there are rows enough
SUGGESTED = ("max_length", "batch_size")
LONG = 0.99  # the share of training rows that a suggested length holds whole


def overview(data: ZooData, settings: Mapping[str, Any]) -> JsonObject:
    """What is in data that encode rows whole. settings: of the recipe's data, with its own `max_length`."""
    read = data.source.read()
    columns = {part: read[part] for part in PARTS if part in read}
    data.prepare(columns)
    inputs = data.form.columns[0]
    facts: JsonObject = {"data": dict(data.identity), "form": data.form.name, "rows": _rows(columns)}
    facts["lengths"] = {part: found for part in data.parts if (found := _lengths(data.parts[part]))}
    facts["vocabulary"] = data.spec.inputs["tokens"].size if "tokens" in data.spec.inputs else None
    facts["unknown_share"] = data.unknown_share
    facts["labels"] = _labels(data)
    facts["empty"] = {part: sum(map(_is_empty, rows[inputs])) for part, rows in columns.items()}
    facts["numbers"] = {part: found for part, rows in columns.items() if (found := _numbers(rows[inputs]))}
    facts |= _duplicates(columns, inputs, data.form.target)
    limit = settings.get("max_length")
    facts["longer"] = {} if limit is None else _longer(data, limit)
    facts["settings"] = {name: settings[name] for name in SUGGESTED if name in settings}
    facts["suggestions"] = {name: n for name, n in _suggestions(data, limit).items() if name in settings}
    return facts


def _rows(columns: Mapping[str, Columns]) -> dict[str, int]:
    return {part: len(next(iter(rows.values()))) for part, rows in columns.items()}


def _lengths(examples: Examples) -> dict[str, int] | None:
    """The steps of rows, at some quantiles; None where the examples are not rows: one stream."""
    lengths = examples.lengths
    if len(lengths) != len(examples) or not len(lengths):
        return None
    found = np.quantile(lengths, list(QUANTILES.values()), method="higher")
    return {name: int(value) for name, value in zip(QUANTILES, found, strict=True)}


def _labels(data: ZooData) -> dict[str, dict[str, int]]:
    """How often each label occurs in each part; empty where the target is none."""
    if data.spec.target.kind not in ("label", "labels", "tags"):
        return {}
    names, found = data.spec.labels, {}
    for part, examples in data.parts.items():
        counts = np.bincount(examples.label_ids, minlength=len(names))
        found[part] = dict(zip(names, counts.tolist(), strict=True))
    return found


def _is_empty(value: Any) -> bool:
    return not value.strip() if isinstance(value, str) else np.size(value) == 0


def _duplicates(columns: Mapping[str, Columns], inputs: str, target: str | None) -> JsonObject:
    """Rows whose input stands in the data before: in the same part, in another, and with another answer.

    A long series, of one row a step, is not searched.
    """
    if "own" in next(iter(columns.values())):
        return {}
    seen: dict[Any, tuple[str, Any]] = {}
    within: dict[str, int] = {}
    across: dict[str, int] = {}
    contradicting = 0
    for part, rows in columns.items():
        own: set[Any] = set()
        answers = rows.get(target or "", [None] * len(rows[inputs]))
        for value, answer in zip(map(_key, rows[inputs]), map(_key, answers), strict=True):
            if value in own:
                within[part] = within.get(part, 0) + 1
            elif value in seen:
                name = f"{part} in {seen[value][0]}"
                across[name] = across.get(name, 0) + 1
            own.add(value)
            contradicting += seen.setdefault(value, (part, answer))[1] != answer
    return {"repeated": within, "across": across, "contradicting": contradicting}


def _key(value: Any) -> Any:
    """A value of a row as what can be looked up."""
    if isinstance(value, np.ndarray):
        return hash((value.shape, value.tobytes()))
    return tuple(value) if isinstance(value, list) else value


def _numbers(rows: Sequence[Any]) -> JsonObject:
    """Of rows of numbers, for each feature: its range, and how many values are missing; which ones never change."""
    if not len(rows) or not isinstance(rows[0], (np.ndarray, np.void)):
        return {}
    table = _table(rows)
    names = list(table)
    finite = {name: values[np.isfinite(values)] for name, values in table.items()}
    return {
        "features": {
            name: {
                "min": float(finite[name].min()) if len(finite[name]) else None,
                "mean": float(finite[name].mean()) if len(finite[name]) else None,
                "max": float(finite[name].max()) if len(finite[name]) else None,
                "missing": int(len(table[name]) - len(finite[name])),
            }
            for name in names
        },
        "constant": [name for name in names if len(finite[name]) and finite[name].min() == finite[name].max()],
    }


def _table(rows: Sequence[Any]) -> dict[str, np.ndarray]:
    """The values of each feature over all steps of all rows, by its name or number."""
    if isinstance(rows, np.ndarray) and rows.dtype.names:
        return {name: np.asarray(rows[name], dtype=np.float64) for name in rows.dtype.names}
    if isinstance(rows[0], np.ndarray) and rows[0].dtype.names:  # a series of named channels a row
        return {
            name: np.concatenate([np.asarray(row[name], np.float64) for row in rows]) for name in rows[0].dtype.names
        }
    if isinstance(rows[0], np.void):
        names = rows[0].dtype.names or ()
        return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in names}
    steps = [np.asarray(row, dtype=np.float64) for row in rows]
    flat = np.stack(steps) if steps[0].ndim == 1 and len({len(s) for s in steps}) == 1 else None
    if flat is None:
        flat = np.concatenate([step.reshape(len(step), -1) if step.ndim else step.reshape(1, 1) for step in steps])
    return {str(number): flat[:, number] for number in range(flat.shape[1])}


def _longer(data: ZooData, max_length: int) -> dict[str, int]:
    """How many rows of each part the length would cut."""
    return {part: int((examples.lengths > max_length).sum()) for part, examples in data.parts.items()}


def _suggestions(data: ZooData, limit: int | None) -> dict[str, int]:
    """A `batch_size` for rows of this length, and a `max_length` where it helps."""
    train = data.parts["train"]
    if _lengths(train) is None:
        return {}
    rows = min(TOKENS // max(1, int(np.median(train.lengths))), len(train) // STEPS, MOST_ROWS)
    found = {"batch_size": max(LEAST_ROWS, 2 ** max(0, rows.bit_length() - 1))}
    longest, most = int(train.lengths.max()), int(np.quantile(train.lengths, LONG, method="higher"))
    if longest > 1.5 * most or (limit is not None and limit < most):
        found["max_length"] = _rounded(most)
    return found


def _rounded(length: int) -> int:
    """Up to two digits: 387 is 390."""
    unit = 10 ** max(0, len(str(length)) - 2)
    return -(-length // unit) * unit
