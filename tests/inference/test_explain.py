"""What each token adds to an answer: by arithmetic where the network is linear, and by asking without the token."""

import json
import math
from typing import Any

import pytest
from untrained import untrained

import rnnzoo
from rnnzoo import EACH, ONE, Architecture, Encoded
from rnnzoo.batch import UNK
from rnnzoo.cli import main
from rnnzoo.errors import DataError, RunError
from rnnzoo.inference import predictor
from rnnzoo.inference.explain import explain

SMALL = ("--data.examples=24",)
TEXT = "the food was not bad at all"


class Nothing(Architecture):
    """The input as it is: with a mean and a linear head, a linear model."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = input_size

    @classmethod
    def answers(cls, **parameters: Any) -> frozenset[str]:
        return frozenset({ONE, EACH})

    def encode(self, x, state, need_state):
        return Encoded(x, x.at_ends(), [])


@pytest.fixture
def linear():
    rnnzoo.register("architectures", "nothing", Nothing)
    yield untrained("quickstart", *SMALL, "--model.architecture={name: nothing}", "--model.pooling=mean")
    rnnzoo.unregister("architectures", "nothing")


def test_of_a_linear_model_both_are_the_known_contributions(linear):
    found = explain(linear, TEXT, "positive")
    tokens = TEXT.split()
    network, names = linear.model.requires_grad_(False), linear.spec.inputs["tokens"].names
    ids = [names.index(token) if token in names else UNK for token in tokens]
    weight = (network.head.weight[1] - network.head.weight[0]).double()  # of positive less negative
    bias = float(network.head.bias[1] - network.head.bias[0])
    each = [float(weight @ network.input_of("tokens").embedding.weight[number].double()) for number in ids]
    total, n = sum(each), len(tokens)
    assert found.tokens == tuple(tokens)
    assert found.log_odds == pytest.approx(total / n + bias, abs=1e-5)
    assert found.gradient == pytest.approx([c / n for c in each], abs=1e-5)
    assert found.erasure == pytest.approx([total / n - (total - c) / (n - 1) for c in each], abs=1e-5)
    other = explain(linear, TEXT, "negative")
    assert other.gradient == pytest.approx([-g for g in found.gradient], abs=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "{name: zoneout, cell: gru}"])
def test_erasure_is_the_answer_to_the_text_without_the_word(cell):
    model = untrained(
        "quickstart", *SMALL, f"--model.architecture={{name: bidirectional, cell: {cell}, hidden_size: 8}}"
    )

    def log_odds(text):
        p = model.predict([text])[0]["probabilities"]["positive"]
        return math.log(p / (1 - p))

    found, words = explain(model, TEXT, "positive"), TEXT.split()
    wanted = [log_odds(TEXT) - log_odds(" ".join(words[:k] + words[k + 1 :])) for k in range(len(words))]
    assert found.erasure == pytest.approx(wanted, abs=1e-4)
    alone = explain(model, "good", "positive")
    assert alone.erasure == pytest.approx(
        [log_odds("good") - log_odds("zzz")], abs=1e-4
    )  # an unknown word in its place


def test_the_answer_to_one_word_is_explained_by_all_of_them():
    model = untrained("toy_tags", *SMALL, "--model.architecture.hidden_size=8")
    text = "the dog sees a cat"
    found = explain(model, text, step=1)
    assert found.label == model.predict([text])[0]["tags"][1] and found.step == 1
    assert found.tokens == tuple(text.split()) and len(found.erasure) == len(found.gradient) == 5
    assert any(abs(erasure) > 1e-6 for erasure in found.erasure[2:])  # it reads on both sides
    with pytest.raises(DataError, match="word 6 is asked about, and the text has 5"):
        explain(model, text, step=5)


def test_the_next_word_and_a_gap_are_explained():
    reader = untrained("toy_text", *SMALL, "--model.architecture.hidden_size=8")
    found = explain(reader, "the dog sees")
    assert found.label == max(reader.predict(["the dog sees"])[0]["next"].items(), key=lambda pair: pair[1])[0]
    filler = untrained("toy_gaps", *SMALL, "--model.architecture.hidden_size=8")
    found = explain(filler, "the ___ sees a cat")
    assert found.step == 1 and len(found.tokens) == len(found.erasure) == 5


@pytest.mark.parametrize(
    ("recipe", "text", "error", "words"),
    [
        ("quickstart", " \n", DataError, "there is nothing to explain: the text is empty"),
        ("quickstart", "good " * 1001, DataError, "the text has 1,001 tokens, and at most 1,000 are explained"),
        ("toy_reverse", "a b", RunError, "it writes a text, not a label"),
        ("adding_lstm", "0.5", RunError, "it reads numbers, and a text is explained"),
    ],
)
def test_what_cannot_be_explained_says_why(recipe, text, error, words):
    cut = ["--data.max_length=null"] if recipe == "quickstart" else []
    with pytest.raises(error, match=words):
        explain(untrained(recipe, *SMALL, *cut), text)


def test_a_label_that_is_not_there_is_told_with_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'positive'"):
        explain(untrained("quickstart", *SMALL), TEXT, "positiv")


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch, capsys):
    model = untrained("quickstart", *SMALL)
    monkeypatch.setattr(predictor, "load", lambda run: model)

    def explained(*arguments):
        code = main(["explain", "run", *arguments])
        return code, *capsys.readouterr()

    return explained


def test_the_command_prints_a_signed_bar_for_each_token_or_json(asked):
    code, out, _ = asked("--text", TEXT)
    lines = out.splitlines()[2:]
    assert code == 0 and [line.split()[0] for line in lines] == TEXT.split() and "\x1b" not in out
    code, out, _ = asked("--text", TEXT, "--json")
    rows = json.loads(out)["tokens"]
    for line, row in zip(lines, rows, strict=True):
        left, _, right = line.partition("│")
        assert not (row["erasure"] > 0 and "█" in left) and not (row["erasure"] < 0 and "█" in right)
    assert sum("█" * 12 in line for line in lines) >= 1  # the largest is as long as a bar can be


def test_the_page_shows_a_text_that_means_harm_as_it_is(asked, tmp_path):
    assert asked("--text", "<script>alert(1)</script> good", "--html", str(tmp_path / "x.html"))[0] == 0
    page = (tmp_path / "x.html").read_text()
    assert "<script" not in page and "&lt;" in page and 'title="' in page


def test_a_terminal_gets_colours_and_no_control_character_of_a_text(asked, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    _, out, _ = asked("--text", "a\x1b[31mgood film")
    assert "\x1b[32m" in out or "\x1b[31m" in out
    assert "a\x1b[31mgood" not in out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in asked("--text", "good film")[1]


def test_the_worst_examples_are_a_page_in_the_runs_folder(trained, capsys):
    assert main(["explain", str(trained), "--worst", "3"]) == 0
    page = (trained / "worst.html").read_text()
    assert page.count("<li>") == 3 and "truth" in page and "nats" in page
    (trained / "worst.html").unlink()
    assert main(["explain", str(trained), "--worst", "0"]) == 2
    assert main(["explain", "sentiment", "--worst", "3"]) == 2
    assert main(["explain", str(trained)]) == 2
    assert "give either --text TEXT or --worst N" in capsys.readouterr().err
