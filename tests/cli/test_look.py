"""`rnnzoo look`: what it says of data that were made to have it."""

import csv
import json

import pytest

from rnnzoo.cli import main


def table(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return str(path)


def looked(capsys, *words):
    assert main(["look", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def odd(tmp_path):
    """Reviews: 42 rows of train, of which one is empty, one is repeated, one with another label; one is in test too."""
    rows = [(f"the soup number {n} was fine", "good" if n % 8 else "bad") for n in range(40)]
    train = [*rows, ("", "good"), rows[1], (rows[2][0], "bad")]
    test = [rows[3], ("quite unheard words here", "good")]
    dev = [(f"the soup number {n} of dev", "good") for n in range(4)]
    return {
        name: table(tmp_path / f"{name}.csv", rows) for name, rows in (("train", train), ("dev", dev), ("test", test))
    }


def test_what_is_odd_is_found_and_said(odd, capsys):
    words = ["quickstart", "--data", "text_files", *(f"--data.{name}={path}" for name, path in odd.items())]
    facts = looked(capsys, *words, "--data.max_length=5")
    assert facts["rows"] == {"train": 43, "dev": 4, "test": 2}
    assert facts["lengths"]["train"] == {"min": 1, "median": 6, "90 %": 6, "99 %": 6, "max": 6}
    assert facts["labels"]["train"] == {"bad": 6, "good": 37} and facts["labels"]["dev"] == {"bad": 0, "good": 4}
    assert facts["empty"] == {"train": 1, "dev": 0, "test": 0}
    assert facts["repeated"] == {"train": 2} and facts["across"] == {"test in train": 1} and facts["contradicting"] == 1
    assert facts["unknown_share"]["test"] == 4 / 10 and facts["longer"]["train"] == 42
    assert facts["suggestions"] == {"batch_size": 8, "max_length": 6}
    text = "\n".join(facts["remarks"])
    for remark in ("1 of 43 rows are empty", "6 times as many good as bad", "dev: has no row of 1 label: bad"):
        assert remark in text
    assert main(["look", *words]) == 0
    shown = capsys.readouterr().out
    assert "- test: 1 row stand in train, too" in shown and "To begin with: batch_size: 8 (now 64)" in shown


def test_nothing_is_said_of_sound_data(capsys):
    facts = looked(capsys, "quickstart", "--data.examples=200")
    assert (
        facts["remarks"] == [] and facts["vocabulary"] > 4 and set(facts["labels"]["train"]) == {"negative", "positive"}
    )


FORMS = {
    "tagged_text": ("tagging", "bidirectional", "toy_tags"),
    "text_stream": ("next_word", "recurrent", "toy_text"),
    "masked_text": ("masked_word", "bidirectional", "toy_gaps"),
    "text_pairs": ("translation", "encoder_decoder", "toy_pairs"),
    "measured_series": ("regression", "recurrent", "adding"),
}


@pytest.mark.parametrize("form", FORMS)
def test_data_of_every_form_are_looked_at(form, tmp_path, capsys):
    task, architecture, name = FORMS[form]
    recipe = {"data": {"name": name, "examples": 60}, "task": task, "model": {"architecture": architecture}}
    (tmp_path / "one.yaml").write_text(json.dumps(recipe))
    facts = looked(capsys, str(tmp_path / "one.yaml"))
    assert facts["form"] == form and set(facts["rows"]) == {"train", "dev", "test"}
    assert (facts["lengths"] == {}) == (form == "text_stream")
    assert main(["look", str(tmp_path / "one.yaml")]) == 0
    assert "part" in capsys.readouterr().out


def test_a_long_series_is_looked_at_by_variable(tmp_path, capsys):
    lines = ["load,flat", *(f"{n % 7},3" for n in range(120))]
    (tmp_path / "load.csv").write_text("\n".join(lines) + "\n")
    data = {"name": "csv_series", "path": str(tmp_path / "load.csv"), "lookback": 8, "horizon": 2}
    recipe = {"data": data, "task": "forecasting", "model": {"architecture": "gru"}}
    (tmp_path / "one.yaml").write_text(json.dumps(recipe))
    numbers = looked(capsys, str(tmp_path / "one.yaml"))["numbers"]["train"]
    assert numbers["constant"] == ["flat"]
    assert numbers["features"]["load"] | {"mean": 0} == {"min": 0, "mean": 0, "max": 6, "missing": 0}


def test_a_label_that_training_lacks_is_refused_as_a_training_would(odd, tmp_path, capsys):
    table(tmp_path / "test.csv", [("a soup", "odd")])
    words = ["quickstart", "--data", "text_files", *(f"--data.{name}={path}" for name, path in odd.items())]
    assert main(["look", *words]) == 2
    assert "test.csv, row 1: column 'label': the training split has no label 'odd'" in capsys.readouterr().err
