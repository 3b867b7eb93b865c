"""Pictures of attention, in the run's folder and in W&B's."""

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.pictures import svg

FIT = [
    "fit",
    "toy_reverse",
    "--data.examples",
    "60",
    "--trainer.max_epochs",
    "2",
    "--model.architecture.hidden_size",
    "8",
    "--trainer.enable_progress_bar",
    "false",
    "--callbacks.attention.sentences",
    "2",
    "--task.max_steps",
    "10",
]


def test_each_validation_leaves_a_picture_a_sentence_in_the_run_and_in_wandb(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    environment |= {"WANDB_MODE": "offline", "HOME": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "rnnzoo", *FIT, "--run_dir", str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    pictures = sorted((tmp_path / "run" / "pictures").glob("attention*"))
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] + 1 for line in metrics if "val/loss" in line]
    names = [f"attention_{n}-{step:06}.svg" for n in (1, 2) for step in steps]
    assert [path.name for path in pictures] == names
    kept = list((tmp_path / "run").glob("wandb/offline-run-*/files/media/html/*.html"))
    assert sorted(path.read_text() for path in kept) == sorted(path.read_text() for path in pictures)


def test_a_grid_has_a_square_for_each_value_and_a_name_for_each_row_and_column():
    values = torch.rand(2, 3).softmax(-1).tolist()
    drawn = ElementTree.fromstring(svg.grid("a < b", ["x", "y", "&"], ["▁p", "q"], values))
    kind = "{http://www.w3.org/2000/svg}"
    shades = [float(square.get("fill-opacity")) for square in drawn.iter(f"{kind}rect") if square.get("fill-opacity")]
    assert shades == pytest.approx([value for row in values for value in row], abs=1e-3)
    assert {text.text for text in drawn.iter(f"{kind}text")} == {"a < b", "x", "y", "&", "▁p", "q"}


def test_a_decoder_without_attention_has_nothing_to_draw(tmp_path):
    given = ["--model.architecture.attention=none", "--callbacks.attention.sentences=1", "--data.examples=60"]
    recipe = recipes.read("toy_reverse", [*given, "--tracking.mode=disabled", "--trainer.enable_progress_bar=false"])
    with pytest.raises(RecipeError, match="nothing that could be drawn"):
        fit(resolve(recipe), tmp_path / "run")
