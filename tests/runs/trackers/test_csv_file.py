"""Tests of rnnzoo.runs.trackers.csv_file, read back by the csv module."""

import csv
import math
from dataclasses import replace

import pytest

from rnnzoo.runs.trackers.csv_file import CsvFile


def rows(run, name="metrics") -> list[dict[str, str]]:
    with open(run.folder / f"{name}.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_row_is_in_the_file_when_it_was_logged_and_a_late_metric_is_a_new_column(tracked):
    table = CsvFile(tracked)
    table.log_metrics({"train/loss": 0.1 + 0.2, "epoch": 0.0}, 0)
    assert rows(tracked) == [{"step": "0", "epoch": "0", "train/loss": "0.30000000000000004"}]
    table.log_metrics({'odd, "name"\n': math.nan, "epoch": 1}, 1)
    table.log_metrics({"train/loss": -math.inf}, 2)
    assert rows(tracked) == [
        {"step": "0", "epoch": "0", "train/loss": "0.30000000000000004", 'odd, "name"\n': ""},
        {"step": "1", "epoch": "1", "train/loss": "", 'odd, "name"\n': "nan"},
        {"step": "2", "epoch": "", "train/loss": "-inf", 'odd, "name"\n': ""},
    ]


def test_a_resumed_run_replaces_the_rows_of_the_steps_that_come_again(tracked):
    first = CsvFile(tracked)
    for step in range(5):
        first.log_metrics({"loss": step}, step)
    second = CsvFile(replace(tracked, step=3))
    for step in range(3, 6):
        second.log_metrics({"loss": 10 + step}, step)
    assert [(row["step"], row["loss"]) for row in rows(tracked)] == [
        *(("0", "0.0"), ("1", "1.0"), ("2", "2.0")),
        *(("3", "13.0"), ("4", "14.0"), ("5", "15.0")),
    ]


def test_a_file_of_another_kind_is_refused_and_stays(tracked):
    tracked.folder.mkdir(parents=True)
    path = tracked.folder / "metrics.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="does not begin with the columns step and epoch"):
        CsvFile(replace(tracked, step=3))
    assert path.read_text() == "a,b\n1,2\n"


def test_a_link_is_not_followed(tracked, tmp_path):
    tracked.folder.mkdir(parents=True)
    (tmp_path / "theirs.csv").write_text("step,epoch\n1,1\n")
    (tracked.folder / "metrics.csv").symlink_to(tmp_path / "theirs.csv")
    with pytest.raises(OSError, match="link"):
        CsvFile(replace(tracked, step=3))
    assert (tmp_path / "theirs.csv").read_text() == "step,epoch\n1,1\n"


def test_a_table_is_a_file_of_its_own_inside_the_folder(tracked):
    table = CsvFile(tracked)
    table.log_table("../../val/predictions", ["input", "score"], [["a,\nb", 0.5], [None, 1]], 12)
    (path,) = set(tracked.path.rglob("*.csv")) - {table.path}
    assert path.parent == tracked.folder and path.name.endswith("val-predictions-000012.csv")
    assert rows(tracked, path.stem) == [{"input": "a,\nb", "score": "0.5"}, {"input": "", "score": "1"}]
