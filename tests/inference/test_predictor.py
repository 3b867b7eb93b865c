"""A run's folder answers for texts, whatever they are."""

import json
import shutil
import wave
from itertools import count, islice

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import rnnzoo
from rnnzoo import recipe
from rnnzoo.batch import UNK
from rnnzoo.cli import main
from rnnzoo.data.encoding.text import Encoder
from rnnzoo.errors import DataError, RunError
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.inference import predictor, texts
from rnnzoo.runs import checkpoint
from rnnzoo.tasks import next_word

ODD = [
    "",
    " \t",
    "good",
    "zzz qqq",
    "😀👍🏽 good",
    "a\0b",
    "\u202egood\u0301",
    "\ud800",
    "x" * 100_000,
    "good\u2028bad",
]


@pytest.fixture(scope="module")
def model(trained):
    return rnnzoo.load(trained)


def fitted(folder, name, *changes):
    """The predictor of a shipped recipe, hardly trained."""
    tiny = ("--data.examples=24", "--trainer.max_epochs=1", "--tracking.mode=disabled")
    tiny += ("--model.architecture.hidden_size=4", "--trainer.enable_progress_bar=false")
    resolved = resolve(recipe.read(name, (*tiny, *changes)))
    fit(resolved, folder)
    return rnnzoo.load(folder)


# -- answers --------------------------------------------------------------------------------------------------------


def test_a_run_that_was_moved_answers_without_its_recipe_and_its_data(model):
    good, bad = model.predict(["a good film", "a bad film"])
    assert (good["label"], bad["label"]) == ("positive", "negative")
    assert good["confidence"] == good["probabilities"]["positive"] > 0.9
    assert isinstance(model.model, nn.Module) and not model.model.training


def test_every_text_gets_an_answer_in_its_place(model):
    answers = model.predict(ODD)
    assert len(answers) == len(ODD)
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=5))
def test_any_text_gets_an_answer(model, texts):
    answers = model.predict(texts)
    assert len(answers) == len(texts) and all(0.5 <= answer["confidence"] <= 1 for answer in answers)


def test_an_answer_does_not_depend_on_the_texts_beside_it(model):
    together = model.predict(ODD)
    for text, answer in zip(ODD, together, strict=True):
        (alone,) = model.predict([text])
        assert alone["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)


def test_the_share_of_unknown_words_is_told(model):
    shares = [answer["unknown_share"] for answer in model.predict(["good zzz", "good film", "", "zzz"])]
    assert shares == [0.5, 0, 1, 1]


def test_no_texts_get_no_answers_and_one_string_is_refused(model):
    assert model.predict([]) == []
    with pytest.raises(TypeError, match=r"write predict\(\[text\]\)"):
        model.predict("good")


def test_a_million_words_are_read_to_the_last(model):
    long = "film " * 999_999
    late_good, late_bad = model.predict([long + "good", long + "bad"])
    assert late_good["probabilities"] != late_bad["probabilities"]


def test_a_long_text_makes_no_room_for_short_ones_beside_it(model, monkeypatch):
    monkeypatch.setattr(predictor, "BATCH_TOKENS", 100)
    sizes = []
    ask = model.task.predictions

    def watch(asked, batch):
        sizes.append(batch.inputs["tokens"].numel())
        return ask(asked, batch)

    monkeypatch.setattr(model.task, "predictions", watch)
    assert len(model.predict(["film " * 150, *["good film"] * 200])) == 201
    assert sizes[0] == 150 and max(sizes[1:]) == 100


# -- many texts -----------------------------------------------------------------------------------------------------


def test_a_stream_that_never_ends_is_answered_as_it_comes(model):
    read = []
    texts = (read.append(number) or f"good {number}" for number in count())
    answered = list(islice(model.answers(texts), 3))
    assert [text for text, _ in answered] == ["good 0", "good 1", "good 2"]
    assert len(read) == predictor.AHEAD
    assert answered[0][1] == model.predict(["good 0"])[0]


def test_few_long_texts_are_read_ahead(model):
    read = []
    texts = (read.append(number) or "x" * (predictor.AHEAD_CHARACTERS // 4) for number in count())
    next(model.answers(texts))
    assert len(read) == 4


def test_texts_before_a_broken_one_are_answered(model):
    def texts():
        yield from ("good", "bad")
        raise DataError("line 3 is broken")

    answers = model.answers(texts())
    assert [next(answers)[0], next(answers)[0]] == ["good", "bad"]
    with pytest.raises(DataError, match="line 3"):
        next(answers)


def test_texts_before_one_that_cannot_be_asked_are_answered(model, monkeypatch):
    ask = model.form.ask

    def picky(texts, spec):
        if "ugly" in texts:
            raise DataError("'ugly' cannot be asked")
        return ask(texts, spec)

    monkeypatch.setattr(model.form, "ask", picky)
    answers = model.answers(["good", "bad", "ugly", "good"])
    assert [next(answers)[0], next(answers)[0]] == ["good", "bad"]
    with pytest.raises(DataError, match="'ugly' cannot be asked"):
        next(answers)


# -- other tasks ----------------------------------------------------------------------------------------------------


def test_tags_are_one_for_each_word(tmp_path):
    tagger = fitted(tmp_path / "run", "toy_tags")
    rows = tagger.predict(["the dog barks", "one", "a  b\tc d"])
    assert [len(row["tags"]) for row in rows] == [3, 1, 4]
    assert {tag for row in rows for tag in row["tags"]} <= set(tagger.spec.labels)


SPANS = """
data: {name: conll_files, train: train.txt, dev: train.txt, scheme: bioes, lowercase: true, characters: true,
       case: true}
task: {name: tagging, crf: true}
model:
  architecture: {name: bidirectional, hidden_size: 8}
  inputs:
    tokens: {size: 8}
    characters: {encoder: {name: bidirectional, hidden_size: 4}}
optimizer: {name: adam, lr: 0.05}
trainer: {max_epochs: 3, enable_progress_bar: false}
tracking: {mode: disabled}
"""


def test_typed_words_are_tagged_by_all_that_the_model_reads_of_them(here, capsys):
    rows = [f"{'Ann' if k % 2 else 'Bob'} I-PER\n{'Li' if k % 3 else 'Wu'} I-PER\nsat O\n. O\n" for k in range(40)]
    (here / "train.txt").write_text("\n".join(rows))
    (here / "spans.yaml").write_text(SPANS)
    assert main(["fit", "spans.yaml", "--run_dir", "run"]) == 0
    (here / "train.txt").unlink()
    capsys.readouterr()
    assert main(["predict", "run", "--text", "Ann Wu sat.", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "input": "Ann Wu sat.",
        "words": ["Ann", "Wu", "sat", "."],
        "tags": ["B-PER", "E-PER", "O", "O"],
        "spans": [["PER", 0, 2]],
        "unknown_share": 0,
    }
    assert main(["predict", "run", "--text", "Xyz \u00e9\u00e8!", "--text", ""]) == 0  # unknown words only, and none
    known, empty = capsys.readouterr().out.splitlines()
    assert [piece.rpartition("/")[0] for piece in known.split()] == ["Xyz", "\u00e9\u00e8", "!"] and empty == ""
    notes = json.loads((here / "run" / "summary.json").read_text())["data"]["notes"]
    assert notes["train"] == {"scheme": "iob1", "illegal_tags": 0, "converted_tags": 80}


def test_a_long_text_is_continued_as_if_it_were_read_at_once(tmp_path, monkeypatch):
    reader = fitted(tmp_path / "run", "toy_text")
    texts = ["", "the", "the painter that the singers know sleeps .", "the cat zzz sleeps"]
    wanted = reader.predict(texts)
    for window in (1, 2, 4):
        monkeypatch.setattr(next_word, "WINDOW", window)
        for found, whole in zip(reader.predict(texts), wanted, strict=True):
            assert found["next"] == pytest.approx(whole["next"], abs=1e-6)
            assert (found["perplexity"] or 0) == pytest.approx(whole["perplexity"] or 0, rel=1e-5)
    assert [row["perplexity"] is None for row in wanted] == [True, True, False, False]


def test_the_perplexity_of_a_text_is_that_of_its_words_given_those_before(tmp_path):
    reader = fitted(tmp_path / "run", "toy_text")
    text = "the painter that the singers"
    ids = torch.tensor([Encoder.from_field(reader.spec.inputs["tokens"]).encode([text])[0][0].tolist()])
    assert UNK not in ids
    with torch.no_grad():
        model = reader.model
        encoded = model.architecture(model.inputs[0](ids), torch.tensor([ids.shape[1]]))
        nll = nn.functional.cross_entropy(model.head(encoded.outputs)[0, :-1], ids[0, 1:])
    assert reader.predict([text])[0]["perplexity"] == pytest.approx(nll.exp().item(), rel=1e-5)


def test_translations_are_texts(tmp_path):
    rows = fitted(tmp_path / "run", "toy_copy", "--task.max_steps=5").predict(["a b c", "", "zzz"])
    assert all(len(row["text"].split()) <= 5 for row in rows)


def test_numbers_are_told_of_series_in_their_places_given_as_arrays_or_as_json(tmp_path):
    reader = fitted(tmp_path / "run", "adding_lstm", "--data.steps=5")
    series = [[[0.5, 1.0]], [[0.1, 0.0], [0.2, 1.0], [0.3, 1.0]], [[0.4, 1.0], [0.4, 1.0]]]
    found = reader.predict(series)
    assert found == reader.predict([json.dumps(row) for row in series])
    assert len({row["values"][0] for row in found}) == 3
    for row, told in zip(series, found, strict=True):
        assert reader.predict([torch.tensor(row)])[0]["values"] == pytest.approx(told["values"], abs=1e-6)
    with pytest.raises(DataError, match="expected numbers as JSON, got 'a text'"):
        reader.predict(["a text"])


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [
        lambda meta, spec: meta.clear(),
        lambda meta, spec: meta.update(recipe=[]),
        lambda meta, spec: meta.update(parts=[{"kind": "cells"}]),
        lambda meta, spec: meta["recipe"].update(model={}),
        lambda meta, spec: meta["recipe"]["model"].update(architecture={}),
        lambda meta, spec: meta["recipe"]["model"].update(architecture={"name": "os.system", "command": "true"}),
        lambda meta, spec: meta["recipe"]["model"]["architecture"].update(hidden_size="wide"),
        lambda meta, spec: meta["recipe"]["model"]["architecture"].update(hidden_size=8),
        lambda meta, spec: meta["recipe"]["task"].update(name="nothing"),
        lambda meta, spec: spec.clear(),
        lambda meta, spec: spec.update(form="smoke_signals"),
        lambda meta, spec: spec["inputs"]["tokens"]["options"].update(colour="red"),
    ],
)
def test_a_checkpoint_whose_words_do_not_make_a_model_is_refused(trained, tmp_path, spoil):
    run = shutil.copytree(trained, tmp_path / "run")
    kept = checkpoint.load(checkpoint.locate(run))
    spoil(kept.meta, kept.spec)
    checkpoint.save(run / "checkpoints" / "spoilt", dict(kept.weights), kept.meta, kept.spec)
    checkpoint.point(run / "checkpoints" / "best", "spoilt")
    with pytest.raises(rnnzoo.ZooError) as told:
        rnnzoo.load(run)
    assert len(str(told.value).splitlines()) <= 5


def test_a_run_without_a_checkpoint_is_told(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunError, match=f"no checkpoint at {run}"):
        rnnzoo.load(run)


def test_weights_are_the_checkpoints_to_the_last_bit(trained, model):
    kept = checkpoint.load(checkpoint.locate(trained))
    for name, tensor in model.model.state_dict().items():
        assert torch.equal(tensor, kept.weights[name])
    assert json.loads(json.dumps(model.recipe)) == kept.meta["recipe"]


# -- models without a run -------------------------------------------------------------------------------------------


def test_create_model_gives_a_plain_module():
    model = rnnzoo.create_model("stacked", 5, cell="gru", hidden_size=3, num_layers=2)
    assert isinstance(model, nn.Module)
    encoded = model(torch.randn(2, 4, 5), torch.tensor([4, 2]))
    assert encoded.outputs.shape == (2, 4, 3) and encoded.last.shape == (2, 3)
    encoded.outputs.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_create_model_computes_what_torch_computes():
    reference = nn.LSTM(5, 3, batch_first=True)
    model = rnnzoo.create_model("lstm", 5, hidden_size=3)
    model.load_torch(reference)
    x = torch.randn(2, 4, 5)
    torch.testing.assert_close(model(x).outputs, reference(x)[0])


def test_create_model_refuses_what_is_not_there():
    with pytest.raises(rnnzoo.ZooError, match="Did you mean 'stacked'"):
        rnnzoo.create_model("staked", 5)
    with pytest.raises(ValueError, match="hidden_size"):
        rnnzoo.create_model("lstm", 5, hidden_size=0)


@pytest.mark.parametrize("ending", [".csv", ".CSV", ".tsv", ".jsonl", ".JSONL", ".parquet", ".txt"])
def test_prediction_reads_a_table_as_training_does(ending, tmp_path):
    texts_of, path = ["great, really", "no good"], tmp_path / f"reviews{ending}"
    if ending == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table({"label": ["a", "b"], "text": texts_of}), path)
    else:
        lines = {
            ".csv": ["label,text", 'a,"great, really"', "b,no good"],
            ".tsv": ["label\ttext", "a\tgreat, really", "b\tno good"],
            ".jsonl": [json.dumps({"label": "a", "text": text}) for text in texts_of],
            ".txt": texts_of,
        }[ending.lower()]
        path.write_text("\n".join(lines) + "\n")
    with texts.opened(str(path), texts.Column()) as asked:
        assert list(asked) == texts_of
    if ending not in (".txt", ".jsonl", ".JSONL"):
        with (
            pytest.raises(DataError, match=r"no column 'review'.*\n.*label, text.*\n.*--text_column"),
            texts.opened(str(path), texts.Column("review")) as asked,
        ):
            list(asked)


def test_the_column_that_is_asked_is_the_one_that_was_trained_on_unless_another_is_named():
    data = {"name": "text_files", "text_column": "review", "encoding": "utf-16", "delimiter": ";"}
    assert texts.Column.of(data) == texts.Column("review", "utf-16", ";")
    assert texts.Column.of(data, "body").name == "body" and texts.Column.of({"name": "imdb"}) == texts.Column("text")


def test_a_forecaster_takes_the_table_that_it_was_trained_on_and_a_sound_model_its_recordings(tmp_path, capsys):
    rows = [f"{step},{step % 5},{(step * 3) % 7}" for step in range(120)]
    table = tmp_path / "series.csv"
    table.write_text("\n".join(["time,load,temp", *rows]) + "\n")
    given = f"data: {{name: csv_series, path: '{table}', time_column: time, lookback: 12, horizon: 4}}\n"
    (tmp_path / "series.yaml").write_text(given + "task: forecasting\ntrainer: {max_epochs: 1}\n")
    quiet = ["--tracking.mode=disabled", "--trainer.enable_progress_bar=false"]
    assert main(["fit", str(tmp_path / "series.yaml"), "--run_dir", str(tmp_path / "one"), *quiet]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "one"), "--file", str(table), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    model = predictor.load(tmp_path / "one")
    asked = model.predict([[[step % 5, (step * 3) % 7] for step in range(120)]])[0]
    assert answer["values"] == pytest.approx(np.array(asked["values"])) and len(answer["values"]) == 4

    for name, tone in (("low", 40), ("high", 200)):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for number in range(4):
            samples = np.sin(np.arange(400) * tone / 1000 * 2 * np.pi + number) * 2**14
            with wave.open(str(tmp_path / "clips" / name / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, 1000, 0, "NONE", ""))
                file.writeframes(samples.astype("<i2").tobytes())
    listed = [f"clips/{name}/{number}.wav,{name}" for name in ("low", "high") for number in range(4)]
    (tmp_path / "clips.csv").write_text("\n".join(["file,label", *listed]) + "\n")
    (tmp_path / "clips.yaml").write_text(
        f"data: {{name: sound_files, train: '{tmp_path / 'clips.csv'}', n_mels: 4, window_ms: 40, hop_ms: 20, "
        "dev_fraction: 0.3}\ntask: classification\ntrainer: {max_epochs: 1}\n"
    )
    assert main(["fit", str(tmp_path / "clips.yaml"), "--run_dir", str(tmp_path / "two"), *quiet]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "two"), "--file", str(tmp_path / "clips"), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["input"] for line in lines] == sorted(str(tmp_path / place.partition(",")[0]) for place in listed)
    assert main(["predict", str(tmp_path / "two"), "--file", lines[0]["input"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == lines[0]["label"]
    (tmp_path / "empty").mkdir()
    assert main(["predict", str(tmp_path / "two"), "--file", str(tmp_path / "empty")]) == 2
    assert "has no WAV files" in capsys.readouterr().err
