"""A model as an ONNX file, run by onnxruntime alone; and the same text answered by each format."""

import json
import subprocess
import sys

import pytest
import torch

import rnnzoo
from rnnzoo.cli import main
from rnnzoo.errors import Unavailable, ZooError
from rnnzoo.export import onnx_file
from rnnzoo.export.base import Exported
from rnnzoo.export.format import write
from rnnzoo.export.formats import find

ALONE = """
import json, sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
about = json.loads(session.get_modelmeta().custom_metadata_map["rnnzoo"])
names = about["inputs"]["tokens"]["names"]
ids = [names.index(word) for word in "it was truly not a surprise".split()]
(logits,) = session.run(None, {"tokens": numpy.array([ids]), "lengths": numpy.array([6])})
assert not {"rnnzoo", "torch"} & {*sys.modules}
p = numpy.exp(logits[0]) / numpy.exp(logits[0]).sum()
print(json.dumps(dict(zip(about["labels"], p.tolist()))))
"""


def test_an_onnx_file_answers_where_there_is_onnxruntime_alone(tmp_path, capsys):
    path = tmp_path / "model.onnx"
    assert main(["export", "quickstart", "--format", "onnx", "--out", str(path)]) == 0
    assert "agree with the model" in capsys.readouterr().out
    done = subprocess.run([sys.executable, "-c", ALONE, path], capture_output=True, text=True, check=True, cwd=tmp_path)
    (wanted,) = rnnzoo.load("quickstart").predict(["it was truly not a surprise"])
    assert json.loads(done.stdout) == pytest.approx(wanted["probabilities"], abs=1e-5)


def test_without_the_package_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(Unavailable, match=r"needs the package onnx\.\n  pip install 'rnnzoo\[onnx\]'"):
        onnx_file.FORMAT.write(Exported(rnnzoo.load("quickstart")), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ud_pos", "shakespeare_lstm"])
def test_a_sequence_in_parts_is_answered_as_a_whole_by_each_format(name, tmp_path):
    """Where the model can stream; the other shipped models are answered in one."""
    exported = Exported(rnnzoo.load(name))
    example = exported.example(2, 12)
    first = [slot.initial.expand(2, *slot.shape) for slot in exported.slots]
    whole = exported(*example.inputs.values(), example.lengths, *first)
    real = torch.arange(12) < example.lengths[:, None]
    for form in ("torch", "onnx"):
        path = tmp_path / f"{name}{find(form).suffix}"
        write(exported, find(form), path)
        with find(form).running(exported, path) as run:
            logits, *state = run(*example.inputs.values(), example.lengths, *first)
            assert (logits - whole[0])[real].abs().max() < 1e-4
            if exported.slots:
                (tokens,) = example.inputs.values()
                lengths = example.lengths.clamp(max=5)
                head, *state = run(tokens[:, :5], lengths, *first)
                tail, *state = run(tokens[:, 5:], example.lengths - lengths, *state)
                parts = torch.cat([torch.as_tensor(head), torch.as_tensor(tail)], 1)
                assert (parts - whole[0])[real].abs().max() < 1e-4
                for a, b in zip(state, whole[1:], strict=True):
                    assert (a - b).abs().max() < 1e-4


def test_a_task_that_writes_by_a_search_is_refused_in_one_line(tmp_path):
    from rnnzoo import recipe
    from rnnzoo.experiment.resolver import resolve

    predictor = type("Loaded", (), {})()
    predictor.recipe = resolve(recipe.read("toy_reverse"))
    predictor.model = predictor.spec = None
    predictor.task = type("Writes", (), {"needs": "sequence_to_sequence"})()
    with pytest.raises(ZooError, match="the task translation cannot be exported: its decoder reads"):
        Exported(predictor)
