"""Times in tables, beside Python's own reader of ISO 8601 and arithmetic."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.data.readers.times import Time, count_steps, duration, read_digits, read_time

TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
OFFSETS = st.one_of(st.none(), st.integers(-14 * 60, 14 * 60).map(lambda minutes: timedelta(minutes=minutes)))


@given(TIMES, OFFSETS)
def test_what_python_writes_is_read_as_what_it_was(time, offset):
    zone = None if offset is None else timezone(offset)
    assert read_time(time.replace(tzinfo=zone).isoformat()) == Time(time, offset)
    assert read_time(time.strftime("%G-W%V-%u").zfill(10)).local.date() == time.date()
    assert read_time(time.strftime("%j").join([f"{time.year:04d}-", ""])).local.date() == time.date()
    assert read_time(f"{time.year:04d}{time:%m%dT%H%M%S}").local == time.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        *("", "noon", "2024-13", "2024-02-30", "2024-366-1", "2023-366", "2024-W54", "2024-W01-8", "2024-Q5"),
        *("2024-01-01T25", "2024-01-01T24:01", "2024-01T10:00", "24-01-01", "2024-1-1", "2024-01-01T", "2024-01-01x"),
        "\u0662\u0660\u0662\u0664",
    ],
)
def test_what_is_not_a_time_is_refused(text):
    with pytest.raises(ValueError):
        read_time(text)


def test_a_day_may_end_at_24():
    assert read_time("2024-02-29T24:00").local == datetime(2024, 3, 1)


def test_digits_alone_are_dates_only_if_all_are():
    assert [time.local for time in read_digits(["20240229", "20240301"])] == [
        datetime(2024, 2, 29),
        datetime(2024, 3, 1),
    ]
    assert read_digits(["2024022923"])[0].local == datetime(2024, 2, 29, 23)
    assert read_digits(["20240229", "20240230"]) is None and read_digits(["20240229", "2024"]) is None
    assert read_digits(["100001", "100002"]) is None and read_digits(["1704067200"]) is None  # a counter; Unix seconds


@given(st.integers(1, 10**12))
def test_a_duration_says_what_it_is(microseconds):
    number, unit = duration(microseconds).split()
    sizes = {"day": 86400e6, "hour": 3600e6, "minute": 60e6, "second": 1e6, "microsecond": 1}
    assert int(number) * sizes[unit.removesuffix("s")] == microseconds


def test_days_without_a_weekend_in_between_are_days_and_weekly_times_are_weeks():
    days = [Time(datetime(2024, 1, 1) + timedelta(days=day)) for day in (0, 1, 2, 4)]
    assert count_steps(days).name == "1 day" and count_steps(days).positions.tolist() == [0, 1, 2, 4]
    mondays = [Time(datetime(2024, 1, 1) + timedelta(weeks=week)) for week in (0, 1, 3)]
    assert count_steps(mondays).name == "7 days" and count_steps(mondays).positions.tolist() == [0, 1, 3]


def test_summer_time_is_no_gap_where_offsets_are_written():
    local = [(1, 1), (3, 2), (4, 2)]  # hour, offset on 31 March 2024 in Berlin
    times = [Time(datetime(2024, 3, 31, hour), timedelta(hours=offset)) for hour, offset in local]
    assert count_steps(times).positions.tolist() == [0, 1, 2]


def test_numbers_count_themselves():
    assert count_steps(np.array([0.1, 0.2, 0.4])).positions.tolist() == [0, 1, 3]
