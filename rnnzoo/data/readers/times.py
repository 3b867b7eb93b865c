"""Times in the texts of a table, and the even steps of the clock or of the calendar between them."""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

SECOND = 10**6  # microseconds
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
UNITS = (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", SECOND), ("microsecond", 1))
YEARS = range(1800, 2200)  # in which digits alone are a date, if all of a column's are

DATE = re.compile(
    r"(?P<year>\d{4})(?:"
    r"-?(?P<ordinal>\d{3})(?!\d)"
    r"|-(?P<month>\d\d)(?:-(?P<day>\d\d))?"
    r"|(?P<month2>\d\d)(?P<day2>\d\d)"
    r"|-?W(?P<week>\d\d)(?:-?(?P<weekday>\d))?"
    r"|[- ]?Q(?P<quarter>[1-4])"
    r")?",
    re.ASCII,
)
CLOCK = re.compile(
    r"(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"\s*(?P<offset>Z|z|[-+\u2212]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
DIGITS = {  # of a column whose every value is so many digits and a date: how they are read
    6: "%Y%m",
    7: "%Y%j",
    8: "%Y%m%d",
    10: "%Y%m%d%H",
    12: "%Y%m%d%H%M",
    14: "%Y%m%d%H%M%S",
}


class Time(NamedTuple):
    """local: as it is written. offset: from UTC, None where none is written."""

    local: datetime
    offset: timedelta | None = None


class Steps(NamedTuple):
    """The position of each time, in steps from the first. name: of a step, as in "15 minutes" or "1 month"."""

    positions: np.ndarray
    name: str


class Uneven(ValueError):
    """Times that are not even steps forward: the time of `row`, from 0, `why` the row before, `where`.

    As in "is 20 minutes after" the row before, "where a step is 1 hour".
    """

    def __init__(self, row: int, why: str, where: str = "") -> None:
        super().__init__(f"{why} the row before{where}")
        self.row, self.why, self.where = row, why, where


def read_time(text: str) -> Time:
    """A time of ISO 8601: of the calendar, of weeks (2024-W05-1) or of the year's days (2024-032), from years to
    fractions of a second, with an offset or without; and quarters, as 2024-Q1. Where a period is written, its first
    moment is meant. Raises: ValueError for other texts.
    """
    text = text.strip()
    day = DATE.match(text)
    rest = text[day.end() :] if day else ""
    if day is None or (rest and not re.match(r"[T\s]\s*\d", rest)):
        raise ValueError(text)
    clock = CLOCK.fullmatch(rest[1:].strip()) if rest else None
    if (rest and clock is None) or (rest and not (day["day"] or day["day2"] or day["ordinal"] or day["weekday"])):
        raise ValueError(text)
    year = int(day["year"])
    if day["week"]:
        start = date.fromisocalendar(year, int(day["week"]), int(day["weekday"] or 1))
    elif day["ordinal"]:
        if not 1 <= int(day["ordinal"]) <= 365 + calendar.isleap(year):
            raise ValueError(text)
        start = date(year, 1, 1) + timedelta(int(day["ordinal"]) - 1)
    elif day["quarter"]:
        start = date(year, 3 * int(day["quarter"]) - 2, 1)
    else:
        start = date(year, int(day["month"] or day["month2"] or 1), int(day["day"] or day["day2"] or 1))
    local = datetime(start.year, start.month, start.day)
    if clock is None:
        return Time(local)
    hour, minute, second = (int(clock[name] or 0) for name in ("hour", "minute", "second"))
    if (hour, minute, second) != (24, 0, 0) and not (hour < 24 and minute < 60 and second < 60):
        raise ValueError(text)
    fraction = int((clock["fraction"] or "").ljust(6, "0")[:6])
    try:
        local += timedelta(hours=hour, minutes=minute, seconds=second, microseconds=fraction)
    except OverflowError:  # the end of the year 9999
        raise ValueError(text) from None
    if not (written := clock["offset"]):
        return Time(local)
    digits = re.sub(r"\D", "", written).ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return Time(local, -offset if written[0] in "-\u2212" else offset)


def read_digits(texts: Sequence[str]) -> list[Time] | None:
    """Dates that are written in digits alone, as 20240101: None unless all are, and of the same number of digits."""
    texts = [text.strip() for text in texts]
    form = DIGITS.get(len(texts[0])) if texts else None
    if form is None or not all(len(text) == len(texts[0]) and text.isascii() and text.isdigit() for text in texts):
        return None
    try:
        times = [Time(datetime.strptime(text, form)) for text in texts]
    except ValueError:
        return None
    return times if all(time.local.year in YEARS for time in times) else None


def count_steps(times: Sequence[Time] | np.ndarray) -> Steps:
    """The positions of times, or of numbers, in even steps: of the clock, of months, or of working days.

    The step is the most frequent one. Months are even though their days are not; and where no time is on a weekend and
    none is missing but weekends, steps are working days. Raises: Uneven.
    """
    if isinstance(times, np.ndarray):
        return _even(times, lambda number: f"{number:g}")
    instants = np.array([microseconds(time) for time in times])
    _forward(instants)
    if len(times) > 2 and len(set(np.diff(instants).tolist())) > 1:
        for positions, unit in ((_months(times), "month"), (_working_days(times), "working day")):
            if positions is not None:
                return _even(positions, lambda count, unit=unit: _of(unit, count))  # type: ignore[misc]  # a lambda with a default
    return _even(instants, duration)


def following(times: Sequence[Time], count: int) -> list[Time]:
    """The next `count` times, in the steps of those that there are; in the offset from UTC of the last.

    Raises: Uneven; ValueError where there is but one, so that no step is known, or the calendar ends.
    """
    if len(times) < 2:
        raise ValueError("one time alone shows no step")
    last, name = times[-1], count_steps(times).name
    instants = np.array([microseconds(time) for time in times])
    step, unit = int(name.split()[0]), name.split()[1].removesuffix("s")
    found = []
    for number in range(1, count + 1):
        if unit == "month":
            month = 12 * last.local.year + last.local.month - 1 + step * number
            anchor = max(time.local.day for time in times)
            day = min(anchor, calendar.monthrange(month // 12, month % 12 + 1)[1])
            local = last.local.replace(year=month // 12, month=month % 12 + 1, day=day)
        elif unit == "working":
            ahead: date = np.busday_offset(np.datetime64(last.local.date(), "D"), step * number).astype(object)
            local = datetime.combine(ahead, last.local.time())
        else:
            clock = Counter(np.diff(instants).tolist()).most_common(1)[0][0]
            local = last.local + timedelta(microseconds=clock * number)
        found.append(Time(local, last.offset))
    return found


def written(time: Time, like: str) -> str:
    """A time in ISO 8601 as another is written: as a month, a date, or with the clock, with an offset or none."""
    like = like.strip()
    if re.fullmatch(r"\d{4}-\d\d", like):
        return f"{time.local:%Y-%m}"
    if re.fullmatch(r"\d{4}-?Q\d", like):
        return f"{time.local:%Y}{like[4:-1]}{(time.local.month + 2) // 3}"
    if re.fullmatch(r"\d{4}-\d\d-\d\d", like):
        return f"{time.local:%Y-%m-%d}"
    clock = time.local.isoformat(like[10] if like[10:11] in ("T", " ") else "T")
    if time.offset is None:
        return clock
    minutes = round(time.offset.total_seconds() / 60)
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return clock + ("Z" if like[-1:] in "Zz" and not minutes else zone)


def duration(microseconds: float) -> str:
    """A length of time in words, in the largest unit that it is a whole number of: "90 minutes"."""
    unit, size = next((unit, size) for unit, size in UNITS if not round(microseconds) % size)
    return _of(unit, round(microseconds) // size)


def _of(unit: str, count: float) -> str:
    return f"{count:.0f} {unit}{'' if round(count) == 1 else 's'}"


def microseconds(time: Time) -> int:
    """Since 1970, in UTC."""
    return (time.local - datetime(1970, 1, 1) - (time.offset or timedelta())) // timedelta(microseconds=1)


def _forward(positions: np.ndarray) -> None:
    apart = np.diff(positions)
    for wrong, why in ((apart == 0, "repeats the time of"), (apart < 0, "is earlier than that of")):
        if wrong.any():
            raise Uneven(int(np.argmax(wrong)) + 1, why)


def _even(positions: np.ndarray, name: Callable[[float], str]) -> Steps:
    _forward(positions)
    apart = np.diff(positions)
    if not len(apart):
        return Steps(np.zeros(len(positions), dtype=np.int64), "")
    step = Counter(apart.tolist()).most_common(1)[0][0]
    counts = np.round(apart / step)
    uneven = (np.abs(apart / step - counts) > 1e-3) | (counts < 1)
    if uneven.any():
        row = int(np.argmax(uneven)) + 1
        raise Uneven(row, f"is {name(apart[row - 1])} after", f", where a step is {name(step)}")
    return Steps(np.concatenate([[0], np.cumsum(counts.astype(np.int64))]), name(step))


def _months(times: Sequence[Time]) -> np.ndarray | None:
    """The month of each time, if all stand at the same place in theirs: one day and hour, or the last day."""
    local = [time.local for time in times]
    anchor = max(time.day for time in local)
    if len({time.time() for time in local}) > 1:
        return None
    if any(time.day != min(anchor, calendar.monthrange(time.year, time.month)[1]) for time in local):
        return None
    return np.array([12 * time.year + time.month for time in local])


def _working_days(times: Sequence[Time]) -> np.ndarray | None:
    """The working day of each time, if days are all the steps there are, and weekends have none."""
    local = [time.local for time in times]
    days = np.array([np.datetime64(time.date(), "D") for time in local])
    if len({time.time() for time in local}) > 1 or not np.is_busday(days).all():
        return None
    steps = np.diff(days).astype(int)
    positions = np.busday_count(days[0], days)
    over = (np.diff(positions) == 1) & (steps == 3)  # from Friday to Monday
    return positions if over.any() and Counter(steps.tolist()).most_common(1)[0][0] == 1 else None
