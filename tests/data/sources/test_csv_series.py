"""The user's own long series, as tables of numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnzoo.data.sources.csv_series import CsvSeries
from rnnzoo.errors import DataError
from rnnzoo.testing import check_dataset

HUB = Path(__file__).parents[3].parent / "shared" / "hub"
HOURS = [f"2024-01-{1 + h // 24:02d} {h % 24:02d}:00:00" for h in range(60)]


@pytest.fixture
def write(tmp_path):
    def written(rows, header="time,load,oil"):
        path = tmp_path / "series.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return str(path)

    return written


def rows_of(times, **changed):
    """A row for each time: load 0, 1, 2, ... and oil 0, 10, 20, ...; changed: row_N="the whole row" from 1 on."""
    rows = [f"{time},{step},{10 * step}" for step, time in enumerate(times)]
    for name, row in changed.items():
        rows[int(name.removeprefix("row_")) - 1] = row
    return rows


def whole(source):
    """The names of all variables, and all steps of all parts."""
    parts = source.read()
    last = parts["test"]["values"]
    return last.dtype.names, np.array(last.tolist())


def refused(source):
    with pytest.raises(DataError) as error:
        source.read()
    return str(error.value)


def test_numeric_columns_are_read_in_order_and_cut_in_time(write):
    source = CsvSeries(write(rows_of(HOURS)), time_column="time", dev_size=0.2, test_size=15)
    parts = source.read()
    assert {part: int(columns["own"].sum()) for part, columns in parts.items()} == {"train": 33, "dev": 12, "test": 15}
    names, values = whole(source)
    assert names == ("load", "oil")
    np.testing.assert_array_equal(values, np.arange(60)[:, None] * [1, 10])
    assert [int(columns["own"].argmax()) for columns in parts.values()] == [0, 33, 45]


def test_a_column_of_text_is_left_out_unless_it_is_asked_for(write):
    path = write(rows_of(HOURS))
    assert whole(CsvSeries(path))[0] == ("load", "oil")
    assert whole(CsvSeries(path, columns=["oil"]))[0] == ("oil",)
    assert "row 1: 'time' is '2024-01-01 00:00:00', not a number" in refused(CsvSeries(path, columns=["time"]))


@pytest.mark.parametrize("value", ["", "NaN", " null ", "-", "?", "#N/A", "n/a", "<NA>", "#DIV/0!"])
def test_a_missing_value_is_refused_with_its_place_or_carries_the_one_before(write, value):
    path = write(rows_of(HOURS, row_7=f"{HOURS[6]},{value},60", row_8=f"{HOURS[7]},{value},70"))
    told = refused(CsvSeries(path))
    assert "row 7: 'load' has no value (2 are missing in all)" in told and "missing: forward" in told
    _, values = whole(CsvSeries(path, missing="forward"))
    assert values[5:9].tolist() == [[5, 50], [5, 60], [5, 70], [8, 80]]


def test_nothing_stands_before_a_missing_first_value(write):
    told = refused(CsvSeries(write(rows_of(HOURS, row_1=f"{HOURS[0]},,0")), missing="forward"))
    assert "row 1: 'load' has no value, and none before it" in told


def test_a_gap_in_time_is_refused_with_its_place_or_filled(write, caplog):
    path = write([row for row in rows_of(HOURS) if HOURS[4] not in row and HOURS[5] not in row])
    told = refused(CsvSeries(path, time_column="time"))
    assert f"row 5: 2 steps are missing before {HOURS[6]} (2 in all), where a step is 1 hour" in told
    _, values = whole(CsvSeries(path, time_column="time", missing="forward"))
    assert values[:, 0].tolist() == [0, 1, 2, 3, 3, 3, *range(6, 60)]
    assert "2 missing steps of 1 hour carry the values before them" in caplog.text
    assert len(whole(CsvSeries(path))[1]) == 58  # without a time, rows are taken as they come


def test_times_may_be_numbers(write):
    times = [f"{0.1 * step:.1f}" for step in range(60)]
    assert len(whole(CsvSeries(write(rows_of(times)), columns=["load"], time_column="time"))[1]) == 60


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([*HOURS[:3], HOURS[2], *HOURS[3:]], f"row 4: {HOURS[2]} repeats the time of the row before"),
        ([*HOURS[:3], HOURS[1], *HOURS[3:]], f"row 4: {HOURS[1]} is earlier than that of the row before, {HOURS[2]}"),
        (
            [*HOURS[:3], "2024-01-01 02:20", *HOURS[3:]],
            f"row 4: 2024-01-01 02:20 is 20 minutes after the row before, {HOURS[2]}, where a step is 1 hour",
        ),
        (["0", "3600", "7200", "7200.5", "14400", "18000"], "row 4: 7200.5 is 0.5 after the row before"),
        ([*HOURS, "2124-01-01 00:00:00"], "steps are missing before 2124-01-01"),
        ([*HOURS[:3], "noon", *HOURS[3:]], "row 4: 'time' is 'noon', not a time"),
        ([*HOURS[:3], "", *HOURS[3:]], "row 4: 'time' is '', not a time"),
    ],
)
def test_times_that_are_no_even_steps_forward_are_refused_with_their_row(write, times, told):
    for missing in ("refuse", "forward"):
        assert told in refused(CsvSeries(write(rows_of(times)), time_column="time", missing=missing))


@pytest.mark.parametrize("value", ["n.b.", "1,5", "inf", "12 kW", "1_000", "0x1F", "\u0663", "TRUE", "1e999"])
def test_text_in_a_column_of_numbers_is_refused_with_its_row(write, value):
    path = write(rows_of(HOURS, row_9=f'{HOURS[8]},"{value}",80'))
    assert f"row 9: 'load' is '{value}', not a number" in refused(CsvSeries(path))


@pytest.mark.parametrize(
    ("value", "given", "read"),
    [
        ("1,234", {"decimal": ","}, 1.234),
        ("1,234", {"thousands": ","}, 1234),
        ("1.234,5", {"decimal": ",", "thousands": "."}, 1234.5),
        ("1'000", {"thousands": "'"}, 1000),
        ("1_000", {"thousands": "_"}, 1000),
        ("-$5", {"units": ["$"]}, -5),
        ("5 kWh", {"units": ["kWh"]}, 5),
        ("12,5 %", {"decimal": ",", "units": ["%"]}, 12.5),
    ],
)
def test_a_number_that_may_be_read_in_two_ways_is_refused_with_the_options_that_read_it(write, value, given, read):
    path = write([f'"{value}",{row}' for row in range(60)], "load,temp")  # also the first value of its column
    options = ", ".join(f"{name}: {json.dumps(option)}" for name, option in given.items())
    told = refused(CsvSeries(path))
    assert f"row 1: 'load' is {value!r}, not a number" in told and f"`{options}` reads {read}." in told
    assert whole(CsvSeries(path, **given))[1][0].tolist() == [read, 0]


def test_a_minus_is_a_minus_however_it_is_typeset_and_texts_may_be_named_that_stand_for_no_value(write):
    path = write(["\u22125,0", "-999,1", "x,2", *(f"{row},{row}" for row in range(60))], "load,temp")
    read = CsvSeries(path, na_values=[-999, "x"], missing="forward")
    assert whole(read)[1][:3, 0].tolist() == [-5, -5, -5]
    assert "row 2: 'load' has no value (2 are missing in all): '-999' stands for none" in refused(
        CsvSeries(path, na_values=["-999", "x"])
    )


def test_what_is_left_out_is_certainly_not_a_variable_and_is_reported(write, caplog):
    rows = [f"{row},{time},{row},north,7,{row * row},,2024-W05-{1 + row % 7}" for row, time in enumerate(HOURS)]
    path = write(rows, ",time,Id,place,,load,empty,week")
    assert whole(CsvSeries(path, time_column="time"))[0] == ("load",)
    assert (
        f"{path}: 60 rows, a step is 1 hour. Read: load. Left out: column 1 without a name (it may be the row's "
        "number); Id (the row's number); place (text); column 5 without a name (it may be the row's number); "
        "empty (no values); week (times)." in caplog.messages
    )
    assert whole(CsvSeries(path, columns=["Id", "load"]))[0] == ("Id", "load")


def test_pandas_row_numbers_are_no_variable_and_an_id_that_counts_nothing_is_one(write, caplog):
    assert whole(CsvSeries(write([f"{row},{row}" for row in range(60)], "Unnamed: 0,load")))[0] == ("load",)
    assert "Read: load. Left out: Unnamed: 0 (it may be the row's number)." in caplog.text
    assert whole(CsvSeries(write([f"{row % 7},{row}" for row in range(60)], "id,load")))[0] == ("id", "load")


def test_a_column_of_which_some_may_be_numbers_is_refused_unless_columns_are_named(write):
    path = write([f"{'S' if row else ''}{row},{row},TRUE" for row in range(60)], "station,load,on")
    assert "row 2: 'station' is 'S1', not a number" in refused(CsvSeries(path))
    assert whole(CsvSeries(path, columns=["load"]))[0] == ("load",)
    path = write([f"TRUE,{row}" for row in range(60)], "on,load")
    assert "row 1: 'on' is 'TRUE', not a number.\n  1 and 0 are numbers; `columns` names" in refused(CsvSeries(path))


def months(count, day=1):
    return [f"{1990 + month // 12}-{1 + month % 12:02d}-{day:02d}" for month in range(count)]


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (months(60), "1 month"),
        ([time[:7] for time in months(60)], "1 month"),
        ([time[:7].replace("-", "") for time in months(60)], "1 month"),
        ([f"{time}T00:00:00+0{1 + row % 2}:00" for row, time in enumerate(months(60))], "1 month"),
        (months(180)[::3], "3 months"),
        ([f"{1990 + quarter // 4}-Q{1 + quarter % 4}" for quarter in range(60)], "3 months"),
        (months(720)[::12], "12 months"),
        ([str((np.datetime64("1990-02") + month).astype("M8[D]") - 1) for month in range(60)], "1 month"),
        ([str(np.busday_offset("2024-01-01", day)) for day in range(60)], "1 working day"),
        ([str(np.datetime64("2024-01-01") + day).replace("-", "") for day in range(60)], "1 day"),
        ([f"2024-{day:03d}" for day in range(1, 61)], "1 day"),
        ([f"2024-W{week:02d}" for week in range(1, 53)], "7 days"),
        ([f"20240101T{hour:02d}00Z" for hour in range(24)], "1 hour"),
        ([f'"2024-01-01T00:00:{second:02d},500"' for second in range(60)], "1 second"),
    ],
)
def test_a_time_of_iso_8601_is_read_and_steps_are_even_by_the_clock_or_the_calendar(write, times, step, caplog):
    path = write([f"{time},{row},a" for row, time in enumerate(times)], "time,load,note")
    assert len(whole(CsvSeries(path, time_column="time"))[1]) == len(times)
    assert f"{len(times)} rows, a step is {step}. Read: load. Left out: note (text)." in caplog.text


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (months(60)[:7] + months(60)[9:], "row 8: 2 steps are missing before 1990-10-01 (2 in all), where a step is 1"),
        (
            [str(np.busday_offset("2024-01-01", day)) for day in range(60) if day != 4],
            "row 5: 1 steps are missing before 2024-01-08 (1 in all), where a step is 1 working day",
        ),
        (["2024-01-01T00:00+01:00", "2024-01-01T01:00"], "row 2: 'time' is '2024-01-01T01:00', not a time like those"),
        (["2024", "2024-02"], "row 2: 'time' is '2024-02', not a time like those before it"),
        (["01/02/2024", "02/02/2024"], "row 1: 'time' is '01/02/2024', not a time"),
    ],
)
def test_a_gap_in_the_calendar_is_refused_in_the_calendars_words(write, times, told):
    path = write([f"{time},{row}" for row, time in enumerate(times)], "time,load")
    assert told in refused(CsvSeries(path, time_column="time"))


def test_a_gap_in_working_days_is_filled_with_working_days(write):
    days = [str(np.busday_offset("2024-01-01", day)) for day in range(60) if day != 4]
    path = write([f"{time},{row}" for row, time in enumerate(days)], "time,load")
    assert whole(CsvSeries(path, time_column="time", missing="forward"))[1][:6, 0].tolist() == [0, 1, 2, 3, 3, 4]


def test_a_table_with_tabs_is_read_as_one_with_commas(write, tmp_path):
    path = write(rows_of(HOURS))
    tabs = tmp_path / "series.TSV"
    tabs.write_text(Path(path).read_text().replace(",", "\t"))
    names, values = whole(CsvSeries(str(tabs), time_column="time"))
    wanted_names, wanted = whole(CsvSeries(path, time_column="time"))
    assert names == wanted_names and values.tolist() == wanted.tolist()
    lines = tmp_path / "series.jsonl"
    lines.write_text('{"load": 1}\n')
    assert "is no table of numbers by its ending.\n  Known endings: .csv, .tsv." in refused(CsvSeries(str(lines)))


def test_a_wrong_column_is_told_with_the_nearest(write):
    path = write(rows_of(HOURS))
    assert "has no column 'laod'.\n  Did you mean 'load'?\n  Found: time, load, oil." in refused(
        CsvSeries(path, columns=["laod"])
    )
    assert "has no column 'date'" in refused(CsvSeries(path, time_column="date"))


@pytest.mark.parametrize(
    ("rows", "header", "told"),
    [
        ([], "time,load", "has a header and no rows"),
        (["a,b"], "time,place", "has no column of numbers"),
        (["1,2", "3"], "load,oil", "row 2 (line 3): 1 values, where the header has 2"),
        (["1,2"], "load,load", "more than one column 'load'"),
        (["1,2", "3,4", "5,6"], "load,oil", "has 3 rows, of which 2 for dev and 1 for testing leave none"),
    ],
)
def test_a_file_of_no_use_is_refused(write, rows, header, told):
    assert told in refused(CsvSeries(write(rows, header), dev_size=2, test_size=1))


def test_a_file_that_is_not_there_is_told_with_the_nearest(write):
    path = write(rows_of(HOURS))
    told = refused(CsvSeries(path.replace("series", "serie")))
    assert "there is no file" in told and "Did you mean" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"dev_size": 0}, "dev_size must be a whole number >= 1"),
        ({"dev_size": 1.5}, "dev_size must be"),
        ({"test_size": True}, "test_size must be"),
        ({"missing": "zero"}, "missing must be refuse or forward, got 'zero'"),
        ({"encoding": "utf-9"}, "encoding must be a text encoding"),
    ],
)
def test_settings_out_of_range_are_refused(given, told):
    with pytest.raises(ValueError, match=told):
        CsvSeries("series.csv", **given)


def test_a_file_keeps_the_contract_of_data_sets(write):
    check_dataset({"name": "csv_series", "path": write(rows_of([*range(500)])), "time_column": "time"})


def test_a_file_is_known_by_its_name_and_contents(write):
    source = CsvSeries(write(rows_of(HOURS)))
    source.read()
    identity = source.identity()
    assert identity["id"] == "series.csv" and len(identity["revision"]) == 64
