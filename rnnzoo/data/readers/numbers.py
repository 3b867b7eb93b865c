"""Numbers in the texts of a table: what is certainly a number is read, and what may be one otherwise is not guessed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

MINUS = "\u2212"  # as typeset tables have it
SPACES = {" ": " \u00a0\u202f", "'": "'\u2019"}  # what else is read as the separator: no-break spaces, the apostrophe

# What is read as no value: as pandas reads it, in any case, with the marks and errors of UCI's and Excel's files.
NO_VALUES = frozenset(
    {
        *("", "nan", "-nan", "na", "n/a", "n.a.", "<na>", "null", "none", "-", "--", "?"),
        *("#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "1.#ind", "1.#qnan"),
        *("#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"),
    }
)


@dataclass(frozen=True)
class NumberFormat:
    """How a table writes numbers.

    decimal: the decimal point. thousands: the mark between groups of digits. units: what may be written before or
    after a number and is ignored, as "%", "$" or "kWh". na_values: further texts, or numbers, that mean no value, as
    -999. These are pandas' names. Raises: ValueError for separators that are alike or digits.
    """

    decimal: str = "."
    thousands: str | None = None
    units: Sequence[str] = ()
    na_values: Sequence[str | int | float] = ()

    def __post_init__(self) -> None:
        for name, mark in {"decimal": self.decimal, "thousands": self.thousands}.items():
            if mark is not None and (len(mark) != 1 or mark.isalnum() or mark in "+-"):
                raise ValueError(f"{name} must be one character, as , or . are, got {mark!r}")
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        if "" in self.units:
            raise ValueError("units must be texts such as % or kWh, got ''")

    def read(self, text: str) -> float:
        """The number; NaN where the text means no value. Raises: ValueError for any other text, and infinity."""
        text = text.strip()
        if text.lower() in NO_VALUES or text in self._no_values[0]:
            return math.nan
        found = self._pattern.fullmatch(text)
        if found is None or not found["whole"] + (found["part"] or "") or (found["sign"] and found["inner"]):
            raise ValueError(text)
        whole = re.sub("[^0-9]", "", found["whole"])
        sign = "-" if f"{found['sign']}{found['inner']}" in ("-", MINUS) else ""
        exponent = (found["exponent"] or "").replace(MINUS, "-")
        number = float(f"{sign}{whole}.{found['part'] or 0}{exponent}")
        if not math.isfinite(number):
            raise ValueError(text)
        return math.nan if number in self._no_values[1] else number

    @property
    def none_of_numbers(self) -> frozenset[float]:
        """Those of the `na_values` that are numbers."""
        return self._no_values[1]

    @cached_property
    def _no_values(self) -> tuple[frozenset[str], frozenset[float]]:
        """The `na_values` as texts, and those of them that are numbers."""
        texts = frozenset(str(value).strip() for value in self.na_values)
        return texts, frozenset(float(value) for value in self.na_values if not isinstance(value, str))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        sign = f"[-+{MINUS}]"
        whole = "[0-9]*"
        if self.thousands:
            mark = f"[{re.escape(SPACES.get(self.thousands, self.thousands))}]"
            whole = f"[0-9]{{1,3}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}|[0-9]*"  # twos: 12,34,567 in India
        unit = "|".join(map(re.escape, sorted(self.units, key=len, reverse=True)))
        unit = rf"(?:(?:{unit})\s*)?" if unit else ""
        after = rf"(?:\s*(?:{unit}))?" if unit else ""
        return re.compile(
            rf"(?P<sign>{sign}?){unit}(?P<inner>{sign}?)(?P<whole>{whole})"
            rf"(?:{re.escape(self.decimal)}(?P<part>[0-9]*))?(?P<exponent>[eE]{sign}?[0-9]+)?{after}"
        )

    def hints(self, text: str) -> list[str]:
        """The settings that read a text which this format does not, and as what, as in '`decimal: ","` reads 1.5'."""
        before = re.match(rf"\s*[-+{MINUS}]?([^\d\s.,+{MINUS}-]+)", text)
        after = re.search(r"[\d.,]\s*([^\d\s.,][^\d]*)$", text)
        units = [found[1].strip() for found in (before, after) if found]
        found: list[tuple[dict[str, Any], float]] = []
        for given in [{"units": [*self.units, *units]}, *WRITTEN, *({**marks, "units": units} for marks in WRITTEN)]:
            if not any(simpler.items() <= given.items() for simpler, _ in found):
                try:
                    found.append((given, replace(self, **given).read(text)))
                except ValueError:
                    continue
        return [
            f"`{', '.join(f'{name}: {json.dumps(value, ensure_ascii=False)}' for name, value in given.items())}` "
            f"reads {number:.15g}"
            for given, number in found
        ]


WRITTEN: tuple[dict[str, Any], ...] = (  # how numbers are written elsewhere
    {"decimal": ","},
    {"thousands": ","},
    {"thousands": " "},
    {"thousands": "'"},
    {"thousands": "_"},
    {"decimal": ",", "thousands": "."},
    {"decimal": ",", "thousands": " "},
    {"decimal": ",", "thousands": "'"},
)
