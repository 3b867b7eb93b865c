"""A model as a file of C99: built by a strict compiler, equal to the model, for plugin cells too."""

import shutil
import subprocess

import pytest
import torch
from untrained import untrained

import rnnzoo
from rnnzoo.cli import main
from rnnzoo.engine.codegen.ir import OPERATIONS, ROW_SUM
from rnnzoo.errors import ZooError
from rnnzoo.export.base import Exported
from rnnzoo.export.c.cells import HELPERS, IN_C
from rnnzoo.export.c.file import STRICT
from rnnzoo.export.c.weights import ALPHABET, Weights
from rnnzoo.export.format import write
from rnnzoo.export.formats import find

compiled = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
SENTENCE = "it was truly not a surprise"


class Affine(rnnzoo.PointwiseCell):
    """A stranger's cell: its scale over channels is a sum, its step reads a parameter of its own."""

    is_builtin = False
    gates = ("i", "g")
    states = ("h", "c")
    params = ("peep",)

    def update(self, gx, gh, state):
        i = torch.sigmoid(gx.i + gh.i + self.peep * state.c)
        g = torch.nn.functional.softplus(gx.g * gh.g)
        c = torch.lerp(state.c, g, i)
        return torch.nn.functional.layer_norm(c, (self.hidden_size,)).clamp(-2, 2), c


class Squared(rnnzoo.Cell):
    """A stranger's cell whose step has two products."""

    is_builtin = False
    gates = ("a",)

    def make_recurrent(self):
        self.u = torch.nn.Parameter(torch.empty(self.hidden_size, self.hidden_size))

    def step(self, gx, state):
        return (torch.tanh(gx + (state.h @ self.u) @ self.u),)


def language(cell, *changes):
    """A small language model, untrained, of a cell."""
    architecture = f"--model.architecture={{name: stacked, cell: {cell}, hidden_size: 8, num_layers: 2}}"
    return Exported(untrained("toy_text", "--data.examples=40", architecture, *changes))


@pytest.fixture
def strangers():
    rnnzoo.register("cells", "affine", Affine)
    rnnzoo.register("cells", "squared", Squared)
    yield
    rnnzoo.unregister("cells", "affine")
    rnnzoo.unregister("cells", "squared")


@compiled
def test_a_c_file_is_a_program_that_answers_lines_of_ids(tmp_path, capsys):
    path, program = tmp_path / "model.c", tmp_path / "model"
    assert main(["export", "quickstart", "--format", "c", "--out", str(path)]) == 0
    assert "agree with the model" in capsys.readouterr().out
    subprocess.run(["cc", *STRICT, "-DRNN_MAIN", "-o", program, path, "-lm"], check=True)
    model = rnnzoo.load("quickstart")
    ids = [model.spec.inputs["tokens"].names.index(word) for word in SENTENCE.split()]
    text = " ".join(map(str, ids)) + "\n" + ",".join(map(str, ids[:2])) + "\n"
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    first, second = ([float(number) for number in line.split()] for line in done.stdout.splitlines())
    with torch.no_grad():
        probabilities = model.task.calibration.probabilities(torch.tensor([first, second]))
    for found, words in zip(probabilities.tolist(), (SENTENCE, " ".join(SENTENCE.split()[:2])), strict=True):
        assert list(model.predict([words])[0]["probabilities"].values()) == pytest.approx(found, abs=1e-4)
    for wrong, why in {"1 x": "'x' is not a number", "99999999": "an id is not the model's"}.items():
        done = subprocess.run([program], input=wrong, capture_output=True, text=True)
        assert done.returncode == 2 and why in done.stderr


@compiled
def test_a_strangers_cell_that_traces_is_c_and_another_is_refused_with_the_reason(strangers, tmp_path):
    report = write(language("affine"), find("c"), tmp_path / "model.c")
    assert report.difference < 1e-4
    with pytest.raises(ZooError, match=r"^a C file cannot run Squared: update uses 'mm', which has no scalar code"):
        write(language("squared"), find("c"), tmp_path / "other.c")
    assert [file.name for file in tmp_path.iterdir()] == ["model.c"]


def test_every_operation_of_a_trace_has_an_expression_in_c():
    assert set(OPERATIONS) - {ROW_SUM} <= set(IN_C)
    called = {name for text in IN_C.values() for name in HELPERS if f"{name}(" in text}
    assert called == set(HELPERS)


def test_without_a_compiler_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ZooError, match="format c is checked with 'cc', which is not installed"):
        write(Exported(rnnzoo.load("quickstart")), find("c"), tmp_path / "model.c")


def test_weights_are_five_characters_for_four_bytes_and_come_back_bit_by_bit():
    weights, tensor = Weights(), torch.randn(3, 5)
    assert weights.add(tensor) == weights.add(tensor) == 0 and weights.shapes == [(3, 5, 32)]
    text = "".join(weights.literals())
    assert len(text) == 5 * tensor.numel() and not {*text} & {*'"\\?'} and len(ALPHABET) == 85
    digits = [ALPHABET.index(letter.encode()) for letter in text]
    words = [sum(d * 85 ** (4 - k) for k, d in enumerate(digits[i : i + 5])) for i in range(0, len(digits), 5)]
    back = torch.tensor(words, dtype=torch.int64).to(torch.uint32).view(torch.float32)
    assert torch.equal(back.view(3, 5), tensor)


ARCHITECTURES = {
    "residual": "{name: stacked, cell: gru, hidden_size: 6, num_layers: 3, bidirectional: true, residual: true}",
    "sum": "{name: bidirectional, cell: highway, hidden_size: 6, num_layers: 2, merge: sum}",
    "mean": "{name: bidirectional, cell: output_norm, hidden_size: 6, merge: mean}",
    "product": "{name: bidirectional, cell: {name: zoneout, cell: vanilla}, hidden_size: 6, merge: product}",
}


@compiled
@pytest.mark.slow
@pytest.mark.parametrize(("pooling", "merge"), [*zip(["last", "mean", "max", "attention"], ARCHITECTURES, strict=True)])
def test_every_pooling_and_merge_is_c(pooling, merge, tmp_path):
    changes = ("--data.examples=60", f"--model.pooling={pooling}", f"--model.architecture={ARCHITECTURES[merge]}")
    assert write(Exported(untrained("quickstart", *changes)), find("c"), tmp_path / "model.c").difference < 1e-4


@compiled
@pytest.mark.slow
def test_an_adaptive_softmax_is_c(tmp_path):
    exported = language("lstm", "--task.cutoffs=[8, 20]")
    assert write(exported, find("c"), tmp_path / "model.c").difference < 1e-4
