"""Counts, times, sizes and shares as people write them."""

from __future__ import annotations

import re


def amount(value: float, unit: str = "") -> str:
    """A count with its thousands apart, and its unit: "1,000 steps", "1 step"."""
    return f"{value:,} {unit}".rstrip() + ("" if value == 1 or not unit else "es" if unit.endswith("s") else "s")


def duration(seconds: float) -> str:
    """A time as people say it: "0.4 s", "8.6 s", "42 s", "2 min 5 s", "3 h 20 min"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 and seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" + (f" {rest} s" if rest else "")


def roughly(seconds: float) -> str:
    """An estimate of a time: "40 s", "3 min", "2 h 10 min"."""
    step = 1 if seconds < 90 else 60 if seconds < 3600 else 600
    return duration(max(1, round(seconds / step)) * step)


def size(count: float) -> str:
    """Bytes in the unit that suits: "1.2 GiB", "640 MiB", "512 bytes"."""
    if count >= 2**30:
        return f"{count / 2**30:.1f}".removesuffix(".0") + " GiB"
    for unit, bytes_of_unit in (("MiB", 2**20), ("KiB", 2**10)):
        if count >= bytes_of_unit:
            return f"{count / bytes_of_unit:.0f} {unit}"
    return f"{count:.0f} bytes"


def percent(share: float) -> str:
    """A share in per cent; a small one keeps a digit that is not nought."""
    return f"{100 * share:.1f} %" if share >= 5e-4 or not share else f"{100 * share:.1g} %"


def count(text: str) -> int | None:
    """The whole number that a person writes as "1M", "250k", "1.5 M" or "1_000"; None if it is none."""
    match = re.fullmatch(r"(\d[\d_]{0,20}(?:\.\d{1,9})?) ?([kKMG]?)", text.strip(), re.ASCII)
    if match is None:
        return None
    return round(float(match[1].replace("_", "")) * {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}.get(match[2], 1))
