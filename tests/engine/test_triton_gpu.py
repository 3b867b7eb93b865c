"""Paths of the GPU equal the plain loop: kernels made by Triton, cuDNN's layers, the parallel scan.

Without a GPU, the tests of Triton's kernels run in Triton's interpreter, in a process of their own.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rnnzoo.cells.base import Cell, LinearCell, NoiseSpec, PointwiseCell, StateSpec
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.vanilla import VanillaCell, VanillaReluCell
from rnnzoo.engine.recurrence import Recurrence, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import ZooError

GPU, INTERPRETED = torch.cuda.is_available(), os.environ.get("TRITON_INTERPRET") == "1"
INSTALLED = importlib.util.find_spec("triton") is not None
needs_gpu = pytest.mark.skipif(not GPU or INTERPRETED, reason="no GPU")
needs_kernels = pytest.mark.skipif(not INSTALLED or not (GPU or INTERPRETED), reason="no GPU, or no Triton")
DEVICE = torch.device("cpu" if INTERPRETED or not GPU else "cuda")
LENGTHS = torch.tensor([3, 8, 0, 1, 5, 8, 2])


class Peephole(PointwiseCell):
    """Diagonal recurrence and a per-channel parameter."""

    gates, states, params, recurrent = ("i", "f"), ("h", "c"), ("p",), "diagonal"

    def update(self, gx, gh, state):
        i, f = (torch.sigmoid(a + b + self.p * state[1]) for a, b in zip(gx, gh, strict=True))
        c = F.softplus(i + f).clamp(max=0.9) - state[0].abs()
        return torch.where(i > f, torch.exp(-i), F.silu(f)), torch.maximum(c, i * f)


class BlockGRU(GRUCell):
    recurrent, blocks = "block", 2

    def readout(self, gx, state):
        return state[0] * torch.tanh(gx[..., : self.hidden_size])


class Noisy(VanillaCell):
    noise = (NoiseSpec((6,), 0.5), NoiseSpec((6,), 0.2, per="sequence"))

    def update(self, gx, gh, state, kept, locked):
        return (kept * torch.tanh(gx[0] + gh[0]) * locked + (1 - kept) * state[0],)


class Decay(LinearCell):
    gates = ("z", "v")

    def coefficients(self, gx):
        z = torch.sigmoid(gx[0])
        return 1 - z, z * gx[1]


class Rotation(LinearCell):
    """A complex state."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.states = (StateSpec("h", (hidden_size,), torch.complex64),)
        self.angle, self.real = nn.Parameter(torch.randn(hidden_size)), nn.Linear(input_size, hidden_size)

    def project(self, x):
        return self.real(x)

    def coefficients(self, gx):
        return torch.polar(torch.full_like(self.angle, 0.9), self.angle), torch.complex(gx, gx * 0.5)

    def readout(self, gx, state):
        return state[0].real + gx


class Normed(Cell):
    """A step with a product and sums over channels."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.w, self.u = nn.Linear(input_size, 2 * hidden_size), nn.Linear(hidden_size, 2 * hidden_size, bias=False)
        self.norm = nn.LayerNorm(2 * hidden_size)

    def project(self, x):
        return self.w(x)

    def step(self, gx, state):
        z, n = (gx + self.norm(self.u(state[0]))).chunk(2, -1)
        return (torch.sigmoid(z) * state[0] + torch.tanh(n),)


CELLS = [LSTMCell, GRUCell, VanillaReluCell, Peephole, BlockGRU, Noisy, Decay, Normed]


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """No TF32, which cuDNN's layers use by default."""
    monkeypatch.setattr(torch.backends.cudnn.rnn, "fp32_precision", "ieee")


def both(path, layer, x, lengths, h0=None):
    """Outputs, last states and every gradient: by the plain loop, and by another path."""
    results = []
    for name in ("reference", path):
        torch.manual_seed(1)
        with using_path(layer, name):
            outputs, last = layer(Sequences.of(x, lengths), h0)
        made = [outputs.padded, *last]
        weights = [torch.linspace(-1, 1, t.numel(), device=t.device).view_as(t) for t in made]
        total = sum((t * w).real.sum() for t, w in zip(made, weights, strict=True))
        results.append([*made, *torch.autograd.grad(total, [x, *(h0 or ()), *layer.cell.parameters()])])
    return results


def assert_equal(found, wanted, accuracy=1e-5):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=accuracy, rtol=accuracy)


def inputs(cell, lengths, given):
    x = torch.randn(len(lengths), int(lengths.max()), cell.input_size, device=DEVICE, requires_grad=True)
    first = cell.initial_state(len(lengths), x)
    return x, tuple(torch.randn_like(s, requires_grad=True) for s in first) if given else None


@pytest.mark.skipif(not INSTALLED or INTERPRETED, reason="Triton is not installed, or interprets already")
@pytest.mark.slow
def test_in_tritons_interpreter_all_tests_of_its_kernels_pass():
    environment = os.environ | {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "ignore", __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr


@needs_kernels
@pytest.mark.parametrize("given", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", CELLS)
def test_kernels_equal_the_plain_loop_in_outputs_states_and_gradients(cell_class, reverse, given):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 6), reverse).to(DEVICE)
    x, h0 = inputs(layer.cell, LENGTHS, given)
    wanted, found = both("triton", layer, x, LENGTHS, h0)
    assert_equal(found, wanted)


@needs_kernels
@pytest.mark.parametrize("cell_class", [LSTMCell, Peephole, Normed])
@pytest.mark.parametrize(("batch", "hidden"), [(1, 1), (18, 33), (2, 130)])
def test_kernels_are_right_for_every_width_and_batch(cell_class, batch, hidden):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(4, hidden)).to(DEVICE)
    lengths = torch.randint(0, 4, (batch,)).clamp_(min=1)
    x, h0 = inputs(layer.cell, lengths, True)
    wanted, found = both("triton", layer, x, lengths, h0)
    assert_equal(found, wanted, 2e-4 if cell_class is Normed else 2e-5)


@needs_kernels
def test_a_step_that_mixes_too_many_channels_is_refused_and_one_that_mixes_none_is_not():
    x = torch.randn(2, 3, 4, device=DEVICE, requires_grad=True)
    with pytest.raises(ZooError, match="it mixes 257 channels, more than the 256"):
        Recurrence(GRUCell(4, 257), path="triton").to(DEVICE)(Sequences.of(x))
    wanted, found = both("triton", Recurrence(Decay(4, 300)).to(DEVICE), x, torch.tensor([2, 3]))
    assert_equal(found, wanted)


class Applied(PointwiseCell):
    """h' = function(a, b), where x is a and b."""

    gates, recurrent = ("a", "b"), None

    def __init__(self, function, hidden_size):
        super().__init__(2 * hidden_size, hidden_size)
        self.function = function

    def project(self, x):
        return x

    def update(self, gx, gh, state):
        return (self.function(*gx).to(gx[0].dtype),)


FUNCTIONS = {
    **{
        name: lambda a, b, name=name: getattr(torch, name)(a)
        for name in (
            "neg",
            "exp",
            "log",
            "sigmoid",
            "tanh",
            "relu",
            "sqrt",
            "rsqrt",
            "abs",
            "log1p",
            "expm1",
            "reciprocal",
            "logical_not",
            "exp2",
            "log2",
            "log10",
            "erf",
            "floor",
            "ceil",
            "round",
            "trunc",
            "frac",
            "sign",
            "isnan",
        )
    },
    **{
        name: lambda a, b, name=name: getattr(torch, name)(a, b)
        for name in (
            "add",
            "sub",
            "mul",
            "div",
            "maximum",
            "minimum",
            "gt",
            "lt",
            "ge",
            "le",
            "eq",
            "ne",
            "logical_and",
            "logical_or",
            "logical_xor",
            "fmax",
            "fmin",
            "logaddexp",
        )
    },
    **{
        name: lambda a, b, name=name: getattr(F, name)(a)
        for name in (
            "elu",
            "leaky_relu",
            "hardtanh",
            "relu6",
            "hardsigmoid",
            "hardswish",
            "mish",
            "softshrink",
        )
    },
    "add, alpha": lambda a, b: torch.add(a, b, alpha=0.5),
    "crossed": lambda a, b: a.clamp(2, 1),
    "clamp, tensors": lambda a, b: torch.clamp(a, b, b + 1),
    "trunc of a quotient": lambda a, b: torch.div(a, b, rounding_mode="trunc"),
    "where": lambda a, b: torch.where(a > 0, a, 2 * b),
    "clamp": lambda a, b: a.clamp(-0.5, 2),
    "square": lambda a, b: a**2,
    "cube": lambda a, b: a**3,
    "inverse": lambda a, b: 1 / a,
    "softplus": lambda a, b: F.softplus(a),
    "silu": lambda a, b: F.silu(a),
}


@needs_kernels
@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_operator_gives_what_torch_gives_for_nan_infinity_and_ordinary_numbers(name):
    numbers = [
        float("nan"),
        float("inf"),
        -float("inf"),
        0.0,
        -1.0,
        1e-6,
        0.3,
        -0.7,
        0.49,
        0.5,
        1.5,
        5.0,
        60.0,
        -60.0,
        1e30,
    ]
    a, b = torch.tensor(numbers), torch.tensor(numbers[::-1])
    wanted = FUNCTIONS[name](a, b).float()
    layer = Recurrence(Applied(FUNCTIONS[name], len(a)), path="triton").to(DEVICE)
    found = layer(Sequences.of(torch.cat([a, b])[None, None].to(DEVICE)))[0].padded[0, 0]
    torch.testing.assert_close(found.cpu(), wanted, equal_nan=True)


@needs_kernels
def test_sines_and_cosines_are_those_of_torch():
    a = torch.linspace(-7, 7, 20)
    layer = Recurrence(Applied(lambda a, b: torch.sin(a) + torch.cos(b), 20), path="triton").to(DEVICE)
    found = layer(Sequences.of(torch.cat([a, a])[None, None].to(DEVICE)))[0].padded[0, 0]
    torch.testing.assert_close(found.cpu(), a.sin() + a.cos(), atol=1e-6, rtol=1e-6)


@needs_kernels
def test_an_operator_without_triton_code_is_refused_by_its_name():
    layer = Recurrence(Applied(lambda a, b: torch.pow(a.abs(), b), 3)).to(DEVICE)
    with using_path(layer, "triton"), pytest.raises(ZooError, match="update uses 'pow', which has no Triton code here"):
        layer(Sequences.of(torch.ones(1, 2, 6, device=DEVICE)))


@needs_kernels
@pytest.mark.parametrize("cell_class", [LSTMCell, GRUCell, VanillaReluCell, Decay, Normed])
def test_a_nan_stays_in_its_sequence_and_goes_on_to_its_end(cell_class):
    x = torch.randn(3, 5, 2, device=DEVICE)
    x[1, 2, 0] = float("nan")
    found = Recurrence(cell_class(2, 6), path="triton").to(DEVICE)(Sequences.of(x))[0].padded
    assert found[1, 2:].isnan().any(-1).all()
    assert found[1, :2].isfinite().all() and found[[0, 2]].isfinite().all()


@needs_kernels
@pytest.mark.parametrize("asked", ["outputs", "last state"])
def test_a_gradient_of_the_outputs_or_of_the_last_state_alone_is_that_of_the_plain_loop(asked):
    torch.manual_seed(0)
    layer = Recurrence(LSTMCell(3, 6)).to(DEVICE)
    x, _ = inputs(layer.cell, LENGTHS, False)
    results = []
    for path in ("reference", "triton"):
        with using_path(layer, path):
            outputs, last = layer(Sequences.of(x, LENGTHS))
        total = outputs.padded.sin().sum() if asked == "outputs" else last[1].sin().sum()
        results.append(torch.autograd.grad(total, [x, *layer.cell.parameters()]))
    assert_equal(results[1], results[0])


@needs_kernels
def test_outputs_without_a_gradient_are_the_same_ones():
    torch.manual_seed(0)
    layer = Recurrence(GRUCell(3, 6)).to(DEVICE)
    x = torch.randn(7, 8, 3, device=DEVICE)
    with using_path(layer, "triton"):
        wanted = layer(Sequences.of(x, LENGTHS))[0].padded
        with torch.no_grad():
            found = layer(Sequences.of(x, LENGTHS))[0].padded
    assert torch.equal(found, wanted) and wanted.requires_grad and not found.requires_grad


@needs_kernels
def test_a_weight_changed_before_the_backward_pass_is_an_error_and_not_a_wrong_gradient():
    layer = Recurrence(GRUCell(2, 3)).to(DEVICE)
    with using_path(layer, "triton"):
        total = layer(Sequences.of(torch.randn(2, 4, 2, device=DEVICE)))[0].padded.sum()
    with torch.no_grad():
        layer.cell.weight_hh.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@needs_kernels
def test_kernels_leave_other_types_to_other_paths():
    layer = Recurrence(GRUCell(2, 3)).double().to(DEVICE)
    with using_path(layer, "triton"), pytest.raises(ZooError, match="Triton's kernels are for float32"):
        layer(Sequences.of(torch.zeros(1, 2, 2, dtype=torch.float64, device=DEVICE)))


@pytest.mark.skipif(INTERPRETED, reason="Triton's interpreter is on")
def test_kernels_leave_the_cpu_to_other_paths():
    with pytest.raises(ZooError, match="Triton's kernels are for the GPU"):
        Recurrence(GRUCell(2, 3), path="triton")(Sequences.of(torch.zeros(1, 2, 2)))


@needs_gpu
@pytest.mark.parametrize(("cell_class", "path"), [(LSTMCell, "fused"), (GRUCell, "fused"), (BlockGRU, "triton")])
def test_on_a_gpu_cudnn_runs_what_it_knows_and_kernels_the_rest(cell_class, path):
    layer = Recurrence(cell_class(3, 6)).to(DEVICE)
    layer(Sequences.of(torch.randn(2, 4, 3, device=DEVICE)))
    assert layer.ran == {path if INSTALLED else "fused" if path == "fused" else "reference": 1}


@needs_gpu
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("given", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", [LSTMCell, GRUCell, VanillaCell, VanillaReluCell])
def test_cudnn_equals_the_plain_loop_in_outputs_states_and_gradients(cell_class, reverse, given, training):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 7), reverse).to(DEVICE).train(training)
    x, h0 = inputs(layer.cell, LENGTHS, given)
    wanted, found = both("fused", layer, x, LENGTHS, h0)
    assert_equal(found, wanted)


@needs_gpu
@pytest.mark.parametrize("given", [True, False], ids=["h0", "zeros"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("cell_class", [Decay, Rotation])
def test_the_parallel_scan_equals_the_plain_loop_in_outputs_states_and_gradients(cell_class, reverse, given):
    torch.manual_seed(0)
    layer = Recurrence(cell_class(5, 7), reverse).to(DEVICE)
    x, h0 = inputs(layer.cell, LENGTHS, given)
    wanted, found = both("linear", layer, x, LENGTHS, h0)
    assert_equal(found, wanted)
