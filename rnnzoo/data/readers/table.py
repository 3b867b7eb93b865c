"""A table's rows, and its columns by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnzoo.errors import DataError, nearest

Keys = tuple[str, ...]  # the options that name columns
TEXT_ENDINGS = (".csv", ".tsv")  # of tables whose values are text, so that their numbers are as they are written
ABSENT = object()  # the value of a key that a line of JSON does not have


@dataclass(frozen=True)
class Table:
    """A file's rows. header: the columns' names, in order. rows: a value for each column. lines: where rows stand."""

    path: Path
    header: tuple[str, ...]
    rows: list[Sequence[Any]]
    lines: Sequence[int]

    def select(self, columns: Sequence[str], keys: Keys = ()) -> dict[str, list]:
        """Some columns by name. keys: the options that name them, for the message.

        Raises: DataError for a column that is not there, or is twice.
        """
        indices = column_indices(self.path, self.header, columns, keys)
        selected = {name: [row[index] for row in self.rows] for name, index in zip(columns, indices, strict=True)}
        for name, values in selected.items():
            for row, value in enumerate(values):
                if value is ABSENT:
                    line = zip(self.header, self.rows[row], strict=True)
                    present = [key for key, other in line if other is not ABSENT]
                    raise no_column(f"{self.path}, line {self.lines[row]},", present, name, keys)
        return selected


def column_indices(path: Path | str, header: Sequence[str], columns: Sequence[str], keys: Keys = ()) -> list[int]:
    """The index of each of `columns` in the header. keys: the options that name them, for the message.

    Raises: DataError for a column that is not there, or is twice.
    """
    for column in columns:
        if column not in header:
            raise no_column(path, header, column, keys)
        if list(header).count(column) > 1:
            raise DataError(
                f"{path} has more than one column '{column}'.\n  Found: {', '.join(header)}.\n"
                "  Give each column its own name."
            )
    return [list(header).index(column) for column in columns]


def no_column(path: Path | str, header: Sequence[str], column: str, keys: Keys = ()) -> DataError:
    near = nearest(column, header)
    names = "names it" if len(keys) == 1 else "name the two to read"
    lone = len(header) == 1 and str(path).lower().endswith(TEXT_ENDINGS)
    return DataError(
        f"{path} has no column '{column}'."
        + (f"\n  Did you mean '{near}'?" if near else "")
        + f"\n  Found: {', '.join(header) or 'none'}."
        + ("\n  Where another character separates the values, `delimiter` names it." if lone else "")
        + (f"\n  {' and '.join(keys)} {names}." if keys else "")
    )
