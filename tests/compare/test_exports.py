"""A comparison as tables, JSON, CSV and Markdown: for people, for programs, and safe to open."""

import csv
import io
import json
import re
import statistics

import pytest
from compared_runs import make_run, six_runs
from test_verdict import groups

from rnnzoo import cli
from rnnzoo.compare import Spread, compare, exports
from rnnzoo.compare.terminal import scores, wrapped
from rnnzoo.system.console import UNSAFE


def printed(capsys, *words, code=0):
    assert cli.main(["compare", *map(str, words)]) == code
    return capsys.readouterr()


def test_the_table_fits_a_terminal_and_its_numbers_stand_under_each_other(here, capsys):
    lines = printed(capsys, six_runs(here)).out.splitlines()
    assert max(map(len, lines)) <= 100
    table = [line for line in lines if "±" in line][:3]
    assert len({line.index("±") for line in table}) == 1
    assert [line.split()[0] for line in table] == ["lstm", "gru", "vanilla"]
    assert "0.8300 ± 0.0141" in table[0] and "100,000" in table[0] and "native" in table[0]


def test_settings_are_columns_where_more_than_one_differs(tmp_path, capsys):
    make_run(tmp_path / "a", "lstm", model__architecture__hidden_size=128)
    make_run(tmp_path / "b", "gru")
    out = printed(capsys, tmp_path).out
    assert "cell  hidden_size" in out and "forget_bias" not in out


def test_what_was_left_out_is_printed_with_its_reason(tmp_path, capsys):
    make_run(tmp_path / "good")
    make_run(tmp_path / "bad", facts={"status": "failed", "ended_by": "out of memory"})
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "summary.json").write_text("")
    out = " ".join(printed(capsys, tmp_path).out.split())
    assert "bad: it failed (out of memory)." in out and "empty: it has no summary." in out


def test_nan_is_shown_and_not_averaged(tmp_path, capsys):
    make_run(tmp_path / "a", seed=1, accuracy=None)
    make_run(tmp_path / "b", seed=2)
    assert "NaN in 1 of 2" in printed(capsys, tmp_path).out
    facts = json.loads(printed(capsys, tmp_path, "--json").out)["groups"][0]["scores"]["test/accuracy"]
    assert facts == {"mean": None, "std": None, "n": 1, "missing": 1}


def test_a_score_that_a_run_lacks_is_no_nan(tmp_path, capsys):
    make_run(tmp_path / "a", seed=1, facts={"metrics": {"test/accuracy": 0.8, "test/f1": 0.7}})
    make_run(tmp_path / "b", seed=2)
    assert "unknown in 1 of 2" in printed(capsys, tmp_path).out


def test_json_has_every_run_and_number(tmp_path, capsys):
    value = json.loads(printed(capsys, six_runs(tmp_path), "--json").out)
    group = value["groups"][0]
    assert group["seeds"] == [1, 2] and [run["scores"]["test/accuracy"] for run in group["runs"]] == [0.82, 0.84]
    assert group["scores"]["test/accuracy"]["std"] == pytest.approx(statistics.stdev([0.82, 0.84]))
    assert value["differing"] == ["model.architecture.cell.name"]


def test_json_has_the_numbers_of_a_verdict(tmp_path, capsys):
    groups(tmp_path, {"lstm": 0.9, "gru": 0.6})
    (verdict,) = json.loads(printed(capsys, tmp_path, "--json").out)["verdicts"]
    assert verdict["clear"] and {verdict["a"], verdict["b"]} == {"lstm", "gru"}
    assert verdict["low"] < verdict["value"] < verdict["high"] and verdict["sentence"].startswith(verdict["a"])


def test_csv_has_a_line_a_run(tmp_path, capsys):
    rows = list(csv.DictReader(io.StringIO(printed(capsys, six_runs(tmp_path), "--csv").out)))
    assert [(row["group"], row["seed"]) for row in rows[:2]] == [("lstm", "1"), ("lstm", "2")]
    assert [float(row["test/accuracy"]) for row in rows[:2]] == [0.82, 0.84]
    assert {row["parameters"] for row in rows} == {"100000"}


def test_a_table_is_written_to_a_file(tmp_path, capsys):
    path = tmp_path / "table.md"
    assert printed(capsys, six_runs(tmp_path), "--md", "--out", path).out == f"{path}\n"
    assert path.read_text().count("\n| ") == 2 + 3
    assert "--out needs" in printed(capsys, tmp_path, "--out", path, code=2).err


def test_no_text_of_a_strangers_run_steers_a_terminal_a_spreadsheet_or_a_page(tmp_path, capsys):
    evil = "=cmd|'/c calc'!A1 <script>alert(1)</script> [x](javascript:y) \x1b[2J\u202e"
    for cell, name in {"lstm": evil, "gru": "b"}.items():
        make_run(tmp_path / cell, cell, optimizer__name=name, facts={"data": {"id": evil, "sizes": {"test": 1}}})
    for flags in ([], ["--json"], ["--csv"], ["--md"]):
        assert not UNSAFE.search(printed(capsys, tmp_path, *flags).out)
    page = printed(capsys, tmp_path, "--md").out
    assert "<script" not in page and not re.search(r"(?<!\\)[\[\]]", page)
    cells = [cell for row in csv.reader(io.StringIO(printed(capsys, tmp_path, "--csv").out)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(exports.FORMULA)]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([(0.8, 0.9), (0.5,)], ["0.8500 ± 0.0707", "0.5000         "]),
        ([(123.456, 123.456)], ["123.46 ± 0.00"]),
        ([(0.00012, 0.00014)], ["0.0001300 ± 0.0000141"]),
        ([(1.0, None)], ["NaN in 1 of 2"]),
        ([(1e308, 1e308)], ["?"]),
        ([(0.0,)], ["0.0000"]),
    ],
)
def test_scores_have_the_decimals_that_their_size_asks_for(values, text):
    assert scores([Spread(one) for one in values]) == text


def test_two_runs_with_one_name_are_told_apart(tmp_path):
    make_run(tmp_path / "a" / "run", seed=1)
    make_run(tmp_path / "b" / "run", seed=2)
    (group,) = compare([tmp_path]).groups
    assert [run.name for run in group.runs] == ["a/run", "b/run"]


def test_a_sentence_is_cut_between_words_and_never_within_a_command():
    command = "`rnnzoo fit runs/a/config.yaml --seed 4 ...`."
    lines = wrapped(f"gru is better than lstm; two more seeds would tell: {command} So be it.", 30)
    assert lines == ["gru is better than lstm; two", "  more seeds would tell:", f"  {command}", "  So be it."]
