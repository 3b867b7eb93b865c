"""Rows that are given in Python: frames of pandas and polars, tables of arrow, data sets of the Hub, mappings, lists.

No library of these is imported: what an object has (columns, `to_list`) says how it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rnnzoo.data.readers.table import no_column
from rnnzoo.errors import DataError

SPLITS = {"train": "train", "dev": "dev", "test": "test", "validation": "dev", "valid": "dev", "val": "dev"}
TAKEN = (
    "Rows come as a frame of pandas or polars, a datasets.Dataset, a mapping of lists, a list of rows, or a tuple of "
    "columns such as (texts, labels)."
)


class Rows(NamedTuple):
    """The rows of one split. columns: by the form's name, plain values. names: what the frame calls its rows, if it
    does more than number them."""

    columns: dict[str, list[Any]]
    names: list[Any] | None = None


def by_split(data: Any) -> dict[str, Any]:
    """What was given for each of "train", "dev" and "test"; one object is the training split. Raises: DataError."""
    if not (isinstance(data, Mapping) and data and ("train" in data or set(data) <= set(SPLITS))):
        return {"train": data}
    strange = [str(key) for key in data if key not in SPLITS]
    if strange:
        known = ", ".join(SPLITS)
        raise DataError(
            f"data: no split is named '{strange[0]}'.\n  Known: {known}.\n"
            "  Leave the others out: data={'train': data['train'], 'test': data['test']}."
        )
    parts: dict[str, Any] = {}
    for key, rows in data.items():
        if SPLITS[key] in parts:
            raise DataError(f"data: there are two {SPLITS[key]} splits: {', '.join(map(str, data))}.")
        parts[SPLITS[key]] = rows
    if "train" not in parts:
        raise DataError(f"data: there is no train split.\n  Found: {', '.join(map(str, data))}.")
    return parts


def column_names(data: Any) -> list[str] | None:
    """The names of the columns of one split; None for rows without names. Raises: DataError."""
    table = _columns(data)
    return None if table is None else list(table)


def read(data: Any, wanted: Sequence[str], named: Mapping[str, str], part: str) -> Rows:
    """The wanted columns of one split as plain values.

    named: what the data call a column, where it is not the same name. part: the split, for messages.
    Raises: DataError for a column that is missing or twice, and for what is no rows.
    """
    where = f"the {part} data"
    table = _columns(data)
    columns = _of_rows(data, wanted, where) if table is None else _selected(table, wanted, named, where)
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        sizes = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise DataError(f"{where} have columns of unequal length: {sizes}.\n  Give each row a value in each column.")
    if not any(counts.values()):
        raise DataError(f"{where} have no rows.\n  Give at least one row.")
    return Rows({name: [plain(value) for value in values] for name, values in columns.items()}, _index(data))


def plain(value: Any) -> Any:
    """A cell's value without the library it is from: None where it is missing, arrays of numbers as numpy's."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value.item() if isinstance(value, np.generic) else value
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return [plain(item) for item in array.tolist()] if array.dtype.kind in "OUS" else array
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _columns(data: Any) -> dict[str, Callable[[], list[Any]]] | None:
    """How each column of a table is read; None for what has no names of columns. Raises: DataError."""
    data = _collected(data)
    if isinstance(data, Mapping):
        return {str(name): partial(_listed, values, str(name)) for name, values in data.items()}
    names = getattr(data, "column_names", None)
    names = getattr(data, "columns", None) if names is None else names
    if names is not None and not callable(names):
        names = list(names)
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise DataError(f"data: more than one column is named '{twice[0]}'.\n  Give each column its own name.")
        if not hasattr(data, "__len__"):
            raise DataError(f"data: a {type(data).__name__} is read as it comes, and has no end.\n  {TAKEN}")
        return {str(name): partial(_named_labels, data, name) for name in names}
    if isinstance(data, (list, tuple)) and data and all(isinstance(row, Mapping) for row in data):
        keys = dict.fromkeys(str(key) for row in data for key in row)
        return {key: partial(_items, data, key) for key in keys}
    if isinstance(data, (str, bytes)) or not isinstance(data, Iterable):
        raise DataError(f"data: expected rows, got {data!r:.60}.\n  {TAKEN}")
    return None


def _collected(data: Any) -> Any:
    """A lazy frame's rows."""
    return data.collect() if hasattr(data, "collect") and hasattr(data, "collect_schema") and not _sized(data) else data


def _sized(data: Any) -> bool:
    return hasattr(type(data), "__len__")


def _items(rows: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """One value of each row. Raises: DataError for a row without it."""
    for number, row in enumerate(rows, start=1):
        if key not in row:
            found = ", ".join(map(str, row)) or "none"
            raise DataError(f"data, row {number}: there is no '{key}'.\n  Found: {found}.")
    return [row[key] for row in rows]


def _selected(
    table: Mapping[str, Callable[[], list[Any]]], wanted: Sequence[str], named: Mapping[str, str], where: str
) -> dict[str, list[Any]]:
    """The wanted columns by the form's names. Raises: DataError."""
    for column in wanted:
        if (name := named.get(column, column)) not in table:
            hint = "" if column in named else f"\n  Say which one it is: columns={{'{column}': '...'}}."
            raise DataError(str(no_column(where, list(table), name)).replace(" has no ", " have no ") + hint)
    return {column: table[named.get(column, column)]() for column in wanted}


def _of_rows(data: Any, wanted: Sequence[str], where: str) -> dict[str, list[Any]]:
    """Columns without names: a tuple has one object for each, a list has a row in each item. Raises: DataError."""
    if isinstance(data, tuple) and len(data) == len(wanted) > 1:
        return {name: _listed(values, name) for name, values in zip(wanted, data, strict=True)}
    rows = _listed(data, where)
    if len(wanted) == 1:
        return {wanted[0]: rows}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, (tuple, list)) or len(row) != len(wanted):
            raise DataError(f"{where}, row {number}: expected {_pair(wanted)}, got {row!r:.60}.\n  {TAKEN}")
    return {name: [row[place] for row in rows] for place, name in enumerate(wanted)}


def _pair(wanted: Sequence[str]) -> str:
    return f"({', '.join(wanted)})"


def _listed(values: Any, name: str) -> list[Any]:
    """The values of one column. Raises: DataError for what is no column."""
    for method in ("to_list", "to_pylist"):
        if hasattr(values, method):
            return list(getattr(values, method)())
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray):
        return values.tolist() if values.ndim == 1 else list(values)
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise DataError(f"{name}: expected rows, got {type(values).__name__} {values!r:.40}.\n  {TAKEN}")
    return list(values)


def _named_labels(frame: Any, name: Any) -> list[Any]:
    """A column of a frame; the numbers of labels that a data set of the Hub has names for become these."""
    values = _listed(frame[name], str(name))
    features = getattr(frame, "features", None)
    feature = features.get(name) if isinstance(features, Mapping) else None
    inner = getattr(feature, "feature", None)
    names = getattr(feature, "names", None) or getattr(inner, "names", None)
    if not names:
        return values

    def label(value: Any) -> Any:
        if isinstance(value, int):
            return names[value] if 0 <= value < len(names) else None
        return [label(item) for item in value] if isinstance(value, (list, tuple)) else value

    return [label(value) for value in values]


def _index(data: Any) -> list[Any] | None:
    """What a frame of pandas calls its rows; None where it numbers them from 0."""
    index = getattr(data, "index", None)
    if not hasattr(data, "iloc") or index is None:
        return None
    names = index.tolist()
    return None if names == list(range(len(names))) else names
