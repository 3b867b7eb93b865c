"""The cell under test: how it is made, and what it is run on."""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell, CellLike, State, make_cell
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.cells import fresh
from rnnzoo.testing.subject import Subject

INPUT, HIDDEN = 5, 8
SIZES = ((INPUT, HIDDEN), (16, 16))  # input_size, hidden_size
LENGTHS = (3, 9, 0, 1, 9, 5)  # steps
Answer = TypeVar("Answer")
TIME = 10  # steps with padding: one more than the longest sequence has


class CellSubject(Subject):
    """A cell under test: a registered name, a mapping with a name and parameters, or a class."""

    kind = "cells"

    def __init__(self, cell: CellLike) -> None:
        super().__init__(cell)
        self.cell = cell

    def make(self, input_size: int = INPUT, hidden_size: int = HIDDEN, seed: int = 1) -> Cell:
        """The cell as it is built, in training mode. Raises: NotApplicable if it does not build."""
        torch.manual_seed(seed)
        try:
            return make_cell(self.cell, input_size, hidden_size)
        except Exception as error:  # a plugin's constructor may raise anything; `builds_from_json` reports it
            raise NotApplicable(f"the cell does not build: {type(error).__name__}: {error}") from error

    def moved(self, seed: int = 1) -> Cell:
        """The cell in evaluation mode, every parameter a little away from where it began, as training leaves it."""
        cell = self.make(seed=seed).eval()
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return cell

    @cached_property
    def _kept(self) -> Cell:
        return self.moved()

    @property
    def kept(self) -> Cell:
        """One `moved` cell for all checks that only run it: paths that generate code do so once."""
        return self._kept.eval()

    @cached_property
    def batch(self) -> tuple[Tensor, Tensor]:
        """x and lengths for other processes: both halves have an empty sequence."""
        return ragged(self.kept, (3, 9, 0, 1, 0, 5))

    @cached_property
    def elsewhere(self) -> fresh.Answers:
        """What becomes of the cell in other processes, asked once for all checks. Raises: NotApplicable."""
        return fresh.ask(self.maker, self.parameters, self.kept, *self.batch)

    def answered(self, answer: Answer | fresh.Failure) -> Answer:
        """An answer of another process. Raises: NotApplicable or AssertionError where there is none."""
        if not isinstance(answer, fresh.Failure):
            return answer
        if answer.skipped:
            raise NotApplicable(answer.reason)
        raise AssertionError(f"{self.name}: expected an answer of another process, found {answer.reason}")


def ragged(cell: Cell, lengths: tuple[int, ...] = LENGTHS, time: int = TIME) -> tuple[Tensor, Tensor]:
    """Random x (batch, time, features) and lengths (batch,)."""
    return torch.randn(len(lengths), time, cell.input_size, dtype=dtype_of(cell)), torch.tensor(lengths)


def dtype_of(cell: Cell) -> torch.dtype:
    return next((p.dtype for p in cell.parameters()), torch.float32)


def some_state(cell: Cell, batch: int) -> State:
    """A state that a few steps have led to; the free ones moved on from there by random numbers."""
    with torch.no_grad():
        state: State | None = None
        for _ in range(3):
            _, state = cell(torch.randn(batch, cell.input_size, dtype=dtype_of(cell)), state)
        assert state is not None
        return cell.as_state(
            s + 0.3 * torch.randn_like(s) if spec.free and differentiable(s) else s.clone()
            for s, spec in zip(state, cell.state_specs(), strict=True)
        )


def differentiable(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
