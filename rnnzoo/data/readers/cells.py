"""A table's cells as numbers, whatever type the table gives them: text of CSV, or the numbers of JSON and Parquet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from rnnzoo.data.readers.numbers import NumberFormat
from rnnzoo.data.readers.table import ABSENT
from rnnzoo.errors import DataError

TRUTH = {"true": 1.0, "false": 0.0}
PLAIN = frozenset("0123456789.+-eE")  # characters of numbers that numpy and `NumberFormat` read alike


def as_numbers(
    path: Path, column: str, cells: Sequence[Any], numbers: NumberFormat, hint: str = "`columns` names the channels"
) -> tuple[np.ndarray, str]:
    """(rows,) float64, NaN where there is no value, and the unit that is written in the cells, "" for none.

    True and false are 1 and 0. Raises: DataError for other text, for infinity, and for several units.
    """
    fast = _fast(cells, numbers)
    if fast is not None:
        return fast, ""
    values = np.empty(len(cells))
    unit: tuple[str, int] | None = None
    for row, cell in enumerate(cells):
        try:
            values[row] = as_number(cell, numbers)
        except ValueError:
            raise not_a_number(path, column, row, cell, numbers, hint) from None
        if numbers.units and isinstance(cell, str) and (written := _unit(cell, numbers)):
            if unit is not None and written != unit[0]:
                raise DataError(
                    f"{path}, row {row + 1}: '{column}' is in {written}, and in {unit[0]} in row {unit[1] + 1}.\n"
                    "  Give all values of a column in one unit."
                )
            unit = unit or (written, row)
    return values, unit[0] if unit else ""


def as_number(cell: Any, numbers: NumberFormat) -> float:
    """NaN where there is no value. Raises: ValueError for what is no number, and infinity."""
    if cell is None or cell is ABSENT:
        return math.nan
    if isinstance(cell, str):
        truth = TRUTH.get(cell.strip().lower())
        return numbers.read(cell) if truth is None else truth
    if not isinstance(cell, (bool, int, float, Decimal)):
        raise ValueError(cell)
    try:
        number = float(cell)
    except OverflowError:
        raise ValueError(cell) from None
    if math.isinf(number):
        raise ValueError(cell)
    return math.nan if number in numbers.none_of_numbers else number


def is_empty(cell: Any, numbers: NumberFormat) -> bool:
    """Whether a cell says that there is no value."""
    try:
        return math.isnan(as_number(cell, numbers))
    except ValueError:
        return False


def not_a_number(path: Path, column: str, row: int, cell: Any, numbers: NumberFormat, hint: str) -> DataError:
    ways = [f"  {way}." for way in numbers.hints(cell)[:2]] if isinstance(cell, str) else []
    return DataError(
        f"{path}, row {row + 1}: '{column}' is {cell!r:.80}, not a number.\n"
        + "\n".join([*ways, f"  {hint}, and leaves other columns out."])
    )


def _fast(cells: Sequence[Any], numbers: NumberFormat) -> np.ndarray | None:
    """Plain decimals all at once; None where there is any other cell."""
    if numbers.decimal != "." or numbers.thousands or numbers.na_values or numbers.units:
        return None
    if not all(type(cell) is str and cell for cell in cells) or not PLAIN.issuperset("".join(cells)):
        return None
    try:
        values = np.array(cells, dtype=np.float64)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _unit(cell: str, numbers: NumberFormat) -> str:
    """The unit that stands in a cell, the longest that fits."""
    text = cell.strip()
    return max((unit for unit in numbers.units if text.startswith(unit) or text.endswith(unit)), key=len, default="")
