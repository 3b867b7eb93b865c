"""Vectors of texts and series: in order, whatever stands beside them, as a file that is complete or not there."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from untrained import untrained

from rnnzoo.cli import main
from rnnzoo.errors import DataError, RunError, Unwritable
from rnnzoo.inference import encode, predictor

TEXTS = ["the food was not bad at all", "good", "", "the film, which we did not like, was a bad bad story"] * 3
WORDS = ["one", "one two", "one two three"]
SMALL = ("--data.examples=24",)


@pytest.fixture(scope="module")
def model():
    return untrained("quickstart", *SMALL, "--model.pooling=max_mean")


def test_a_vector_is_what_the_head_reads(model):
    found = encode.vectors(model, TEXTS)
    assert found.shape == (12, 4 * 64) and found.dtype == np.float32
    logits = model.model.head(torch.from_numpy(found)).softmax(-1)
    for row, answer in zip(logits.tolist(), model.predict(TEXTS), strict=True):
        assert row == pytest.approx(list(answer["probabilities"].values()), abs=1e-5)


@pytest.mark.parametrize("pooling", [None, *encode.POOLINGS])
def test_what_stands_beside_a_text_never_changes_its_vector(model, pooling):
    together = encode.vectors(model, TEXTS, pooling, batch_size=5)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(encode.vectors(model, [text], pooling)[0], vector, atol=1e-5)


@pytest.mark.parametrize(
    ("recipe", "asked"),
    [
        ("toy_tags", WORDS),
        ("toy_text", WORDS),
        ("toy_reverse", WORDS),
        ("adding_lstm", [[[0.5, 1.0]], [[0.1, 0.0]] * 4]),
    ],
)
def test_models_of_every_kind_have_vectors(recipe, asked):
    found = encode.vectors(untrained(recipe, *SMALL, "--model.architecture.hidden_size=8"), asked)
    assert found.shape[0] == len(asked) and np.isfinite(found).all()
    assert len(np.unique(found.round(7), axis=0)) == len(asked)  # of another length each


def test_a_file_is_read_by_numpy_without_pickle_and_holds_all_rows_in_order(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predictor, "load", lambda run: model)
    monkeypatch.setattr(encode, "AHEAD", 5)  # several groups
    Path("texts.txt").write_text("\n".join(TEXTS) + "\n")
    assert main(["encode", "run", "--file", "texts.txt", "--out", "v.npy"]) == 0
    assert capsys.readouterr().out == "v.npy: 12 vectors of 256 numbers\n"
    found = np.load("v.npy", allow_pickle=False)
    np.testing.assert_allclose(found, encode.vectors(model, TEXTS), atol=1e-5)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(TEXTS[:2]).encode())))
    assert main(["encode", "run", "--file", "-", "--out", "v.npy", "--pooling", "last"]) == 0
    assert np.load("v.npy", allow_pickle=False).shape == (2, 128)


def test_where_reading_fails_the_file_before_stays(model, tmp_path):
    path = tmp_path / "v.npy"
    path.write_bytes(b"before")

    def broken():
        yield from TEXTS
        raise DataError("line 13 is broken")

    for texts, words in ((broken(), "line 13"), ([], "there is nothing to encode")):
        with pytest.raises(DataError, match=words):
            encode.write(model, texts, path)
        assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["v.npy"]


def test_a_place_that_cannot_be_written_and_a_pooling_that_is_not_there_are_told(model, tmp_path):
    with pytest.raises(Unwritable, match="Make the folder") as error:
        encode.write(model, TEXTS, tmp_path / "nowhere" / "v.npy")
    assert str(error.value).startswith("cannot write ")
    with pytest.raises(Unwritable, match="it is a folder"):
        encode.write(model, TEXTS, tmp_path)
    with pytest.raises(RunError, match="no pooling is named 'maen'"):
        encode.write(model, TEXTS, tmp_path / "v.npy", "maen")
