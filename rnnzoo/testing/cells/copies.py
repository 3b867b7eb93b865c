"""Copies of a cell, and its weights loaded into another."""

from __future__ import annotations

import copy

import torch

from rnnzoo.testing.cells.running import run
from rnnzoo.testing.cells.subject import CellSubject, ragged


def check_deepcopy(subject: CellSubject) -> None:
    """A deep copy gives the same numbers, and shares no tensor."""
    cell = subject.moved()
    x, lengths = ragged(cell)
    wanted = run(cell, x, lengths)
    twin = copy.deepcopy(cell)
    subject.agree(run(twin, x, lengths), wanted, "a deep copy")
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    subject.agree(run(cell, x, lengths), wanted, "the cell after its copy was changed", 0)


def check_state_dict_round_trip(subject: CellSubject) -> None:
    """Another cell gives the same numbers once it has loaded the `state_dict`: all that was learnt is in it."""
    cell, other = subject.moved(), subject.make(seed=2).eval()
    other.load_state_dict(cell.state_dict(), strict=True)
    x, lengths = ragged(cell)
    subject.agree(run(other, x, lengths), run(cell, x, lengths), "a cell with the same state_dict")
