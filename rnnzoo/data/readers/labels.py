"""Labels of the user's own tables, whatever type the table gives them."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from rnnzoo.errors import DataError
from rnnzoo.system import files

log = logging.getLogger("rnnzoo")


def read_labels(
    file: str, column: str, values: Sequence[Any], missing_label: str | None = None, first: int = 1
) -> list[str]:
    """The values of a table's column as labels: text without the blanks at its ends, which are reported.

    file: the file, for messages. missing_label: of a row without a label (nothing, blanks, null or NaN). first: the
    number of the first row.
    Raises: DataError for a row without a label, unless `missing_label` is given, and for lists, objects and bytes.
    """
    labels = []
    for row, value in enumerate(values, start=first):
        if (label := as_text(value)) is None:
            raise DataError(f"{file}, row {row}: '{column}' is {value!r:.80}, not a label.")
        labels.append(label)
    without = [row for row, label in enumerate(labels) if not label]
    if without and missing_label is None:
        row = without[0]
        where = f"{file}, row {row + first}: '{column}'"
        raise DataError(
            f"{where} is {values[row]!r:.80}, not a label ({len(without)} rows have none).\n"
            "  Label these rows or leave them out; `missing_label: NAME` gives all of them the label NAME."
        )
    if without:
        log.warning("%s: %d rows without a label have the label %r.", file, len(without), missing_label)
    cut = Counter(value for value in values if isinstance(value, str) and value.strip() and value != value.strip())
    if cut:
        log.warning("%s: the blanks at the ends of %d labels are cut, as in %r.", file, cut.total(), next(iter(cut)))
    return [label or (missing_label or "") for label in labels]


def read_label_sets(file: str, column: str, values: Sequence[Any], separator: str, first: int = 1) -> list[list[str]]:
    """The values of a table's column as sets of labels, each in its order and once: a list, a list written as JSON, or
    text with `separator` between labels; nothing where a text has none.

    Raises: DataError, naming the row, for a value that is none of these, and for a list that holds no label.
    """
    sets = []
    for row, value in enumerate(values, start=first):
        found = value
        if isinstance(value, str):
            found = value.split(separator)
            if value.lstrip().startswith("["):
                with contextlib.suppress(ValueError):
                    found = files.json_value(value)
        elif value is None or value != value:
            found = []
        texts = [as_text(item) for item in found] if isinstance(found, (list, tuple)) else [None]
        if None in texts:
            raise DataError(
                f"{file}, row {row}: '{column}' is {value!r:.80}, not a list of labels.\n"
                f'  Write sport{separator}politics, or ["sport", "politics"], or nothing where there is none.'
            )
        sets.append(list(dict.fromkeys(text for text in texts if text)))
    return sets


def as_text(value: Any) -> str | None:
    """A label as text, without blanks at its ends; "" where there is none; None for what is not a label."""
    if value is None or value != value:  # NaN, of whatever type
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (date, time)):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, (Decimal, timedelta)):
        return str(value)
    return json.dumps(value) if isinstance(value, (bool, int, float)) else None
