"""`rnnzoo prepare`: what it says of what it made, and what runs and other processes find."""

import json

import pytest
from conftest import write_reviews

from rnnzoo.cli import main

WORDS = ("prepare", "toy_text", "--data.examples", "100", "--out")


@pytest.fixture
def cache(here, monkeypatch):
    monkeypatch.setenv("RNNZOO_CACHE", str(here / "cache"))
    return here / "cache" / "data"


def test_it_says_what_it_made_and_that_it_stands_there(here, capsys):
    assert main([*WORDS, "t"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "t: made"
    assert [line.split()[0] for line in told[1:]] == ["train", "dev", "test", "vocabulary", "size"]
    assert main([*WORDS, "t", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["new"] is False and facts["folder"] == "t" and set(facts["parts"]) == {"train", "dev", "test"}
    assert facts["bytes"] == 2 * sum(part["tokens"] for part in facts["parts"].values())
    assert f"tokens {facts['parts']['train']['tokens']:,}" in told[1] and f"{facts['vocabulary']} words" in told[4]


def test_a_changed_file_is_found_where_it_is_prepared_again(here, capsys):
    assert main([*WORDS, "t"]) == 0
    with open("t/dev.bin", "r+b") as file:
        file.write(b"\xff")
    assert main([*WORDS, "t"]) == 2
    assert "dev.bin is not what was written" in capsys.readouterr().err


def test_a_run_that_streams_finds_what_was_prepared_for_it(cache, here, capsys):
    recipe = str(write_reviews(here))
    streaming = (recipe, "--data.streaming=true")
    assert main(["prepare", *streaming, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["new"] and first["parts"] == {
        "train": {"examples": 48},
        "dev": {"examples": 8},
        "test": {"examples": 8},
    }
    (store,) = (path for path in cache.iterdir() if path.is_dir())
    assert first["folder"] == str(store)
    before = {path: path.stat().st_mtime_ns for path in store.iterdir()}
    assert main(["fit", *streaming, "--trainer.max_epochs=1", "--run_dir", "run"]) == 0
    assert [path for path in cache.iterdir() if path.is_dir()] == [store]
    assert {path: path.stat().st_mtime_ns for path in store.iterdir()} == before
    capsys.readouterr()
    assert main(["prepare", *streaming]) == 0
    assert "there already, and whole" in capsys.readouterr().out


def test_what_would_prepare_nothing_says_so(here, capsys):
    assert main(["prepare", "quickstart"]) == 2
    assert "nothing is prepared for them" in capsys.readouterr().err
    assert main(["prepare", "toy_text", "--vocabulary", "x"]) == 2
    assert "--vocabulary goes with --out alone" in capsys.readouterr().err
