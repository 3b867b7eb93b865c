"""What is made of cells is made once, shared where the arithmetic is the same, and bounded."""

import gc
import weakref

from rnnzoo.cells.gru import GRUCell
from rnnzoo.cells.lstm import LSTMCell
from rnnzoo.engine.codegen import trace_cache
from rnnzoo.engine.codegen.trace_cache import PerCell, PerTrace, traced


def test_what_is_made_of_a_cell_is_made_anew_when_the_cell_changes_and_goes_with_it():
    made = PerCell(lambda cell: [cell.training])
    cell = GRUCell(2, 3)
    first = made(cell)
    assert made(cell) is first == [True]
    assert made(cell.eval()) == [False]
    assert made(cell.train()) is first
    gone = weakref.ref(cell)
    del cell
    gc.collect()
    assert gone() is None


def test_a_cell_that_is_another_at_each_call_is_given_up(monkeypatch):
    monkeypatch.setattr(trace_cache, "VARIANTS", 3)
    made, cell, answers = PerCell(lambda cell: "made"), GRUCell(2, 3), []
    for number in range(5):
        cell.number = number
        answers.append(made(cell))
    assert answers == ["made"] * 3 + ["its numbers change from call to call"] * 2


def test_what_is_made_of_traces_is_shared_and_the_least_used_goes_first(monkeypatch):
    monkeypatch.setattr(trace_cache, "PROGRAMS", 2)
    calls = []
    made = PerTrace(lambda trace, option: calls.append(option) or object())
    gru, lstm = traced(GRUCell(2, 3)), traced(LSTMCell(2, 3))
    one = made(gru, 1)
    assert made(traced(GRUCell(5, 4)), 1) is one and calls == [1]
    made(lstm, 1)
    assert made(gru, 1) is one and made(gru, 2) is not one  # lstm goes
    assert made(gru, 1) is one and calls == [1, 1, 2]
    made(lstm, 1)
    assert calls == [1, 1, 2, 1]
