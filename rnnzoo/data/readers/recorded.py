"""What readers of tables of series share: their files, their columns, and the series that they give."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnzoo.data.readers import tables
from rnnzoo.data.readers.labels import as_text, read_labels
from rnnzoo.data.readers.table import ABSENT, Table
from rnnzoo.data.readers.time_column import Moments
from rnnzoo.errors import DataError

log = logging.getLogger("rnnzoo")


class Recorded(NamedTuple):
    """One series of a table.

    values: (steps,) structured, float64 by channel, NaN where there is none. static: by column, a number or a text.
    of_steps: of other columns, a value a step. times: as they are written, where there is a column of them. moments:
    the same in order, as numbers. units: by channel, as they stand in the cells. file, row: where its first
    step stands.
    """

    id: str
    file: Path
    row: int
    values: np.ndarray
    static: dict[str, float | str] = {}  # noqa: RUF012  never changed
    of_steps: Mapping[str, list[Any]] = {}
    times: list[str] | None = None
    moments: Moments | None = None
    units: Mapping[str, str] = {}


def as_files(path: Path) -> list[Path] | None:
    """The tables of a folder, or those that a pattern names, in order of their names; None for another path.

    Raises: DataError if there is none.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.is_file() and tables.is_table(file))
    elif set(path.name) & set("*?[") and not path.exists():
        found = sorted(file for file in map(Path, glob(str(path))) if file.is_file() and tables.is_table(file))
    else:
        return None
    if not found:
        raise DataError(f"{path} names no tables.\n  Known endings: {', '.join(tables.READERS)}.")
    return found


def labels_of(series: Sequence[Recorded], column: str, missing_label: str | None) -> list[str]:
    """The label of each series, from the column of the table. Raises: DataError."""
    cells = [one.of_steps[column][0] for one in series]
    for one, cell in zip(series, cells, strict=True):
        if cell is ABSENT or (not as_text(cell) and missing_label is None):
            found = "not there" if cell is ABSENT else f"{cell!r:.80}, not a label"
            raise DataError(
                f"{one.file}, row {one.row}: '{column}' is {found}.\n"
                "  Label the series or leave its rows out; `missing_label: NAME` gives all such series the label NAME."
            )
    return read_labels(str(series[0].file), column, cells, missing_label)


def tags_of(one: Recorded, column: str, missing_label: str | None) -> list[str]:
    """The label of each step of a series. Raises: DataError."""
    return read_labels(f"{one.file}, series '{one.id}'", column, one.of_steps[column], missing_label)


def named_columns(table: Table) -> dict[str, list[Any]]:
    """Every column by name, but those without one or with that of another."""
    names = [name for name in table.header if name.strip() and table.header.count(name) == 1]
    if left := len(table.header) - len(names):
        log.warning("%s: %d columns without a name of their own are left out.", table.path, left)
    return {name: [row[table.header.index(name)] for row in table.rows] for name in names}


def texts(cells: Sequence[Any]) -> list[str]:
    """Cells as text, "" where there is nothing."""
    return [("" if cell is ABSENT else as_text(cell) or "") for cell in cells]


def series_ids(path: Path, column: str, cells: Sequence[Any]) -> list[str]:
    """The series of each row. Raises: DataError for a row without one."""
    ids = texts(cells)
    if "" in ids:
        raise DataError(f"{path}, row {ids.index('') + 1}: '{column}' names no series.\n  Give each row its series.")
    return ids


def plain(cell: Any) -> Any:
    """A cell as it is compared with others: without blanks around it, None where there is nothing."""
    return cell.strip() if isinstance(cell, str) else None if cell is ABSENT or cell != cell else cell
