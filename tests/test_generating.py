"""`rnnzoo generate`: the words of a run, asked for on the command line."""

import json
import os
from pathlib import Path

import pytest

from rnnzoo.cli import main


@pytest.fixture(scope="module")
def language_model(tmp_path_factory) -> Path:
    """The folder of a run of next_word."""
    made = tmp_path_factory.mktemp("language_model")
    before = Path.cwd()
    os.chdir(made)
    try:
        arguments = ["--data.examples", "300", "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"]
        assert main(["fit", "toy_text", *arguments, "--tracking.mode", "disabled", "--run_dir", "run"]) == 0
    finally:
        os.chdir(before)
    return made / "run"


def said(capsys, *arguments):
    """What a command printed on standard output and error, and its exit code."""
    capsys.readouterr()
    code = main(["generate", *map(str, arguments)])
    out, err = capsys.readouterr()
    return out, err, code


def test_a_seed_writes_the_same_text_and_another_one_another(language_model, capsys):
    first, again, other = (
        said(capsys, language_model, "--prompt", "the dog", "--length", 40, "--seed", seed)[0] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first.startswith("the dog") and "<" not in first


def test_json_has_the_text_its_tokens_and_the_words_that_are_unknown(language_model, capsys):
    out, err, code = said(capsys, language_model, "--prompt", "the zebra", "--length", 7, "--top-k", 1, "--json")
    told = json.loads(out)
    assert code == 0 and len(told["tokens"]) == 7 and told["unknown"] == ["zebra"]
    assert told["text"].startswith("the zebra")
    assert err == "the model does not know: zebra.\n"


def test_greedy_is_a_beam_of_one_and_needs_no_prompt(language_model, capsys):
    greedy = said(capsys, language_model, "--length", 12, "--temperature", 0)
    assert greedy == said(capsys, language_model, "--length", 12, "--beam", 1)
    assert greedy[0].strip() and greedy[2] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", "-1"], "--temperature must be a number >= 0, got -1.0"),
        (["--temperature", "nan"], "--temperature must be a number >= 0, got nan"),
        (["--top_p", "0"], "--top_p must be a number in (0, 1], got 0.0"),
        (["--top_p", "1.5"], "--top_p must be a number in (0, 1], got 1.5"),
        (["--top_k", "0"], "--top_k must be a whole number >= 1, got 0"),
        (["--length", "0"], "--length must be a whole number >= 1, got 0"),
        (["--beam", "0"], "--beam must be a whole number >= 1, got 0"),
        (["--beam", "3", "--top_p", "0.5"], "--beam takes the likeliest and draws nothing"),
        (["--beam", "3", "--seed", "1"], "--beam takes the likeliest and draws nothing"),
        (["--length", "many"], "invalid int value: 'many'"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_before_anything_is_loaded(arguments, message, capsys):
    out, err, code = said(capsys, "no/such/run", *arguments)
    assert code == 2 and not out
    assert message in err and "no/such/run" not in err


def test_a_model_of_labels_goes_on_with_no_text(trained, capsys):
    _, err, code = said(capsys, trained)
    assert code == 2 and err.startswith("the task sentiment does not generate text.")


def test_words_are_not_written_as_midi(language_model, tmp_path, capsys):
    _, err, code = said(capsys, language_model, "--length", 5, "--midi", tmp_path / "words.mid")
    assert code == 2 and "as MIDI: it is no note" in err
    assert not (tmp_path / "words.mid").exists()
