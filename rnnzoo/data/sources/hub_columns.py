"""Columns of a `datasets.Dataset` as the forms have them: texts, labels by name, lists of words, lists of tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rnnzoo.data.readers.labels import as_text
from rnnzoo.errors import DataError


def flat(features: Mapping[str, Any]) -> dict[str, Any]:
    """The features by name; of one that has several fields, each field, as "translation.en"."""
    found: dict[str, Any] = {}
    for name, feature in features.items():
        inner = flat(feature) if isinstance(feature, Mapping) else {}
        found |= {f"{name}.{field}": value for field, value in inner.items()} or {name: feature}
    return found


def values_of(rows: Any, name: str) -> list[Any]:
    """A column's values, or those of a field of it."""
    if name in rows.features:
        return list(rows.data.column(name).to_pylist())
    outer, _, field = name.rpartition(".")
    return [None if value is None else value[field] for value in values_of(rows, outer)]


def _wrong(where: str, name: str, feature: Any, wanted: str) -> DataError:
    kind = getattr(feature, "dtype", None)
    inner = getattr(feature, "feature", None)
    if inner is not None:
        kind = f"lists of {getattr(inner, 'dtype', 'values')}"
    return DataError(f"{where}: column '{name}' holds {kind or type(feature).__name__}, not {wanted}.")


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string", "string_view")


def texts(where: str, name: str, feature: Any, rows: Any) -> list[str | None]:
    """Raises: DataError for a column that is no text."""
    if not _is_text(feature):
        raise _wrong(where, name, feature, "text")
    return values_of(rows, name)


def labels(where: str, name: str, feature: Any, rows: Any) -> list[str | None]:
    """One label a row, by its name where the numbers have names; None where there is none, or a number below 0 (-1).

    Raises: DataError for a column of lists.
    """
    if getattr(feature, "feature", None) is not None or not hasattr(feature, "dtype"):
        raise _wrong(where, name, feature, "one label a row")
    return [_label(getattr(feature, "names", None), value) for value in values_of(rows, name)]


def _label(names: list[str] | None, value: Any) -> str | None:
    if names is not None:
        return None if value is None or value < 0 else names[value]
    return as_text(value) or None


def words(where: str, name: str, feature: Any, rows: Any) -> list[list[str] | None]:
    """Raises: DataError for a column that is no list of texts."""
    if not _is_text(getattr(feature, "feature", None)):
        raise _wrong(where, name, feature, "a list of words a row")
    return values_of(rows, name)


def tags(where: str, name: str, feature: Any, rows: Any) -> list[list[Any] | None]:
    """The tags of each word, by name where the numbers have names. Raises: DataError for a column of no lists."""
    inner = getattr(feature, "feature", None)
    if not hasattr(inner, "dtype"):
        raise _wrong(where, name, feature, "a list of tags a row")
    names = getattr(inner, "names", None)
    return [None if row is None else [_label(names, tag) for tag in row] for row in values_of(rows, name)]


def label_sets(where: str, name: str, feature: Any, rows: Any) -> list[list[str] | None]:
    """The labels of each row, by name where the numbers have names; none where it has none.

    Raises: DataError for a column of no lists.
    """
    inner = getattr(feature, "feature", None)
    if not hasattr(inner, "dtype"):
        raise _wrong(where, name, feature, "a list of labels a row")
    names = getattr(inner, "names", None)
    found = [[_label(names, label) for label in row or ()] for row in values_of(rows, name)]
    return [list(dict.fromkeys(label for label in row if label)) for row in found]


READERS: dict[str, Callable[[str, str, Any, Any], list[Any]]] = {  # by the setting that names the column
    "text": texts,
    "text_pair": texts,
    "label": labels,
    "labels": label_sets,
    "words": words,
    "tags": tags,
    "source": texts,
    "target": texts,
}
