"""A sequence that arrives in parts is answered as one that is there at once."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from untrained import untrained

from rnnzoo import registry
from rnnzoo.architectures.encoded import Encoded
from rnnzoo.architectures.pooling import Pool
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import DataError, RunError
from rnnzoo.inference.stream import Stream

CELLS = [entry.name for entry in registry.entries("cells")]
TEXT = "The food was not bad at all, and  the film was good.\tWe did not like the bad story\n"
SMALL = ("--data.examples=24", "--model.architecture.hidden_size=8")
CLOSE = 1e-5


def architecture(name, **settings):
    return f"--model.architecture={json.dumps({'name': name, **settings})}"


def reviews(*changes, name="recurrent", **settings):
    settings = {"cell": "gru", "hidden_size": 8, **settings}
    return untrained("quickstart", "--data.examples=24", architecture(name, **settings), *changes)


def parts(text, seed):
    """A text cut anywhere, in parts of 0 to 9 characters."""
    rng, cut = random.Random(seed), []
    while text:
        size = rng.randrange(10)
        cut.append(text[:size])
        text = text[size:]
    return cut


def fed(stream, given):
    return [answer for part in given for answer in stream.feed(part)] + stream.end()


# -- one answer to all so far ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "max_mean", "attention"])
def test_the_answer_after_each_part_is_that_to_all_the_text_so_far(pooling):
    model = reviews(f"--model.pooling={pooling}")
    stream, so_far = model.stream(), ""
    for part in parts(TEXT, 1):
        so_far += part
        answers = stream.feed(part)
        if answers:
            (wanted,) = model.predict([so_far])
            assert answers[-1]["probabilities"] == pytest.approx(wanted["probabilities"], abs=CLOSE)
    assert stream.end() == []  # a blank has ended the last word
    assert stream.steps == 21


@pytest.mark.parametrize(
    ("name", "settings"),
    [("stacked", {"num_layers": 3, "residual": True}), ("lstm", {}), ("stacked", {"cell": "lstm_projected"})],
)
def test_every_architecture_of_one_direction_goes_on_where_it_was(name, settings):
    model = reviews(name=name, **({"cell": "lstm"} | settings))
    wanted = model.predict([TEXT])[0]["probabilities"]
    assert fed(model.stream(), parts(TEXT, 2))[-1]["probabilities"] == pytest.approx(wanted, abs=CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_that_is_installed_goes_on_where_it_was(cell):
    needs_a_cell = {"zoneout", "locked_dropout", "weight_drop", "output_norm", "residual", "highway"}
    inner = {"name": cell, "cell": "gru"} if cell in needs_a_cell else cell
    model = reviews("--model.inputs.tokens.size=8", cell=inner)
    wanted = model.predict([TEXT])[0]["probabilities"]
    assert fed(model.stream(), parts(TEXT, 3))[-1]["probabilities"] == pytest.approx(wanted, abs=CLOSE)


def test_a_pool_of_two_parts_is_that_of_the_whole():
    x = torch.randn(3, 7, 4)
    for name in ("last", "mean", "max", "max_mean", "attention"):
        pool = Pool(name, 4)
        kept = {}
        for part in (x[:, :2], x[:, 2:3], x[:, 3:]):
            kept = pool.absorb(kept, Encoded(Sequences.of(part), part[:, -1], None))
        torch.testing.assert_close(pool.pooled(kept), pool(Encoded(Sequences.of(x), x[:, -1], None)))


# -- an answer to each step -----------------------------------------------------------------------------------------


def test_words_are_tagged_when_a_blank_has_ended_them():
    model = untrained("toy_tags", "--data.examples=24", architecture("recurrent", cell="gru", hidden_size=8))
    stream = model.stream()
    assert stream.feed("the do") == [{"tags": model.predict(["the"])[0]["tags"], "words": ["the"]}]
    assert stream.feed("g") == []
    text = "the dog sees a cat, and the cat runs"
    (whole,) = model.predict([text])
    answers = fed(model.stream(), parts(text, 4))
    assert [tag for answer in answers for tag in answer["tags"]] == whole["tags"]
    assert [word for answer in answers for word in answer["words"]] == whole["words"]


@pytest.mark.parametrize("unit", ["space", "character", "word"])
def test_each_token_of_a_text_has_its_probability_after_all_before_it(unit):
    model = untrained("toy_text", *SMALL, f"--data.unit={unit}")
    text = "the cat sat .\nthe dog e\u0301 sat \u1100\u1161 .\nthe"  # accents and syllables that compose
    whole, apart = (fed(model.stream(), given) for given in ([text], parts(text, 5)))
    assert [answer["token"] for answer in whole] == [answer["token"] for answer in apart]
    assert whole[0]["probability"] is apart[0]["probability"] is None
    assert [a["probability"] for a in apart[1:]] == pytest.approx([a["probability"] for a in whole[1:]], abs=CLOSE)
    assert sum(answer["token"] == "<eos>" for answer in whole) == 2  # line ends
    first_line = text.partition("\n")[0]
    nll = -np.log([a["probability"] for a in fed(model.stream(), [first_line])[1:]]).mean()
    assert model.predict([first_line])[0]["perplexity"] == pytest.approx(np.exp(nll), rel=1e-4)


# -- numbers --------------------------------------------------------------------------------------------------------


def test_numbers_arrive_one_by_one_or_many_at_once():
    model = untrained("adding_lstm", "--data.examples=24", "--model.architecture.hidden_size=8")
    series = np.random.default_rng(0).random((30, 2)).astype(np.float32)
    stream = model.stream()
    answers = [stream.feed(given)[-1]["values"] for given in (series[0], series[1:2].tolist(), series[2:])]
    for answer, steps in zip(answers, (1, 2, 30), strict=True):
        assert answer == pytest.approx(model.predict([series[:steps]])[0]["values"], abs=CLOSE)


@pytest.mark.parametrize("given", ["never", [[float("nan"), 1.0]], [1.0, 2.0, 3.0], "[1, NaN]", {"a": 1}, None])
def test_what_is_no_step_of_numbers_is_refused_and_the_stream_stays_as_it_was(given):
    model = untrained("adding_lstm", "--data.examples=24", "--model.architecture.hidden_size=8")
    stream = model.stream()
    stream.feed([0.5, 0.0])
    before = stream.state
    with pytest.raises(DataError):
        stream.feed(given)
    assert stream.state.keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in stream.state.items())


SERIES = "t,a,b\n" + "".join(f"2020-01-01 {k // 60:02}:{k % 60:02},{k % 7},{k % 5}\n" for k in range(200))
FORECASTS = """
name: forecasts
seed: 1
data: {name: csv_series, path: series.csv, lookback: 8, horizon: 2}
task: {name: forecasting}
model: {architecture: {name: bidirectional, hidden_size: 4}}
optimizer: {name: adam, lr: 0.1}
tracking: {mode: disabled}
"""


def test_a_forecast_is_made_of_the_last_window_whatever_the_architecture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("series.csv").write_text(SERIES)
    Path("forecasts.yaml").write_text(FORECASTS)
    model = untrained("forecasts.yaml")
    steps = np.random.default_rng(0).random((20, 2))
    answers = fed(model.stream(), (steps[:3], steps[3:9], *steps[9:]))
    wanted = [model.predict([steps[:stop]])[0]["values"] for stop in range(8, 21)]
    np.testing.assert_allclose([answer["values"] for answer in answers], wanted, rtol=CLOSE, atol=CLOSE)
    stream = model.stream()
    stream.feed(steps[:11])
    np.testing.assert_allclose(model.stream(stream.state).feed(steps[11])[0]["values"], wanted[4], rtol=CLOSE)


# -- state ----------------------------------------------------------------------------------------------------------


def test_a_state_is_saved_and_put_back_and_two_copies_part(tmp_path):
    model = reviews("--model.pooling=attention", name="stacked", cell="lstm")
    stream = model.stream()
    stream.feed("the food was not b")
    save_file(stream.state, tmp_path / "state.safetensors")
    again, other = model.stream(load_file(tmp_path / "state.safetensors")), model.stream(stream.state)
    other.feed("utter and all else")
    assert again.feed("ad at all") == stream.feed("ad at all")
    wanted = model.predict(["the food was not bad at all"])[0]["probabilities"]
    assert stream.feed("")[-1]["probabilities"] == pytest.approx(wanted, abs=CLOSE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer.0.0": torch.zeros(1, 9)}, r"'layer.0.0' must be torch.float32 \(1, 8\), got torch.float32 \(1, 9\)"),
        ({"layer.0.0": torch.full((1, 8), torch.nan)}, "'layer.0.0' is not a number"),
        ({"layer.0.0": None}, "'layer.0.0' is missing"),
        ({"layer.5.0": torch.zeros(1, 8)}, "'layer.5.0' is not expected"),
        ({"form.text": torch.zeros(3)}, "'text' must be bytes"),
        ({"form.text": torch.tensor([255], dtype=torch.uint8)}, "'text' must be bytes"),
        ({"steps": torch.tensor([-1])}, "'steps' must be one whole number"),
        ({"steps": None}, "'steps' must be one whole number"),
    ],
)
def test_a_state_of_another_model_is_refused(change, words):
    model = reviews()
    stream = model.stream()
    stream.feed("the food was")
    state = {name: tensor for name, tensor in (stream.state | change).items() if tensor is not None}
    with pytest.raises(RunError, match=words):
        model.stream(state)


# -- models that cannot ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "changes", "reason"),
    [
        ("quickstart", (), "a bidirectional network reads to the end before it answers"),
        ("quickstart", (architecture("stacked", bidirectional=True),), "a bidirectional network reads to the end"),
        ("quickstart", (architecture("segment"),), "a network of segments reads all steps of a segment"),
        ("toy_reverse", (), "an encoder-decoder reads to the end before it writes"),
        ("toy_tags", (architecture("recurrent"), "--task.crf=true"), "a CRF decides the tags of a whole sentence"),
        ("toy_gaps", (architecture("recurrent"),), "data of the form masked_text are read as a whole"),
    ],
)
def test_a_model_that_cannot_stream_says_why(recipe, changes, reason):
    with pytest.raises(RunError, match=f"^the model cannot be streamed: {reason}"):
        Stream(untrained(recipe, "--data.examples=24", *changes))
