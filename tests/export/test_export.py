"""A trained model as a file: what every format shares, and that a file which does not agree is not kept."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import rnnzoo
from rnnzoo.cli import main
from rnnzoo.errors import ZooError
from rnnzoo.export.base import SHAPES, Exported
from rnnzoo.export.format import Format, write
from rnnzoo.export.formats import FORMATS, find


class Pickled(Format):
    """Writes nothing of use, and runs the model itself, changed by `change`."""

    name, suffix = "pickled", ".txt"

    def __init__(self, change):
        self.change = change

    def write(self, exported, path: Path):
        path.write_text("weights")

    @contextmanager
    def running(self, exported, path):
        yield lambda *arguments: [self.change(t) for t in exported(*arguments)]


@pytest.fixture(scope="module")
def quickstart():
    return Exported(rnnzoo.load("quickstart"))


def test_a_file_that_answers_otherwise_is_not_kept_and_the_difference_is_told(quickstart, tmp_path):
    path = tmp_path / "model.txt"
    path.write_text("before")
    with pytest.raises(ZooError, match=r"logits at batch 2, time 5 differs by 0\.01"):
        write(quickstart, Pickled(lambda t: t + 0.01), path)
    with pytest.raises(ZooError, match="shape"):
        write(quickstart, Pickled(lambda t: t[:1]), path)
    with pytest.raises(ZooError, match="differs by nan"):
        write(quickstart, Pickled(lambda t: t * torch.nan), path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.txt"] and path.read_text() == "before"


def test_a_file_that_answers_alike_is_kept(quickstart, tmp_path):
    report = write(quickstart, Pickled(lambda t: t + 1e-6), tmp_path / "model.txt")
    assert 0 < report.difference < 2e-6 and report.calls == len(SHAPES)
    assert report.size == len((tmp_path / "model.txt").read_text()) == len("weights")


def test_the_checks_use_other_batches_and_lengths_than_the_example():
    assert len({batch for batch, _ in SHAPES}) > 2 and len({time for _, time in SHAPES}) > 2
    assert any(batch == 1 for batch, _ in SHAPES) and any(time == 1 for _, time in SHAPES)


def test_a_description_has_the_labels_the_vocabulary_and_the_states():
    language = Exported(rnnzoo.load("shakespeare_lstm"))
    described = language.description()
    assert [state["name"] for state in described["states"]] == ["h_0", "c_0", "h_1", "c_1"]
    assert described["states"][0]["shape"] == [256] and described["states"][0]["initial"] == 0
    assert described["inputs"]["tokens"]["names"] == list(language.spec.inputs["tokens"].names)
    assert described["outputs"]["logits"] == ["batch", "time", "classes"]
    assert language.output_names == ("logits", "h_0_after", "c_0_after", "h_1_after", "c_1_after")


def test_a_model_that_sees_what_comes_has_no_state(quickstart):
    assert quickstart.slots == () and quickstart.description()["states"] == []
    assert quickstart.labels == ("negative", "positive")


def test_every_format_has_its_own_name_and_an_unknown_one_is_told():
    assert [find(name).name for name in FORMATS] == list(FORMATS)
    with pytest.raises(ZooError, match=r"no format of an export is named 'torc'.\n  Did you mean 'torch'"):
        find("torc")


def test_a_torch_program_is_written_by_the_command_line(tmp_path, capsys):
    path = tmp_path / "quickstart.pt2"
    assert main(["export", "quickstart", "--format", "torch", "--out", str(path)]) == 0
    assert f"{len(SHAPES)} calls of other sizes agree" in capsys.readouterr().out and path.stat().st_size > 100_000


ALONE = """
import json, sys, torch
found = {"rnnzoo.json": ""}
program = torch.export.load(sys.argv[1], extra_files=found).module()
about = json.loads(found["rnnzoo.json"])
names = about["inputs"]["tokens"]["names"]
ids = torch.tensor([[names.index(word) for word in "it was truly not a surprise".split()]])
with torch.no_grad():
    (logits,) = program(ids, torch.tensor([6]))
assert "rnnzoo" not in sys.modules
print(json.dumps(dict(zip(about["labels"], logits.softmax(-1)[0].tolist()))))
"""


@pytest.mark.slow
def test_a_torch_program_answers_where_there_is_torch_alone(quickstart, tmp_path):
    path = tmp_path / "model.pt2"
    write(quickstart, find("torch"), path)
    done = subprocess.run([sys.executable, "-c", ALONE, path], capture_output=True, text=True, check=True, cwd=tmp_path)
    (wanted,) = rnnzoo.load("quickstart").predict(["it was truly not a surprise"])
    assert json.loads(done.stdout) == pytest.approx(wanted["probabilities"], abs=1e-5)
