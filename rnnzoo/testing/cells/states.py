"""What a step leaves alone, and how states are chosen between steps."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnzoo.engine.recurrence import select
from rnnzoo.testing.cells.subject import CellSubject, some_state


def check_inputs_unchanged(subject: CellSubject) -> None:
    """`project`, `step` and `readout` change neither their inputs nor a given state in place."""
    cell = subject.kept
    x, first = torch.randn(3, cell.input_size), some_state(cell, 3)
    masks = [torch.full((3, *spec.shape), 1 - spec.rate) for spec in cell.noise]
    with torch.no_grad():
        with unchanged(subject, "project", x):
            gx = cell.project(x)
        with unchanged(subject, "step", gx, first, masks):
            after = cell.as_state(cell.step(gx, first, *masks))
        with unchanged(subject, "readout", gx, after):
            cell.readout(gx, after)


class unchanged:
    """Demands that the tensors in some values are, at the end of a with block, as they were at its start."""

    def __init__(self, subject: CellSubject, method: str, *values: object) -> None:
        self.subject, self.method, self.tensors = subject, method, list(_tensors(values))

    def __enter__(self) -> None:
        self.before = [tensor.clone() for tensor in self.tensors]

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            same = all(map(torch.equal, self.tensors, self.before))
            self.subject.require(
                same, f"{self.method}: expected its arguments as they were, found one changed in place"
            )


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def check_state_reorder(subject: CellSubject) -> None:
    """States can be chosen, repeated and reordered between steps, as beam search does."""
    cell = subject.kept
    x, state = torch.randn(4, cell.input_size), some_state(cell, 4)
    index = torch.tensor([3, 3, 0])
    outputs, after = cell(x, state)
    chosen, end = cell(x[index], select([state], index)[0])
    subject.agree(chosen, outputs[index], "outputs of chosen sequences")
    subject.agree(end, select([after], index)[0], "states of chosen sequences")
