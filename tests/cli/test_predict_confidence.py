"""`rnnzoo predict --all` and `--abstain`: every class's probability, and no answer where the model is not sure."""

import json

import pytest

import rnnzoo
from rnnzoo.cli import main
from rnnzoo.runs import checkpoint

SURE, UNSURE = "a good film", "good bad"


@pytest.fixture(scope="module")
def confidences(trained):
    answers = rnnzoo.load(trained).predict([SURE, UNSURE])
    return sorted(answer["confidence"] for answer in answers)


def asked(trained, *more):
    return main(["predict", str(trained), "--text", SURE, "--text", UNSURE, *more])


def test_all_prints_the_probability_of_every_class_the_likeliest_first(trained, capsys):
    assert main(["predict", str(trained), "--text", SURE, "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (answer,) = rnnzoo.load(trained).predict([SURE])
    wanted = [f"  {label} {100 * answer['probabilities'][label]:.1f} %" for label in ("positive", "negative")]
    assert lines[0].startswith("positive") and lines[1:] == wanted


def test_below_the_confidence_asked_for_the_answer_is_not_sure_and_the_share_is_told(trained, confidences, capsys):
    between = sum(confidences) / 2
    assert asked(trained, "--abstain", str(between)) == 0
    out, err = capsys.readouterr()
    assert [line.startswith("not sure  (") for line in out.splitlines()] == [False, True]
    assert "not sure of 1 of 2 (50.0 %)" in err
    assert asked(trained, "--abstain", str(between), "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["abstained"] for row in rows] == [row["confidence"] < between for row in rows] == [False, True]


@pytest.mark.parametrize("wrong", ["1.5", "-0.1", "nan"])
def test_a_confidence_that_is_none_is_refused(trained, wrong, capsys):
    assert asked(trained, f"--abstain={wrong}") == 2
    assert "must be a confidence from 0 to 1" in capsys.readouterr().err


def test_a_task_that_has_no_confidence_refuses_to_abstain(capsys):
    assert main(["predict", "ud_pos", "--text", "It rains .", "--abstain", "0.9"]) == 2
    out, err = capsys.readouterr()
    assert not out and "the answers of the task tagging have no confidence" in err


def test_answers_that_arrive_in_parts_take_neither(trained, capsys):
    assert main(["predict", str(trained), "--follow", "--all"]) == 2
    assert "are for whole texts" in capsys.readouterr().err


def test_an_old_checkpoint_answers_as_at_temperature_one(trained):
    saved = checkpoint.load(checkpoint.locate(trained))
    saved.meta.pop("calibration")
    old, new = rnnzoo.inference.predictor.Predictor(saved), rnnzoo.load(trained)
    assert old.task.calibration.temperature == 1
    assert [row["label"] for row in old.predict([SURE, UNSURE])] == [
        row["label"] for row in new.predict([SURE, UNSURE])
    ]
