import math

import numpy as np
import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo.data.forms.transcribed import TranscribedSeries
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.model import build_model
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.transcription import Transcription

FORM = TranscribedSeries()
COLUMNS = {"values": [np.eye(2)[[0, 1, 0, 1]], np.eye(2)[[1, 1]]], "text": ["a b", "b"]}
SPEC = FORM.fit(COLUMNS)
A, B = (SPEC.target.names.index(name) for name in "ab")


def logits_of(*rows):
    """(batch, time, tokens): all but certain of one token at each step."""
    logits = torch.zeros(len(rows), max(map(len, rows)), SPEC.target.size)
    for row, path in zip(logits, rows, strict=True):
        row[range(len(path)), path] = 9.0
    return logits


def test_the_error_rate_counts_edits_of_tokens():
    batch = FORM.encode(COLUMNS, SPEC)[[0, 1]]
    task = Transcription(SPEC)
    metrics = task.metrics()
    output = Output(logits_of([A, A, 0, A], [B, 0]))
    task.update(metrics, output, batch, task.loss(None, output, batch), None)  # a a for a b; b for b
    assert metrics.compute()["error_rate"].item() == pytest.approx(1 / 3)
    assert task.count(batch) == 3


def test_the_loss_is_nats_a_token():
    batch = FORM.encode(COLUMNS, SPEC)[[0, 1]]
    equal = Output(torch.zeros(2, 4, SPEC.target.size))
    ways = {"a b": 15, "b": 3}  # alignments: with 0 the blank, 1 to 4 steps a piece; b0, 0b, bb
    steps = 4 + 2
    wanted = steps * math.log(SPEC.target.size) - sum(math.log(way) for way in ways.values())
    assert Transcription(SPEC).loss(None, equal, batch).item() == pytest.approx(wanted / 3, rel=1e-6)


@pytest.mark.parametrize("beam", [1, 4])
def test_a_prediction_is_the_text_that_is_decoded(beam):
    batch = FORM.encode(COLUMNS, SPEC)[[0, 1]]
    task = Transcription(SPEC, beam=beam)
    task.forward = lambda model, batch: Output(logits_of([B, 0, B, A], [A, A]))
    assert task.predictions(None, batch) == [{"text": "b b a"}, {"text": "a"}]


def test_a_series_is_transcribed_alike_whatever_stands_beside_it():
    torch.manual_seed(0)
    task = Transcription(SPEC, beam=3)
    model = build_model(SPEC, task, {"name": "bidirectional", "hidden_size": 5}).eval()
    long = {"values": [np.random.default_rng(0).normal(size=(size, 2)) for size in (9, 5, 3)]}
    examples = FORM.encode(long, SPEC)
    together = task.predictions(model, examples[[0, 1, 2]])
    assert together == [task.predictions(model, examples[[row]])[0] for row in range(3)]


def test_the_recipes_of_sounds_resolve_and_a_decoder_or_another_task_is_refused_with_the_reason():
    resolve(recipes.read("spoken_digits"))
    resolve(recipes.read("digit_strings"))
    with pytest.raises(RecipeError, match="names a token or a blank at each step"):
        resolve(recipes.read("digit_strings", ["--model.architecture.name=encoder_decoder"]))
    with pytest.raises(RecipeError, match="Tasks for 'spoken_digits': classification"):
        resolve(recipes.read("spoken_digits", ["--task.name=transcription"]))
