"""A cell that does not do what it declares is named at its first step, with both sides; one that does is left alone."""

import re

import pytest
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from rnnzoo import registry
from rnnzoo.cells.base import Cell, LinearCell, PointwiseCell, StateSpec, make_cell
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cli import main
from rnnzoo.engine import verify
from rnnzoo.engine.recurrence import Recurrence, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import CellError, ZooError

X = torch.randn(6, 4, 5)


class Echo(Cell):
    """Healthy: half of the state is forgotten at each step."""

    gates = ("a",)

    def step(self, gx, state):
        return (0.5 * torch.tanh(gx) + 0.5 * state[0],)


def broken(base=Echo, **members):
    return type("Broken", (base,), members)


def run(cell_class, x=X):
    return Recurrence(cell_class(5, 7))(Sequences.of(x))


def in_place_state(self, gx, state):
    return (state[0].mul_(0.5).add_(gx),)


def in_place_gates(self, gx, state):
    return (gx.tanh_(),)


def fails(self, gx, state):
    return (state[0] @ self.weight_ih.T,)


BROKEN = {
    r"returned state 'h' of shape \(6, 3\), declared \(6, 7\)": {"step": lambda self, gx, state: (state[0][:, :3],)},
    r"returned 2 states, declared 1: \['h'\]": {"step": lambda self, gx, state: (gx, gx)},
    "returned a Tensor, declared a tuple of 1 states": {"step": lambda self, gx, state: gx},
    "returned a NoneType, declared a tuple": {"step": lambda self, gx, state: None},
    "returned a float as state 'h', declared a tensor": {"step": lambda self, gx, state: (0.5,)},
    r"returned state 'h' of torch.float64, declared torch.float32": {"step": lambda self, gx, state: (gx.double(),)},
    r"begins with state 'h' of torch.float64, declared torch.float32": {
        "initial_state": lambda self, batch, like: (torch.zeros(batch, 7, dtype=torch.float64),)
    },
    "returned state 'h' on meta, expected cpu": {"step": lambda self, gx, state: (gx.to("meta"),)},
    r"begins with state 'h' of shape \(6, 1\), declared \(6, 7\)": {
        "initial_state": lambda self, batch, like: (like.new_zeros(batch, 1),)
    },
    "returned NaN in its state 'h' after one step": {"step": lambda self, gx, state: (gx.abs().neg().sub(1).sqrt(),)},
    "returned NaN in its output after one step": {"readout": lambda self, gx, state: state[0] / 0 * 0},
    r"changed an argument of step in place": {"step": in_place_state},
    r"changed an argument of step in place.": {"step": in_place_gates},
    r"changed an argument of project in place": {"project": lambda self, x: x.mul_(2) @ self.weight_ih.T},
    r"changed an argument of readout in place": {"readout": lambda self, gx, state: state[0].add_(1)},
    "gave 3 output features, declared output_size=7": {"readout": lambda self, gx, state: state[0][..., :3]},
    "gave 7 output features, declared output_size=2": {"output_size": 2},
    r"gave an output of shape \(7,\), declared \(6, 7\)": {"readout": lambda self, gx, state: state[0].sum(0)},
    "failed in step: RuntimeError: mat1 and mat2 shapes cannot be multiplied": {"step": fails},
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_cell_is_named_at_its_first_step_with_both_sides(message):
    cell_class = broken(**BROKEN[message])
    with pytest.raises(CellError, match=rf"^Broken \(of module {__name__}\) {message}"):
        run(cell_class)


@pytest.mark.parametrize(
    ("base", "method"),
    [(Cell, "step(gx, state)"), (PointwiseCell, "update(gx, gh, state)"), (LinearCell, "coefficients(gx)")],
)
def test_a_cell_without_its_one_method_is_told_which(base, method):
    with pytest.raises(CellError, match=re.escape(f"must define {method}.")):
        run(broken(base, gates=("a",)))


def test_what_fails_inside_a_cell_is_told_with_its_line_and_keeps_its_cause():
    with pytest.raises(CellError) as error:
        run(broken(step=fails))
    assert f"At {__file__}:{fails.__code__.co_firstlineno + 1}, in fails." in str(error.value)
    assert isinstance(error.value.__cause__, RuntimeError)


def test_the_error_names_the_distribution_that_registered_the_cell():
    registry.register("cells", "mine", broken(step=lambda self, gx, state: gx))
    try:
        with pytest.raises(CellError, match=r"^Broken \('mine' of this process\) returned"):
            Recurrence(make_cell("mine", 5, 7))(Sequences.of(X))
    finally:
        registry.unregister("cells", "mine")
    assert registry.whose("cells", GRUCell).startswith("GRUCell ('gru' of rnnzoo ")


def test_the_error_is_a_mistake_for_the_command_line_and_a_value_and_type_error_for_python():
    assert issubclass(CellError, ZooError) and issubclass(CellError, ValueError) and issubclass(CellError, TypeError)


@pytest.mark.parametrize("cell_class", [Echo, LSTMCell, GRUCell])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_healthy_cell_passes_in_every_precision_and_under_autocast(cell_class, dtype):
    Recurrence(cell_class(5, 7).to(dtype))(Sequences.of(X.to(dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        Recurrence(cell_class(5, 7))(Sequences.of(X))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_state_left_on_the_cpu_is_told_on_a_gpu():
    class Left(Echo):
        def initial_state(self, batch, like):
            return (torch.zeros(batch, 7),)

    Recurrence(Echo(5, 7).cuda())(Sequences.of(X.cuda()))
    with pytest.raises(CellError, match="begins with state 'h' on cpu, expected cuda:0"):
        Recurrence(Left(5, 7).cuda())(Sequences.of(X.cuda()))


def test_only_the_first_call_takes_a_step_more():
    steps = []

    class Counted(Echo):
        def step(self, gx, state):
            steps.append(len(gx))
            return super().step(gx, state)

    layer = Recurrence(Counted(5, 7))
    x = Sequences.of(X, torch.tensor([4, 1, 0, 2, 2, 3]))
    counts = []
    for _ in range(3):
        steps.clear()
        with using_path(layer, "reference"):
            layer(x)
        counts.append(list(steps))
    assert counts == [[5, 5, 4, 2, 1], [5, 4, 2, 1], [5, 4, 2, 1]]


def test_no_random_number_is_drawn_and_no_gradient_is_left():
    class Drawing(Echo):
        def step(self, gx, state):
            return (gx + torch.randn_like(gx),)

    cell, state = Drawing(5, 7), torch.get_rng_state()
    assert verify.check_first_step(cell, Sequences.of(X))
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in cell.parameters())


def test_a_batch_without_steps_leaves_the_check_for_a_later_one():
    layer = Recurrence(broken(step=lambda self, gx, state: (gx, gx))(5, 7))
    assert not verify.check_first_step(layer.cell, Sequences.of(X, torch.zeros(6, dtype=torch.int64)))
    with pytest.raises(CellError, match="returned 2 states"):
        layer(Sequences.of(X))


def test_nan_in_the_input_or_the_weights_is_not_blamed_on_the_cell():
    run(Echo, X * float("nan"))
    layer = Recurrence(Echo(5, 7))
    nn.init.constant_(layer.cell.weight_ih, float("nan"))
    layer(Sequences.of(X))


def test_an_input_of_another_width_is_told_with_both_sides():
    with pytest.raises(ValueError, match="Echo expected x with input_size=5 features, got 3"):
        run(Echo, X[..., :3])


# -- building -------------------------------------------------------------------------------------------------------


class Lazy(Echo):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.late = UninitializedParameter()


class Unfilled(Echo):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = nn.Parameter(torch.full((hidden_size,), float("nan")))


class Bare(Echo):
    def __init__(self, input_size, hidden_size):
        pass


class Crashing(Echo):
    def __init__(self, input_size, hidden_size):
        raise KeyError("colour")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Echo(5, 7), "a cell must be given as a class or a name, got an instance of Echo"),
        (nn.Linear, r"Linear \(of module torch.nn.modules.linear\) is not a rnnzoo.Cell"),
        (lambda i, h: nn.Linear(i, h), "gave a Linear, not a rnnzoo.Cell"),
        (Crashing, "cannot be built: KeyError: 'colour'"),
        ({"name": "gru", "colour": 3}, r"GRUCell \('gru' of rnnzoo [^)]*\) cannot be built: TypeError: .*'colour'"),
        (Bare, r"was built without super\(\).__init__"),
        (Lazy, "left its parameter 'late' without numbers"),
        (Unfilled, "left its parameter 'scale' without numbers"),
    ],
)
def test_what_is_no_cell_or_does_not_build_is_told(cell, message):
    with pytest.raises(CellError, match=message):
        make_cell(cell, 5, 7)


def test_the_command_line_tells_a_broken_cell_without_a_traceback(here, capsys):
    registry.register("cells", "broken", broken(step=lambda self, gx, state: (gx, gx)))
    try:
        small = ["--data.examples=16", "--tracking.mode=disabled", "--trainer.enable_progress_bar=false"]
        assert main(["fit", "quickstart", "--model.architecture.cell=broken", *small]) == 2
    finally:
        registry.unregister("cells", "broken")
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "Broken ('broken' of this process) returned 2 states, declared 1: ['h']." in told


def test_a_complex_and_a_fixed_dtype_state_are_compared_with_what_they_declare():
    class Mixed(Cell):
        states = (StateSpec("h", (7,)), StateSpec("z", (7,), torch.complex64), StateSpec("n", (), torch.int64))

        def project(self, x):
            return x[..., :1].expand(*x.shape[:-1], 7)

        def step(self, gx, state):
            _, z, n = state
            return gx.tanh(), z * 0.5j + gx, n + 1

    run(Mixed)
    Recurrence(Mixed(5, 7).double())(Sequences.of(X.double()))
    with pytest.raises(CellError, match=r"returned state 'z' of torch\.float32, declared torch\.complex64"):
        run(broken(Mixed, step=lambda self, gx, state: (gx, gx, state[2])))
