"""A path or a precision is chosen only where this machine has it."""

import os
import subprocess
import sys

import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.engine.choose import PATHS, choose
from rnnzoo.engine.sequences import Sequences
from rnnzoo.experiment.resolver import resolve
from rnnzoo.system import capability
from rnnzoo.training.trainer import make_trainer

HALVES = (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("dtype", HALVES)
def test_the_fused_lstm_is_chosen_under_autocast_exactly_where_it_runs(dtype):
    x, layer = torch.randn(2, 5, 3), torch.nn.LSTM(3, 4, batch_first=True)
    with torch.autocast("cpu", dtype=dtype):
        try:
            layer(x)[0].sum().backward()
            runs = True
        except RuntimeError:
            runs = False
        refusal = PATHS["fused"].refuses(LSTMCell(3, 4), Sequences.of(x))
    assert (refusal is None) == runs == capability.fused_lstm("cpu", dtype)
    assert runs or refusal == f"this processor has no fused LSTM in {str(dtype).removeprefix('torch.')}"


@pytest.mark.parametrize("cell_class", [LSTMCell, GRUCell])
@pytest.mark.parametrize("dtype", HALVES)
def test_every_machine_trains_under_autocast(cell_class, dtype, monkeypatch):
    monkeypatch.setattr(capability, "fused_lstm", lambda device, dtype: False)
    cell, x = cell_class(3, 4), Sequences.of(torch.randn(2, 5, 3))
    with torch.autocast("cpu", dtype=dtype):
        path, _ = choose(cell, x)
        path.run(cell, x, None, False, False)[0].padded.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())


@pytest.mark.parametrize(("has", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_precision_of_auto_is_what_the_processor_has(has, precision, monkeypatch):
    monkeypatch.setattr(capability, "bfloat16", lambda device: has)
    recipe = resolve(recipes.read("quickstart", ["--trainer.precision=auto", "--trainer.accelerator=cpu"]))
    assert make_trainer(recipe).precision == precision


def test_no_shipped_recipe_asks_for_a_precision_that_a_processor_may_lack():
    for name in recipes.shipped():
        precision = resolve(recipes.read(name))["trainer"]["precision"]
        assert precision in ("auto", "32-true"), name


def test_the_processor_is_asked_and_not_remembered_of_another_one():
    """oneDNN's own switch makes this processor one without AVX-512."""
    code = "import torch; from rnnzoo.system import capability as c; print(c.fused_lstm('cpu', torch.bfloat16))"
    told = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}, capture_output=True, text=True
    )
    assert told.stdout.strip() == "False", told.stderr
