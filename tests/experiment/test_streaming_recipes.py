"""`data.streaming` in a recipe: the same weights as from rows in memory, and what it does not go with."""

import json
from pathlib import Path

import pytest
import torch
from conftest import write_reviews

from rnnzoo import recipe as recipes
from rnnzoo.cli import main
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe.writing import digest
from rnnzoo.runs import checkpoint

TEXT = """
data: {name: text_lines, train: text.txt, tbptt_steps: 5, batch_size: 4}
task: {name: next_word}
model: {architecture: {name: lstm, hidden_size: 4}, inputs: {tokens: {size: 4}}}
trainer: {max_epochs: 2, enable_progress_bar: false}
tracking: {mode: disabled}
"""


@pytest.fixture(autouse=True)
def recipe(monkeypatch, tmp_path):
    """A recipe of reviews, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNZOO_CACHE", str(tmp_path / "cache"))
    return str(write_reviews(tmp_path))


def trained(run, *arguments):
    """The weights, and the metrics of the test."""
    assert main(["fit", *arguments, "--trainer.max_epochs", "2", "--run_dir", run]) == 0
    weights = checkpoint.load(checkpoint.follow(Path(run, "checkpoints", "last"))).weights
    return weights, json.loads(Path(run, "summary.json").read_text())


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.slow
def test_a_run_of_a_stream_is_the_run_in_memory(recipe, tmp_path):
    (tmp_path / "text.yaml").write_text(TEXT)
    (tmp_path / "text.txt").write_text("the dog sees the cat and\nthe cat sees the dog\n" * 40)
    for file in (recipe, str(tmp_path / "text.yaml")):
        name = Path(file).stem
        weights, summary = trained(f"whole-{name}", file)
        of_stream, streamed = trained(f"streamed-{name}", file, "--data.streaming", "true")
        assert same(weights, of_stream)
        assert summary["data"]["fingerprint"] == streamed["data"]["fingerprint"]


@pytest.mark.slow
def test_a_run_of_a_stream_in_windows_goes_on_where_it_stopped(recipe):
    options = ("--data.streaming", "true", "--data.window", "16", "--data.num_workers", "1")
    weights, _ = trained("at-once", recipe, *options)
    stopped = ["fit", recipe, *options, "--trainer.max_steps", "5", "--run_dir", "stopped"]
    assert main(stopped) == 0
    assert main(["fit", "--resume", "stopped", "--trainer.max_steps", "-1", "--trainer.max_epochs", "2"]) == 0
    assert same(weights, checkpoint.load(checkpoint.follow(Path("stopped", "checkpoints", "last"))).weights)


def resolved(recipe, *overrides):
    return resolve(recipes.read(recipe, overrides))


def test_a_recipe_that_does_not_stream_is_as_it_was_before_there_were_streams(recipe):
    assert "streaming" not in resolved(recipe)["data"] and "window" not in resolved(recipe)["data"]
    assert digest(resolved(recipe, "--data.streaming=false")) == digest(resolved(recipe))
    assert digest(resolved(recipe, "--data.streaming=true")) != digest(resolved(recipe))


@pytest.mark.parametrize(
    ("name", "overrides", "said"),
    [
        (None, ["--data.window=5"], r"data.window: is of data that stream: set data.streaming: true"),
        (None, ["--data.streaming=true", "--data.window=0"], r"data.window: must be"),
        (
            None,
            ["--data.streaming=true", "--data.folds=3", "--data.fold=1"],
            r"data.streaming: cross-validation needs all rows in memory",
        ),
        ("adding_lstm", ["--data.streaming=true"], r"data.streaming: data of the form measured_series cannot stream"),
    ],
)
def test_what_a_stream_does_not_go_with_is_said(recipe, name, overrides, said):
    with pytest.raises(RecipeError, match=said):
        resolved(name or recipe, *overrides)
