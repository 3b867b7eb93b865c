"""`rnnzoo prepare`: what it says of what it made."""

import json

from rnnzoo.cli import main

WORDS = ("prepare", "toy_text", "--data.examples", "100", "--out")


def test_it_says_what_it_made_and_that_it_stands_there(here, capsys):
    assert main([*WORDS, "t"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "t: made" and [line.split()[0] for line in told[1:]] == [
        *("train", "dev", "test", "vocabulary", "size"),
    ]
    assert main([*WORDS, "t", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["new"] is False and facts["folder"] == "t" and set(facts["parts"]) == {"train", "dev", "test"}
    assert facts["bytes"] == 2 * sum(part["tokens"] for part in facts["parts"].values())
    assert f"{facts['parts']['train']['tokens']:,} tokens" in told[1] and f"{facts['vocabulary']} words" in told[4]


def test_a_changed_file_is_found_where_it_is_prepared_again(here, capsys):
    assert main([*WORDS, "t"]) == 0
    with open("t/dev.bin", "r+b") as file:
        file.write(b"\xff")
    assert main([*WORDS, "t"]) == 2
    assert "dev.bin is not what was written" in capsys.readouterr().err
