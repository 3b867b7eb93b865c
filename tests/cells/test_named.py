"""Gates and states by name."""

import copy
import pickle

import pytest
import torch

from rnnzoo.cells.base import Cell, LinearCell, PointwiseCell, StateSpec, make_cell
from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.cells.wrappers import Wrapper
from rnnzoo.errors import CellError


def test_a_state_is_read_by_name_and_still_unpacks_and_indexes():
    _, state = LSTMCell(2, 3)(torch.randn(4, 2))
    h, c = state
    assert state.h is h is state[0] and state.c is c is state[1]
    assert len(state) == 2 and state == (h, c)


def test_gates_are_named_in_the_order_of_the_weights():
    cell = GRUCell(2, 3)
    gx = cell.as_gates(cell.bias_ih.chunk(3))
    assert torch.equal(torch.cat([gx.r, gx.z, gx.n]), cell.bias_ih)


def test_an_absent_gate_is_an_attribute_error():
    cell = GRUCell(2, 3)
    with pytest.raises(AttributeError, match="q"):
        _ = cell.as_gates(cell.bias_ih.chunk(3)).q


@pytest.mark.parametrize("kind", [Cell, PointwiseCell, LinearCell, Wrapper])
@pytest.mark.parametrize("what", ["gate", "state"])
@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("count",), "is a method of every tuple"),
        (("h~",), "is not a name that Python can read after a dot"),
        (("lambda",), "is not a name that Python can read after a dot"),
        (("_h",), "is not a name that Python can read after a dot"),
        (("h", "c", "h"), "is there twice"),
        ("h", "by the string 'h', not by a tuple"),
    ],
)
def test_a_class_is_refused_where_a_gate_or_a_state_cannot_be_read_by_its_name(kind, what, names, problem):
    with pytest.raises(CellError, match=rf"^Odd .*{what}.*{problem}"):
        type("Odd", (kind,), {f"{what}s": names})


def test_states_named_by_an_instance_are_refused_when_it_is_made():
    class Twice(Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.states = (StateSpec("S", (2,)), StateSpec("S", (3,)))

    with pytest.raises(CellError, match="has a state 'S', which is there twice"):
        make_cell(Twice, 2, 3)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_a_named_state_is_copied_and_pickled_with_its_names(again):
    state = LSTMCell(2, 3).as_state((torch.zeros(1, 3), torch.ones(1, 3)))
    assert torch.equal(again(state).c, state.c)
    assert type(again(state)) is type(state)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda cell: pickle.loads(pickle.dumps(cell))])
@pytest.mark.parametrize("cell", ["lstm", {"name": "zoneout", "cell": "gru"}])
def test_a_cell_is_copied_and_pickled(cell, again):
    made, x = make_cell(cell, 2, 3), torch.randn(4, 2)
    torch.testing.assert_close(again(made)(x)[0], made(x)[0], rtol=0, atol=0)


def test_wrappers_name_the_states_and_gates_of_what_they_wrap():
    seen = []

    class Looking(Wrapper):
        def after(self, new, old, *noise):
            seen.append((new.c, old.c))
            return new

    cell = make_cell({"name": "residual", "cell": "lstm"}, 2, 3)
    assert cell.as_gates("abcd").f == "b"
    Looking(2, 3, "lstm")(torch.randn(4, 2))
    assert len(seen) == 1
