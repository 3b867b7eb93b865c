"""The gradient through time is the derivative, and vanishes and explodes where arithmetic says so."""

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from conftest import write_reviews

from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cli import main
from rnnzoo.experiment import gradients
from rnnzoo.model import SequenceModel, build_model
from rnnzoo.tasks.regression import Regression

SPEC = DataSpec("measured_series", {"values": Field("values", size=3)}, Field("values", size=1))
LENGTHS = torch.tensor([9, 5, 1])


def network(cell: str, size: int = 4) -> SequenceModel:
    return build_model(SPEC, Regression(SPEC), {"name": "recurrent", "cell": cell, "hidden_size": size})


def batch() -> Batch:
    return Batch({"values": torch.rand(3, 9, 3)}, LENGTHS)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_a_gradient_through_k_equal_steps_is_the_steps_scale_to_the_power_of_k(scale):
    model = network("vanilla_relu")
    cell = model.architecture.cells[0]
    with torch.no_grad():  # h' = relu(scale h + |W| x) of positive numbers: linear
        cell.weight_hh.copy_(scale * torch.eye(4))
        cell.weight_ih.abs_()
        for bias in (cell.bias_ih, cell.bias_hh):
            bias.zero_()
    sums, counts = gradients.through_time(model, Batch({"values": torch.rand(3, 9, 3)}, torch.tensor([9, 9, 9])))
    torch.testing.assert_close(sums / sums[0], scale ** torch.arange(9.0))
    assert counts.tolist() == [3] * 9


def test_it_is_the_derivative_of_a_projection_of_the_last_output():
    model, data = network("gru"), batch()
    torch.manual_seed(0)
    sums, counts = gradients.through_time(model, data)
    torch.manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(3, 4), dim=-1)
    wanted = torch.zeros(9)
    for row, length in enumerate(LENGTHS.tolist()):

        def last(x):
            return model.architecture(x[None]).outputs[0, -1]

        jacobian = torch.autograd.functional.jacobian(last, data.inputs["values"][row, :length])
        norms = torch.einsum("h,hti->ti", directions[row], jacobian).norm(dim=-1)
        wanted[:length] += norms.flip(0)
    torch.testing.assert_close(sums, wanted)
    assert counts.tolist() == [3, 2, 2, 2, 2, 1, 1, 1, 1]


def test_the_command_draws_a_line_for_each_run_and_tells_its_numbers(here, capsys):
    write_reviews(here)
    assert main(["fit", "reviews.yaml", "--run_dir", "run", "--trainer.max_epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["gradients", "run", "--out", "reach.svg", "--json"]) == 0
    (norms,) = json.loads(capsys.readouterr().out).values()
    assert len(norms) == 5 and all(norm > 0 for norm in norms)  # "a good film number 3" has five words
    assert len(list(ET.parse("reach.svg").iter("{http://www.w3.org/2000/svg}polyline"))) == 1


@pytest.fixture
def measured(monkeypatch):
    """Runs whose gradients are told, by name."""
    told = {"lstm/run": [4.0, 2.0, 1.0], "gru/run": [1.0, 0.5, 0.1], "dead": [0.0, 0.0], "lost": [math.nan, math.nan]}
    monkeypatch.setattr(gradients, "of_run", told.__getitem__)
    return told


def test_runs_of_one_name_are_told_apart_by_the_paths_that_were_given(here, measured, capsys):
    assert main(["gradients", "lstm/run", "gru/run", "dead", "--out", "reach.svg"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "lstm/run: the gradient is halved 2 steps back",
        "gru/run: the gradient is halved 2 steps back",
        "dead: the gradient is zero, infinite or NaN at the last step",
        "drawn: reach.svg",
    ]
    words = [text.text for text in ET.parse("reach.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert words[-2:] == ["lstm/run", "gru/run"]


@pytest.mark.parametrize("run", ["dead", "lost"])
def test_gradients_of_zero_are_told_and_not_drawn(here, measured, capsys, run):
    assert main(["gradients", run, "--out", "reach.svg"]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{run}: the gradient is") and not Path("reach.svg").exists()
    assert f"nothing to draw: the gradient is zero, infinite or NaN at the last step of {run}." in printed.err


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_the_numbers_are_told_even_if_the_picture_cannot_be_written(here, measured, capsys, how):
    assert main(["gradients", "gru/run", "--out", "nowhere/reach.svg", *how]) == 2
    printed = capsys.readouterr()
    assert "gru/run" in printed.out and "drawn" not in printed.out
    assert "cannot write nowhere/reach.svg: No such file or directory" in printed.err
