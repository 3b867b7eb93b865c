"""What a step reads, its code follows; what has no code is refused by name, and runs step by step."""

import copy
import functools
import itertools
import random
import threading
import types

import pytest
import torch
import torch.nn.functional as F
from conftest import no_compiler
from torch import nn

from rnnzoo.cells.base import Cell, PointwiseCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.wrappers import Zoneout
from rnnzoo.engine.codegen.ir import Trace, run
from rnnzoo.engine.codegen.trace_cache import traced
from rnnzoo.engine.paths.fused import recognise
from rnnzoo.engine.recurrence import Recurrence, report, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import ZooError

needs_compiler = pytest.mark.skipif(no_compiler(), reason="no C++ compiler")
LIMIT = 0.25
SHARED = types.ModuleType("settings_of_a_stranger")
SHARED.limit = 0.25


def limited(x):
    return x.clamp(-LIMIT, LIMIT)


class Limit:
    """An object of a stranger's own."""

    def __init__(self, value):
        self.value = value


class Base(PointwiseCell):
    gates = ("h",)

    def limit(self):
        raise NotImplementedError

    def update(self, gx, gh, state):
        limit = self.limit()
        return ((gx[0] + gh[0]).clamp(-limit, limit),)


def holding(name, make, read, change):
    """A cell with its limit somewhere: built with 0.25, and a way to make that 0.5."""

    def __init__(self, *sizes):
        Base.__init__(self, *sizes)
        self.held = make(0.25)

    cell = type(name, (Base,), {"__init__": __init__, "limit": lambda self: read(self.held)})(2, 3)
    return cell, lambda: change(cell)


def at_least(value):
    return functools.partial(max, value)


def inner_change(cell):
    cell.held.value = 0.5


def class_attribute():
    cell = type("OfClass", (Base,), {"bound": 0.25, "limit": lambda self: self.bound})(2, 3)
    return cell, lambda: setattr(type(cell), "bound", 0.5)


def closure():
    bound = 0.25

    def change():
        nonlocal bound
        bound = 0.5

    return type("OfClosure", (Base,), {"limit": lambda self: bound})(2, 3), change


def global_number():
    cell = type("OfGlobal", (Base,), {"update": lambda self, gx, gh, state: (limited(gx[0] + gh[0]),)})(2, 3)
    return cell, lambda: globals().__setitem__("LIMIT", 0.5)


def module_number():
    cell = type("OfModule", (Base,), {"limit": lambda self: SHARED.limit})(2, 3)
    return cell, lambda: setattr(SHARED, "limit", 0.5)


def private():
    cell, _ = holding("Private", lambda v: v, lambda v: v, None)
    cell._bound = 0.25
    type(cell).limit = lambda self: self._bound
    return cell, lambda: setattr(cell, "_bound", 0.5)


def default():
    def limit(self, bound=0.25):
        return bound

    cell = type("OfDefault", (Base,), {"limit": limit})(2, 3)
    return cell, lambda: setattr(limit, "__defaults__", (0.5,))


def child_module():
    cell, _ = holding("OfChild", lambda v: v, lambda v: v, None)
    cell.act = nn.Hardtanh(-0.25, 0.25)
    type(cell).update = lambda self, gx, gh, state: (self.act(gx[0] + gh[0]),)

    def change():
        cell.act.min_val, cell.act.max_val = -0.5, 0.5

    return cell, change


def mode():
    cell = type("OfMode", (Base,), {"limit": lambda self: 0.25 if self.training else 0.5})(2, 3)
    return cell, cell.eval


PLACES = {
    "private attribute": private,
    "list": lambda: holding("L", lambda v: [v], lambda h: h[0], lambda c: c.held.__setitem__(0, 0.5)),
    "dict": lambda: holding("D", lambda v: {"a": {"b": v}}, lambda h: h["a"]["b"], lambda c: c.held["a"].update(b=0.5)),
    "tuple": lambda: holding("T", lambda v: (v,), lambda h: h[0], lambda c: setattr(c, "held", (0.5,))),
    "object": lambda: holding("O", Limit, lambda h: h.value, inner_change),
    "list in an object": lambda: holding(
        "N", lambda v: Limit([v]), lambda h: h.value[0], lambda c: c.held.value.__setitem__(0, 0.5)
    ),
    "partial": lambda: holding("P", at_least, lambda h: h(0), lambda c: setattr(c, "held", at_least(0.5))),
    "method of a dict": lambda: holding(
        "M", lambda v: {"a": v}.get, lambda h: h("a"), lambda c: setattr(c, "held", {"a": 0.5}.get)
    ),
    "dict behind its method": lambda: holding(
        "B", lambda v: {"a": v}.get, lambda h: h("a"), lambda c: c.held.__self__.update(a=0.5)
    ),
    "class attribute": class_attribute,
    "closure": closure,
    "global": global_number,
    "number of a module": module_number,
    "default argument": default,
    "module within": child_module,
    "training mode": mode,
}


def result(cell):
    """By the cell's trace, and by the cell: its state from gx of 1."""
    found = traced(cell)
    assert isinstance(found, Trace), found
    assert found.additive
    ones = torch.ones(2, 3)
    zeros = torch.zeros(2, 3)
    return run(found.forward, [ones, zeros])[0], cell.update((ones,), (zeros,), (zeros,))[0]


@pytest.mark.parametrize("place", PLACES)
def test_code_follows_a_number_wherever_the_step_finds_it(place):
    cell, change = PLACES[place]()
    for wanted in (0.25, 0.5):
        found, plain = result(cell)
        assert found.unique().tolist() == plain.unique().tolist() == [wanted]
        change()


def test_two_cells_of_one_class_have_their_own_numbers():
    cells = [holding("Two", lambda v: v, lambda v: v, None)[0] for _ in range(2)]
    cells[1].held = 0.5
    assert [result(cell)[0].unique().tolist() for cell in cells] == [[0.25], [0.5]]


def test_minus_zero_is_another_number_than_zero():
    class Signed(Base):
        zero = 0.0

        def update(self, gx, gh, state):
            return (torch.copysign(gx[0] + gh[0], torch.full_like(gx[0], self.zero)),)

    cell = Signed(2, 3)
    assert result(cell)[0].unique().tolist() == [1]
    cell.zero = -0.0
    assert result(cell)[0].unique().tolist() == [-1]


class Reading(PointwiseCell):
    """A step that reads numbers and vectors, learned ones and buffers, in several shapes."""

    gates, params = ("h", "z"), ("p",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.beta = nn.Parameter(torch.tensor(0.7))
        self.rows = nn.Parameter(torch.linspace(-1, 1, 2 * hidden_size).view(2, hidden_size))
        self.one = nn.Parameter(torch.tensor([0.3]))
        self.register_buffer("scale", torch.tensor(0.5))
        self.register_buffer("mean", torch.linspace(0, 1, hidden_size))

    def update(self, gx, gh, state):
        h, z = (a + b for a, b in zip(gx, gh, strict=True))
        s = torch.tanh(self.beta * h * self.scale - self.mean) + self.rows[0] * state[0]
        return (s * torch.sigmoid(z + self.rows[1].exp()) + F.softplus(self.one) * F.prelu(z, self.p),)


class Summing(PointwiseCell):
    """Sums over channels beside learned numbers, whose gradients come from one number a row, and from many."""

    gates = ("h",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.beta, self.rate = nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.tensor([0.4]))

    def update(self, gx, gh, state):
        h = gx[0] + gh[0]
        size, total = h.square().mean(-1, keepdim=True), (h * state[0]).sum(-1, keepdim=True)
        mixed = torch.tanh(size * self.beta.exp() - total * self.rate * 0.1)
        return (torch.tanh(h / (1 + size).sqrt()) * self.beta * 0.5 + mixed,)


@needs_compiler
@pytest.mark.parametrize("kind", [Reading, Summing])
@pytest.mark.parametrize("hidden", [1, 5])
def test_learned_numbers_and_buffers_of_a_step_are_read_and_learn(hidden, kind):
    torch.manual_seed(0)
    layer = Recurrence(kind(4, hidden))
    x = torch.randn(3, 6, 4)
    for _ in range(2):
        found = {}
        for path in ("reference", "native"):
            with using_path(layer, path):
                outputs = layer(Sequences.of(x, torch.tensor([6, 2, 5])))[0].padded
            found[path] = [outputs, *torch.autograd.grad(outputs.sin().sum(), list(layer.parameters()))]
        torch.testing.assert_close(found["native"], found["reference"], atol=1e-5, rtol=1e-5)
        with torch.no_grad():  # code reads the numbers of today
            for name, tensor in (*layer.cell.named_parameters(), *layer.cell.named_buffers()):
                if "_ih" not in name and "_hh" not in name:
                    tensor.mul_(-1.5)


class Clipped(LSTMCell):
    def __init__(self, input_size, hidden_size, clip=30.0):
        super().__init__(input_size, hidden_size)
        self._clip = clip

    def update(self, gx, gh, state):
        h, c = super().update(gx, gh, state)
        return h, c.clamp(-self._clip, self._clip)


def test_no_fused_layer_runs_a_cell_that_differs_where_no_number_was_tried():
    assert recognise(LSTMCell(3, 4)) == "lstm"
    assert recognise(Clipped(3, 4)) is None


def updating(function):
    """A cell whose new state is a function of gx and the state."""
    return type("Cell", (Base,), {"update": lambda self, gx, gh, state: (function(self, gx[0], state[0]),)})(2, 3)


TENSOR = torch.tensor(0.5)
REFUSED = {
    "softmax": (lambda c, x, h: torch.softmax(x, -1), "'_softmax', which has no scalar code"),
    "half": (lambda c, x, h: x.half().float(), "'_to_copy', which gives numbers of torch.float16"),
    "double": (lambda c, x, h: (x.double() + h).float(), "torch.float64"),
    "whole": (lambda c, x, h: x.int().float(), "torch.int32"),
    "bits": (lambda c, x, h: (x.view(torch.int32) > 0).float(), "'view' of another type"),
    "item": (lambda c, x, h: x * TENSOR.item(), "reads the numbers of a tensor, by 'item'"),
    "branch": (lambda c, x, h: x if x.sum() > 0 else h, "'sum' over sequences"),
    "list": (lambda c, x, h: x * c.bias_ih.tolist()[0], "by 'tolist'"),
    "a stranger's tensor": (lambda c, x, h: x * TENSOR, "neither a parameter nor a buffer"),
    "matrix": (lambda c, x, h: x @ c.weight_hh, "'mm', which has no scalar code"),
    "weight": (lambda c, x, h: x + c.weight_hh[:, 0], "'add' across channels"),
    "flip": (lambda c, x, h: x.flip(-1), "'flip'"),
    "batch": (lambda c, x, h: x - x.mean(0, keepdim=True), "'mean' over sequences"),
    "size of the batch": (lambda c, x, h: x / len(x), "depends on the number of sequences"),
    "channel": (lambda c, x, h: x * h[:, :1], "across channels"),
    "mask": (lambda c, x, h: F.dropout(x, 0.5, True), "'bernoulli_'"),
    "random": (lambda c, x, h: x * random.random(), "numbers that change from call to call"),
    "in place": (lambda c, x, h: h.add_(x), "in-place operation"),
    "own in place": (lambda c, x, h: x + c.bias_hh.detach().add_(1), "changes 'bias_hh' of the cell in place"),
    "complex": (lambda c, x, h: torch.complex(x, h).real, "'complex'"),
    "sorted": (lambda c, x, h: x.sort(-1)[0], "'sort'"),
    "norm": (lambda c, x, h: F.normalize(x, dim=-1), "'linalg_vector_norm'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_code_is_refused_by_name_and_runs_step_by_step(name):
    function, reason = REFUSED[name]
    cell = updating(function)
    state = random.getstate(), torch.get_rng_state()
    assert reason in traced(cell)
    assert torch.equal(torch.get_rng_state(), state[1])
    if name not in ("in place", "own in place"):
        layer = Recurrence(cell)
        with torch.no_grad():
            layer(Sequences.of(torch.ones(3, 2, 2)))
        (row,) = report(layer)
        assert row["path"] == "reference" and reason in row["why"]


def test_an_attribute_that_may_change_unseen_is_refused_by_name():
    cell = updating(lambda c, x, h: x * c.draw())
    numbers = iter([0.5, 0.25])
    cell.draw = numbers.__next__
    assert traced(cell) == "its attribute 'draw' is a method-wrapper, which may change unseen"
    other = updating(lambda c, x, h: x * 0.5)
    other.lock = threading.Lock()
    assert isinstance(traced(other), Trace)


def test_a_step_that_changes_its_cell_is_refused():
    def counting(cell, x, h):
        cell.held["calls"] += 1
        return x

    cell = updating(counting)
    cell.held = {"calls": 0}
    assert traced(cell) == "its update changes what the cell holds"


class Normalised(Cell):
    """A step with statistics of the batch, gathered as it runs."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.input, self.norm = nn.Linear(input_size, hidden_size), nn.BatchNorm1d(hidden_size)

    def project(self, x):
        return self.input(x)

    def step(self, gx, state):
        return (torch.tanh(self.norm(gx + state[0])),)


def test_running_statistics_within_a_step_are_gathered_step_by_step():
    layer = Recurrence(Normalised(2, 3))
    plain, x = copy.deepcopy(layer.cell), torch.randn(4, 5, 2)
    layer(Sequences.of(x))
    state = plain.initial_state(4, x)
    for gx in plain.project(x).unbind(1):
        state = plain.step(gx, state)
    assert layer.ran == {"reference": 1} and "in place" in layer.why
    torch.testing.assert_close(dict(layer.cell.named_buffers()), dict(plain.named_buffers()))
    with using_path(layer, "compiled"), pytest.raises(ZooError, match="gather running statistics"):
        layer(Sequences.of(x))


def test_a_trace_leaves_the_cell_as_it_was():
    cell = Normalised(2, 3)
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    assert "in place" in traced(cell)
    torch.testing.assert_close(dict(cell.state_dict()), before, rtol=0, atol=0)


def test_threads_that_call_a_new_cell_at_once_get_one_trace():
    cell, found = Zoneout(3, 4, cell="gru"), [None] * 8

    def call(place):
        found[place] = traced(cell)

    threads = [threading.Thread(target=call, args=(place,)) for place in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(found[0], Trace) and all(one is found[0] for one in found)


class Shapes(PointwiseCell):
    """The same numbers by way of other shapes."""

    gates = ("a", "b")

    def update(self, gx, gh, state):
        both = torch.cat([torch.cat(gx, -1) + torch.cat(gh, -1), state[0]], -1)
        a, b, h = both.unflatten(-1, (3, -1)).unbind(-2)
        made = torch.stack([a, b]).tanh()
        out = torch.zeros(len(a), 2 * a.shape[-1])
        out[:, : a.shape[-1]] = made[0] * h
        out[:, a.shape[-1] :].add_(made[1]).mul_(0.5)
        return (out.narrow(-1, 0, a.shape[-1]) + out.chunk(2, -1)[1],)


def test_a_step_may_cut_join_and_fill_tensors():
    cell = Shapes(2, 3)
    found = traced(cell)
    assert isinstance(found, Trace) and found.additive
    values = [torch.randn(4, 3, requires_grad=True) for _ in range(3)]
    zeros = torch.zeros(4, 3)
    wanted = cell.update(tuple(values[:2]), (zeros, zeros), (values[2],))[0]
    torch.testing.assert_close(run(found.forward, values)[0], wanted)
    weight = torch.randn(4, 3)
    torch.testing.assert_close(
        run(found.backward, [*values, weight]), list(torch.autograd.grad(wanted, values, weight))
    )


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_a_cell_is_traced_in_any_mode(mode):
    with mode():
        assert isinstance(traced(Reading(2, 3)), Trace)


def test_cells_of_one_size_and_another_have_the_same_program():
    programs = [traced(Reading(2, size))[:2] for size in (4, 7)]
    assert all(a == b for a, b in itertools.pairwise(programs))
