"""Measuring the gradient through time changes nothing of a training, and leaves numbers and pictures."""

import json

import torch

from rnnzoo import runs
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import read
from rnnzoo.runs import checkpoint

SMALL = [
    "--data.examples=64",
    "--data.batch_size=16",
    "--trainer.max_epochs=1",
    "--trainer.enable_progress_bar=false",
    "--tracking.mode=disabled",
]


def trained(folder, *overrides):
    _, run = fit(resolve(read("quickstart", [*SMALL, "--model.head.dropout=0.3", *overrides])), folder)
    last = checkpoint.load(checkpoint.follow(run.checkpoints / "last")).weights
    return last, [json.loads(line) for line in run.metrics.read_text().splitlines()]


def test_training_is_the_same_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv(runs.SHARED, "")
    watched, records = trained(
        tmp_path / "watched", "--callbacks.gradient_flow.every_n_steps=2", "--callbacks.gradient_flow.share=1.0"
    )
    alone, _ = trained(tmp_path / "alone")
    assert all(torch.equal(watched[name], weight) for name, weight in alone.items())
    measured = [record for record in records if any(name.startswith("flow/") for name in record)]
    pictures = sorted((tmp_path / "watched" / "pictures").glob("gradient_flow-*.svg"))
    assert [record["step"] for record in measured] == list(range(0, 2 * len(pictures), 2)) and len(pictures) > 1
    assert "|dL/ds_(T-k)|" in pictures[0].read_text()


def test_what_cannot_be_measured_is_one_warning_and_the_training_is_the_same(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise MemoryError("no room\x1b[2J for a graph")

    monkeypatch.setenv(runs.SHARED, "")
    monkeypatch.setattr("rnnzoo.training.callbacks.gradient_flow.measure", fail)
    watched, records = trained(tmp_path / "watched", "--callbacks.gradient_flow.every_n_steps=1")
    alone, _ = trained(tmp_path / "alone")
    assert all(torch.equal(watched[name], weight) for name, weight in alone.items())
    assert not any(name.startswith("flow/") for record in records for name in record)
    (message,) = [r.getMessage() for r in caplog.records if "gradient through time" in r.getMessage()]
    assert "MemoryError: no room" in message and "\x1b" not in message
