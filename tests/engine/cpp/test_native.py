"""Generated code: the trace says what the update says, and the C++ loop what the plain loop says."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from conftest import no_compiler
from torch import nn

from rnnzoo.cells.base import Cell, NoiseSpec, PointwiseCell
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.vanilla import VanillaCell, VanillaReluCell
from rnnzoo.engine.choose import PATHS
from rnnzoo.engine.codegen.ir import Untraceable, run
from rnnzoo.engine.codegen.tracer import trace
from rnnzoo.engine.cpp.job import Job
from rnnzoo.engine.recurrence import Recurrence, run_together, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import ZooError

needs_compiler = pytest.mark.skipif(no_compiler(), reason="no C++ compiler")


class Peephole(PointwiseCell):
    """Diagonal recurrence, a per-channel parameter, and operators of every kind."""

    gates, states, params, recurrent = ("i", "f"), ("h", "c"), ("p",), "diagonal"

    def update(self, gx, gh, state):
        i, f = (torch.sigmoid(a + b + self.p * state[1]) for a, b in zip(gx, gh, strict=True))
        c = torch.nn.functional.softplus(i + f).clamp(max=0.9) - state[0].abs().sqrt()
        return torch.where(i > f, torch.exp(-i), torch.nn.functional.silu(f)), torch.maximum(c, i * f)


class BlockGRU(GRUCell):
    recurrent, blocks = "block", 2


class Independent(LSTMCell):
    """No recurrent product at all."""

    recurrent = None

    def update(self, gx, gh, state):
        return super().update(gx, self.as_gates(torch.zeros_like(g) for g in gx), state)


class Both(GRUCell):
    """An output made of all that a step knows."""

    def readout(self, gx, state):
        return state[0] * torch.tanh(gx[..., : self.hidden_size])


class Zoneout(VanillaCell):
    noise = (NoiseSpec((6,), 0.5), NoiseSpec((6,), 0.2, per="sequence"))

    def update(self, gx, gh, state, kept, locked):
        return (kept * torch.tanh(gx[0] + gh[0]) * locked + (1 - kept) * state[0],)


class General(Cell):
    """A long short-term memory written as a step, its last output and its memory normalised."""

    gates, states = ("i", "f", "g", "o"), ("h", "c")

    def make_recurrent(self):
        self.weight_hh = nn.Parameter(torch.empty(4 * self.hidden_size, self.hidden_size))

    def make_recurrent_bias(self):
        self.norm_h, self.norm_c = nn.LayerNorm(4 * self.hidden_size), nn.LayerNorm(self.hidden_size, bias=False)

    def step(self, gx, state):
        h, c = state
        i, f, g, o = (gx + self.norm_h(F.linear(h, self.weight_hh))).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        scaled = c / (1 + c.square().mean(-1, keepdim=True)).sqrt()
        return torch.sigmoid(o) * torch.tanh(self.norm_c(scaled)), c


class Joined(Cell):
    """A step that cuts and joins lanes, with a bias in its product, a mask, and no projection by gates."""

    noise = (NoiseSpec((6,), 0.5),)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.input, self.hidden = nn.Linear(input_size, 12), nn.Linear(hidden_size, 12)

    def project(self, x):
        return self.input(x)

    def step(self, gx, state, mask):
        sums = torch.cat([gx[:, 6:], gx[:, :6]], -1) * self.hidden(state[0])
        return (torch.tanh(sums[:, :6]) * mask + sums[:, 6:].sigmoid() * state[0],)


CELLS = [
    General,
    Joined,
    LSTMCell,
    GRUCell,
    VanillaCell,
    VanillaReluCell,
    Peephole,
    BlockGRU,
    Independent,
    Both,
    Zoneout,
]


@pytest.mark.parametrize("cell_class", CELLS)
def test_a_trace_computes_what_the_update_computes_and_its_gradient(cell_class):
    cell = cell_class(3, 6)
    traced = trace(cell)
    count = traced.forward.inputs
    values = [torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(count)]
    found = run(traced.forward, values)
    weights = [torch.randn(4, 6, dtype=torch.float64) for _ in found]
    noise = range(count - len(traced.channels) - traced.noise, count - len(traced.channels))
    free = [v for k, v in enumerate(values) if k not in noise]
    wanted = torch.autograd.grad(found, free, weights, allow_unused=True, materialize_grads=True)
    gradient = run(traced.backward, [*values, *weights])
    torch.testing.assert_close(list(gradient), list(wanted))


@needs_compiler
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("given", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", CELLS)
def test_native_code_equals_the_plain_loop_in_outputs_states_and_gradients(cell_class, reverse, given, training):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 6), reverse).train(training)
    x = torch.randn(7, 19, 5, requires_grad=True)
    lengths = torch.tensor([3, 19, 0, 1, 9, 19, 5])
    h0 = tuple(torch.randn(7, 6, requires_grad=True) for _ in layer.cell.states) if given else None
    results = {}
    for path in ("reference", "native"):
        torch.manual_seed(1)
        with using_path(layer, path):
            outputs, last = layer(Sequences.of(x, lengths), h0)
        made = [outputs.padded, *last]
        weights = [torch.linspace(-1, 1, t.numel()).view_as(t) for t in made]
        total = sum((t * w).sum() for t, w in zip(made, weights, strict=True))
        results[path] = [*made, *torch.autograd.grad(total, [x, *(h0 or ()), *layer.cell.parameters()])]
    for found, wanted in zip(results["native"], results["reference"], strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@needs_compiler
@pytest.mark.parametrize(("batch", "hidden"), [(1, 1), (3, 17), (13, 33), (40, 64)])
def test_native_code_is_right_for_every_width_and_batch(batch, hidden):
    torch.manual_seed(0)
    layer = Recurrence(LSTMCell(4, hidden))
    x, lengths = torch.randn(batch, 7, 4), torch.randint(1, 8, (batch,))
    with using_path(layer, "reference"):
        wanted = layer(Sequences.of(x, lengths))[0].padded
    with using_path(layer, "native"):
        found = layer(Sequences.of(x, lengths))[0].padded
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@needs_compiler
@pytest.mark.parametrize("size", [1e4, 1e30, float("inf"), -float("inf")])
def test_saturated_gates_are_as_in_torch(size):
    cell = GRUCell(2, 8)
    x = torch.tensor([[[size, 0.1], [-0.2, size], [0.3, 0.4]]])
    layer = Recurrence(cell)
    results = []
    for path in ("reference", "native"):
        with using_path(layer, path):
            results.append(layer(Sequences.of(x))[0].padded)
    torch.testing.assert_close(results[1], results[0], equal_nan=True)


@needs_compiler
def test_a_nan_in_the_input_is_a_nan_in_the_output_from_there_on():
    for cell_class in (LSTMCell, GRUCell, VanillaCell, VanillaReluCell, Peephole):
        x = torch.randn(1, 5, 2)
        x[0, 2, 0] = float("nan")
        found = Recurrence(cell_class(2, 6), path="native")(Sequences.of(x))[0].padded
        assert found[0, :2].isfinite().all() and found[0, 2:].isnan().any(-1).all(), cell_class


def test_an_update_that_mixes_channels_is_refused_with_the_operators_name():
    class Mixing(VanillaCell):
        def update(self, gx, gh, state):
            return (torch.softmax(gx[0] + gh[0], -1),)

    with pytest.raises(Untraceable, match=r"not elementwise|no scalar code"):
        trace(Mixing(2, 3))
    with pytest.raises(ZooError, match="cannot run Mixing: update uses"):
        Recurrence(Mixing(2, 3), path="native")(Sequences.of(torch.zeros(1, 2, 2)))


def test_native_code_leaves_other_types_to_other_paths():
    layer = Recurrence(GRUCell(2, 3)).double()
    with using_path(layer, "native"), pytest.raises(ZooError, match="native code is for float32"):
        layer(Sequences.of(torch.zeros(1, 2, 2, dtype=torch.float64)))


@needs_compiler
def test_a_weight_changed_before_the_backward_pass_is_an_error_and_not_a_wrong_gradient():
    layer = Recurrence(GRUCell(2, 3))
    with using_path(layer, "native"):
        total = layer(Sequences.of(torch.randn(2, 4, 2)))[0].padded.sum()
    with torch.no_grad():
        layer.cell.weight_hh.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


BUILD = """
import torch
from rnnzoo.cells.gru import GRUCell
from rnnzoo.engine.choose import PATHS
found = PATHS["native"].library(GRUCell(2, 3))
print(found if isinstance(found, str) else "built")
"""


def built(**environment):
    env = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run([sys.executable, "-c", BUILD], env=env, capture_output=True, text=True, check=True)


@needs_compiler
def test_a_library_is_kept_and_a_damaged_one_is_built_again(tmp_path):
    assert built(RNNZOO_CACHE=str(tmp_path)).stdout == "built\n"
    (path,) = (tmp_path / "native").glob("*.so")
    made = path.stat().st_mtime_ns
    assert built(RNNZOO_CACHE=str(tmp_path)).stdout == "built\n"
    assert path.stat().st_mtime_ns == made
    path.write_bytes(path.read_bytes()[:-100] + bytes(100))
    assert built(RNNZOO_CACHE=str(tmp_path)).stdout == "built\n"
    assert path.stat().st_mtime_ns > made
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".sha256", ".so"]


@needs_compiler
def test_processes_that_build_at_once_all_get_the_library(tmp_path):
    env = os.environ | {"OMP_NUM_THREADS": "1", "RNNZOO_CACHE": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", BUILD], env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [process.communicate()[0] for process in running] == ["built\n"] * 3
    assert sorted(p.suffix for p in (tmp_path / "native").iterdir()) == [".sha256", ".so"]


def test_without_a_compiler_or_a_safe_cache_the_cell_says_why_and_warns_once(tmp_path):
    absent = built(RNNZOO_CACHE=str(tmp_path), CXX="", PATH=str(tmp_path))
    assert "no C++ compiler was found" in absent.stdout
    assert absent.stderr.count("no native code: no C++ compiler") == 1
    (tmp_path / "native").mkdir(exist_ok=True)
    (tmp_path / "native").chmod(0o777)
    if not no_compiler():
        assert "writable by you alone" in built(RNNZOO_CACHE=str(tmp_path)).stdout


@needs_compiler
def test_two_processes_may_build_at_once(tmp_path):
    env = os.environ | {"RNNZOO_CACHE": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", BUILD], env=env, stdout=subprocess.PIPE) for _ in range(2)]
    assert [p.communicate()[0] for p in both] == [b"built\n"] * 2


@needs_compiler
def test_cells_with_the_same_arithmetic_share_one_library():
    class Renamed(PointwiseCell):
        gates, states = ("a", "b", "c"), ("s",)

        def update(self, gx, gh, state):
            a, b = torch.sigmoid(gx.a + gh.a), torch.sigmoid(gx.b + gh.b)
            c = torch.tanh(gx.c + a * gh.c)
            return ((1 - b) * c + b * state.s,)

    library = PATHS["native"].library
    assert library(GRUCell(2, 3)) is library(Renamed(4, 3))


@needs_compiler
@pytest.mark.parametrize("cell_class", [LSTMCell, GRUCell, Both])
def test_a_retained_graph_gives_the_same_gradient_again(cell_class):
    layer, x = Recurrence(cell_class(5, 6)), torch.randn(3, 9, 5, requires_grad=True)
    with using_path(layer, "native"):
        outputs, _ = layer(Sequences.of(x, torch.tensor([9, 4, 6])))
    total = outputs.padded.square().sum()
    once = torch.autograd.grad(total, [x, *layer.parameters()], retain_graph=True)
    again = torch.autograd.grad(total, [x, *layer.parameters()])
    for a, b in zip(once, again, strict=True):
        assert torch.equal(a, b)


@needs_compiler
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", CELLS)
def test_a_gradient_of_a_gradient_is_that_of_the_plain_loop(cell_class, reverse):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 6), reverse)
    x = torch.randn(4, 7, 5, requires_grad=True)
    h0 = tuple(torch.rand(4, 6, requires_grad=True) for _ in layer.cell.states)
    found = {}
    for path in ("reference", "native"):
        torch.manual_seed(1)
        with using_path(layer, path):
            outputs, last = layer(Sequences.of(x, torch.tensor([3, 7, 0, 5])), h0)
        total = outputs.padded.sin().sum() + sum(s.square().sum() for s in last)
        inputs = [x, *h0, *layer.parameters()]
        once = torch.autograd.grad(total, inputs, create_graph=True)
        found[path] = torch.autograd.grad(sum(g.square().sum() for g in once), inputs, allow_unused=True)
    for a, b in zip(found["native"], found["reference"], strict=True):
        torch.testing.assert_close(
            torch.zeros(1) if a is None else a, torch.zeros(1) if b is None else b, rtol=1e-4, atol=1e-4
        )


@needs_compiler
def test_code_follows_a_number_of_the_cell_that_changes_and_the_mode():
    class Scaled(VanillaCell):
        scale = 1.0

        def update(self, gx, gh, state):
            return (torch.tanh(gx[0] + gh[0]) * self.scale * (2 if self.training else 1),)

    layer, x = Recurrence(Scaled(4, 3)), torch.randn(2, 1, 4)
    with using_path(layer, "native"):
        first = layer(Sequences.of(x))[0].padded
        layer.cell.scale = 3.0
        torch.testing.assert_close(layer(Sequences.of(x))[0].padded, 3 * first)
        layer.eval()
        torch.testing.assert_close(layer(Sequences.of(x))[0].padded, 1.5 * first)


@needs_compiler
@pytest.mark.parametrize("cell_class", [GRUCell, General])
def test_under_autocast_native_code_computes_in_float32(cell_class):
    layer, below = Recurrence(cell_class(5, 6)), nn.Linear(4, 5)
    x = torch.randn(3, 9, 4)
    with torch.autocast("cpu", torch.bfloat16):
        made = below(x)
        outputs, last = layer(Sequences.of(made, torch.tensor([9, 4, 6])), None)
        again, _ = layer(Sequences.of(made), tuple(s.bfloat16() for s in last))
    outputs.padded.float().sum().backward()
    wanted, _ = layer(Sequences.of(made.float(), torch.tensor([9, 4, 6])))
    assert layer.ran == {"native": 3} and outputs.padded.dtype == again.padded.dtype == torch.float32
    torch.testing.assert_close(outputs.padded, wanted.padded)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (*layer.parameters(), *below.parameters()))


@needs_compiler
def test_a_cell_whose_numbers_never_rest_is_left_to_the_plain_loop():
    class Counting(VanillaCell):
        calls = 0

        def project(self, x):
            self.calls += 1
            return super().project(x)

    layer, x = Recurrence(Counting(4, 3)), Sequences.of(torch.randn(1, 2, 4))
    for _ in range(40):
        layer(x)
    assert set(layer.ran) == {"native", "reference"}
    assert "its numbers change from call to call" in layer.why


@needs_compiler
def test_an_error_on_another_thread_is_raised_where_the_layers_were_called(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    layers = [Recurrence(GRUCell(2, 3), path="native"), Recurrence(GRUCell(2, 3), reverse=True, path="native")]
    job_forward = Job.forward

    def forward(job, tensors):
        if job.reverse:
            raise MemoryError("no room")
        return job_forward(job, tensors)

    monkeypatch.setattr(Job, "forward", forward)
    with pytest.raises(MemoryError, match="no room"):
        run_together(layers, Sequences.of(torch.zeros(1, 2, 2)), [None, None])
