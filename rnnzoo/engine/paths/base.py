"""What a way to run a cell over time offers the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.sequences import Sequences

Result: TypeAlias = tuple[Sequences, State | None]  # outputs, output_size features; last state, None if not needed


class Path(ABC):
    """One way to run a cell over time. Every path gives what the plain loop in `reference.py` gives, or refuses.

    name: what recipes, reports and error messages call it.
    steps_in_python: whether it calls the cell's `step` once a step; compiling pays after many such steps.
    in_every_mode: whether it runs where a mode of torch must see every operation (see `modes.watching`).
    """

    name: ClassVar[str]
    steps_in_python: ClassVar[bool] = False
    in_every_mode: ClassVar[bool] = False

    @abstractmethod
    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell on x, here and now; None if it can."""

    @abstractmethod
    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """Run a cell over sequences of input_size features.

        state: (batch, *shape) each, or None for the cell's initial state. reverse: from each sequence's end to its
        start. Returns the outputs, output_size features, and the last state, both in the batch's order.
        """

    def run_together(
        self,
        cells: Sequence[Cell],
        x: Sequences,
        states: Sequence[State | None],
        reverse: Sequence[bool],
        need_state: bool,
    ) -> list[Result]:
        """`run` for several cells on the same input, the directions of a layer say; one after the other by default."""
        return [
            self.run(cell, x, state, backwards, need_state)
            for cell, state, backwards in zip(cells, states, reverse, strict=True)
        ]
