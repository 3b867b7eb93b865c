"""A model as an ONNX file, run by onnxruntime alone; and the same text answered by each format."""

import json
import subprocess
import sys

import pytest

import rnnzoo
from rnnzoo.cli import main
from rnnzoo.errors import Unavailable, ZooError
from rnnzoo.export import onnx_file
from rnnzoo.export.base import Exported

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


def test_a_task_that_writes_by_a_search_is_refused_in_one_line(tmp_path):
    from rnnzoo import recipe
    from rnnzoo.experiment.resolver import resolve

    predictor = type("Loaded", (), {})()
    predictor.recipe = resolve(recipe.read("toy_reverse"))
    predictor.model = predictor.spec = None
    predictor.task = type("Writes", (), {"needs": "sequence_to_sequence"})()
    with pytest.raises(ZooError, match="the task translation cannot be exported: its decoder reads"):
        Exported(predictor)
