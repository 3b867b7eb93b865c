"""Weights of 8 bits: how far they move, that files hold them, and what is told of their cost."""

import shutil

import pytest
import torch

import rnnzoo
from rnnzoo.cli import main
from rnnzoo.errors import ZooError
from rnnzoo.export.base import Exported
from rnnzoo.export.format import write
from rnnzoo.export.formats import find
from rnnzoo.export.rounding import eight_bits


def test_no_weight_moves_by_more_than_half_a_step_of_its_row():
    matrix = torch.randn(40, 30) * torch.logspace(-3, 3, 40)[:, None]
    matrix[7] = 0
    whole = eight_bits(matrix)
    assert whole.whole.dtype == torch.int8 and int(whole.whole.min()) >= -127
    assert ((whole.value - matrix).abs() <= whole.scale[:, None] * 0.5001).all()
    assert torch.allclose(whole.scale[matrix.abs().amax(1) > 0] * 127, matrix.abs().amax(1)[matrix.abs().amax(1) > 0])
    assert torch.equal(eight_bits(whole.value).value, whole.value)


def test_rounding_leaves_the_model_that_was_loaded_as_it_is():
    model = rnnzoo.load("quickstart")
    before = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    exported = Exported(model, int8=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.model.state_dict().items())
    assert exported.description()["weights"] == "int8" and exported.rounded


def test_a_format_without_8_bits_refuses_them_before_it_writes(tmp_path):
    with pytest.raises(ZooError, match="format torch has no weights of 8 bits"):
        write(Exported(rnnzoo.load("quickstart"), int8=True), find("torch"), tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_file_of_8_bits_is_smaller_and_its_cost_in_the_metric_is_told(tmp_path, capsys):
    path = tmp_path / "model.c"
    assert main(["export", "quickstart", "--format", "c", "--int8", "--out", str(path)]) == 0
    said = capsys.readouterr().out
    assert "agree with the model in 8 bits" in said and "test/accuracy: 1 with its own weights, 1 in 8 bits" in said
    numbers = sum(tensor.numel() for tensor in rnnzoo.load("quickstart").model.parameters())
    assert path.stat().st_size < 2 * numbers


@pytest.mark.slow
def test_an_onnx_file_of_8_bits_computes_with_exactly_the_rounded_weights(tmp_path):
    import onnx

    path = tmp_path / "model.onnx"
    exported = Exported(rnnzoo.load("quickstart"), int8=True)
    assert write(exported, find("onnx"), path).difference < 1e-5
    kinds = {tensor.data_type for tensor in onnx.load(str(path)).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds
