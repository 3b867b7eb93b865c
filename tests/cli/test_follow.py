"""`rnnzoo predict --follow`: lines that arrive are answered as they come."""

import io
import json

import pytest
from untrained import untrained

from rnnzoo.cli import main
from rnnzoo.inference import predictor

GRU = '--model.architecture={"name": "recurrent", "cell": "gru", "hidden_size": 4}'


class Lines(io.BytesIO):
    """Standard input that may end by Ctrl-C, and notes what had been printed when each line was asked for."""

    def __init__(self, lines, out=None, interrupted=False):
        super().__init__(lines)
        self.out, self.interrupted, self.seen = out, interrupted, []

    def readline(self, limit=-1):
        if self.out is not None:
            self.seen.append(self.out.getvalue())
        line = super().readline(limit)
        if not line and self.interrupted:
            raise KeyboardInterrupt
        return line


@pytest.fixture
def followed(monkeypatch, capsys):
    """Follows lines with a model. Returns the exit code, and what was printed on both outputs."""

    def follow(model, lines, *flags, **how):
        monkeypatch.setattr(predictor, "load", lambda run: model)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Lines(lines, **how)))
        code = main(["predict", "run", "--follow", *flags])
        return code, *capsys.readouterr()

    return follow


@pytest.mark.parametrize("interrupted", [False, True])
def test_numbers_that_arrive_line_by_line_are_answered_until_the_end_or_ctrl_c(followed, interrupted):
    model = untrained("adding_lstm", "--data.examples=24", "--model.architecture.hidden_size=4")
    code, out, err = followed(model, b"0.5 0\n[0.25, 1]\n0.75, 1\n", "--json", interrupted=interrupted)
    assert (code, err) == (0, "")
    values = [json.loads(line)["values"] for line in out.splitlines()]
    series = [[0.5, 0], [0.25, 1], [0.75, 1]]
    for steps, value in enumerate(values, start=1):
        assert value == pytest.approx(model.predict([series[:steps]])[0]["values"], abs=1e-5)
    assert len(values) == 3


def test_an_answer_is_out_before_the_next_line_is_read(monkeypatch):
    model = untrained("adding_lstm", "--data.examples=24", "--model.architecture.hidden_size=4")
    out = io.BytesIO()
    lines = Lines(b"0.5 0\n0.25 1\n", out)
    monkeypatch.setattr(predictor, "load", lambda run: model)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(lines))
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(out))
    assert main(["predict", "run", "--follow"]) == 0
    assert [text.count(b"\n") for text in lines.seen] == [0, 1, 2]


def test_an_empty_line_begins_another_sequence(followed):
    model = untrained("quickstart", "--data.examples=24", GRU)
    code, out, _ = followed(model, b"the food was\nnot bad\n\nnot bad\n", "--json")
    told = [json.loads(line)["probabilities"] for line in out.splitlines()]
    wanted = model.predict(["the food was", "the food was not bad", "not bad"])
    assert code == 0 and len(told) == 3
    for answer, row in zip(told, wanted, strict=True):
        assert answer == pytest.approx(row["probabilities"], abs=1e-5)


def test_the_line_that_is_no_step_is_named_after_the_answers_before_it(followed):
    model = untrained("adding_lstm", "--data.examples=24", "--model.architecture.hidden_size=4")
    code, out, err = followed(model, b"0.5 0\nnan 1\n0.5 1\n")
    assert code == 2 and len(out.splitlines()) == 1
    assert err.startswith(
        "standard input, line 2: step 1 of the part: a number is missing, infinite or not a number.\n"
    )
    code, _, err = followed(model, b"good morning\n")
    assert (code, err.splitlines()[0]) == (
        2,
        "standard input, line 1: the model reads numbers, 2 a step, got 'good morning'.",
    )


def test_a_model_that_reads_to_the_end_is_refused_before_a_line_is_read(followed):
    code, out, err = followed(untrained("quickstart", "--data.examples=24"), b"good\n")
    assert (code, out) == (2, "")
    assert err.startswith("the model cannot be streamed: a bidirectional network reads to the end before it answers.\n")
