"""Whether a cell learns."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from rnnzoo.cells.base import Cell
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.engine.sequences import Sequences
from rnnzoo.testing.cells.running import run
from rnnzoo.testing.cells.subject import CellSubject, ragged


def check_every_parameter_learns(subject: CellSubject) -> None:
    """One step of an optimiser changes every parameter, and leaves all of them finite."""
    cell = subject.make()
    x, lengths = ragged(cell)
    before = {name: p.detach().clone() for name, p in cell.named_parameters() if p.requires_grad}
    optimizer = torch.optim.Adam(cell.parameters(), 1e-2)
    outputs, last = run(cell, x, lengths)
    loss = (outputs - 1).square().mean() + sum((s.abs() - 1).square().mean() for s in last if s.requires_grad)
    loss.backward()
    optimizer.step()
    same = [name for name, p in cell.named_parameters() if name in before and torch.equal(p, before[name])]
    message = f"expected every parameter to change in a step of training, found unchanged: {', '.join(same)}"
    subject.require(not same, message)
    for name, parameter in cell.named_parameters():
        subject.finite(parameter, f"{name} after a step of training")


COPIED = 8  # sequences, their steps, and tokens
RATES = (2e-2, 5e-3)  # of learning, tried in turn


def check_overfits_copy(subject: CellSubject) -> str:
    """Trained on eight sequences with the same end, the cell names the first token of each, from memory."""
    rights = []
    for rate in RATES:
        steps, right = _trained_to_copy(subject.make(16, 16), rate)
        if right == COPIED:
            return f"after {steps} steps at a rate of {rate}"
        rights.append(str(right))
    found = " and ".join(rights)
    raise AssertionError(f"{subject.name}: expected {COPIED} of {COPIED} first tokens after training, found {found}")


def _trained_to_copy(cell: Cell, rate: float) -> tuple[int, int]:
    """Train a cell for at most 400 steps. Returns the steps it took, and how many sequences it is right about."""
    head = nn.Linear(cell.output_size, COPIED)
    tokens = torch.randint(COPIED, (COPIED, COPIED))
    tokens[:, 0], tokens[:, -1] = torch.arange(COPIED), 0
    x, target = F.one_hot(tokens, cell.input_size).float(), torch.arange(COPIED)
    layer = Recurrence(cell)
    parameters = [*cell.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, rate)
    right = 0
    for step in range(1, 401):
        loss = F.cross_entropy(head(layer.train()(Sequences.of(x))[0].at_ends()), target)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 10 == 0:
            with torch.no_grad():
                answers = head(layer.eval()(Sequences.of(x))[0].at_ends()).argmax(-1)
            right = int((answers == target).sum())
            if right == COPIED:
                break
    return step, right
