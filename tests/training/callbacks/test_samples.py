"""Tests of rnnzoo.training.callbacks.samples: text is written as training goes on, and changes nothing of it."""

import pytest
import torch
from lightning.pytorch.loggers import Logger
from safetensors.torch import load_file

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint, tracking
from rnnzoo.runs.trackers.base import Tracker
from rnnzoo.training.callbacks.samples import Samples

SMALL = ["--trainer.limit_train_batches=3", "--trainer.limit_val_batches=1", "--trainer.max_epochs=2"]
SMALL += ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--tracking.mode=disabled"]


class Tables(Tracker):
    """Keeps the tables that it is given."""

    def __init__(self):
        super().__init__()
        self.tables = []

    def log_metrics(self, metrics, step=None):
        pass

    def log_table(self, name, columns, rows, step):
        self.tables.append((name, columns, rows, step))


def trained(folder, monkeypatch, tables: list[Logger], overrides=()):
    """The last weights of a run with further trackers."""
    made = tracking.make_loggers
    monkeypatch.setattr(tracking, "make_loggers", lambda *arguments: [*made(*arguments), *tables])
    _, run = fit(resolve(recipes.read("toy_text", [*SMALL, *overrides])), folder)
    monkeypatch.undo()
    return load_file(checkpoint.follow(run.checkpoints / "last") / "weights.safetensors")


def test_a_language_model_writes_at_each_validation_and_its_training_is_as_without(tmp_path, monkeypatch):
    kept = Tables()
    with_samples = trained(tmp_path / "a", monkeypatch, [kept])
    without = trained(tmp_path / "b", monkeypatch, [])
    assert all(torch.equal(with_samples[name], without[name]) for name in without)
    samples = [table for table in kept.tables if table[0] == "val/samples"]
    assert [(columns, step) for _, columns, _, step in samples] == [(["prompt", "text"], 3), (["prompt", "text"], 6)]
    texts = [row[1] for *_, rows, _ in samples for row in rows]
    assert all(texts) and texts[0] != texts[1]


def test_prompts_of_a_recipe_are_continued(tmp_path, monkeypatch):
    kept = Tables()
    trained(tmp_path / "a", monkeypatch, [kept], ["--callbacks.samples.prompts=['a', 'b']"])
    *_, rows, _ = next(table for table in kept.tables if table[0] == "val/samples")
    assert [prompt for prompt, _ in rows] == ["a", "b"] and all(text.startswith(prompt) for prompt, text in rows)


def test_a_task_that_writes_no_text_is_refused():
    recipe = resolve(recipes.read("toy_tags", SMALL))
    module = build.make_module(recipe, build.make_data(recipe).spec)
    with pytest.raises(RecipeError, match="does not generate text"):
        Samples().check(module)
