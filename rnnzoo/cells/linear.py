"""Cells that are linear in their state."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from rnnzoo.cells.cell import Cell
from rnnzoo.cells.named import Named
from rnnzoo.cells.specs import Projected, State


class LinearCell(Cell):
    """A cell that is linear in its state: h' = a * h + b, with a and b from the input alone."""

    is_builtin = True
    recurrent: ClassVar[None] = None
    blocks: int = 1

    @property
    def core(self) -> LinearCell | None:
        return self if self.gates else None

    def step(self, gx: Projected, state: Named, *noise: Tensor) -> State:
        """gx: as `project` returns it, (batch, ...); state: (h,), (batch, *shape). Returns (h',)."""
        a, b = self.parts(gx)
        return (a * state[0] + b,)

    def update(self, gx: Named, gh: Named, state: Named) -> State:
        """The step as that of a `PointwiseCell` without a recurrent product.

        gx: one (..., hidden_size) tensor per gate, by name; gh: (); state: (h,), (..., hidden_size). Returns (h',).
        """
        a, b = self.coefficients(gx)
        return (a * state[0] + b,)

    def parts(self, gx: Projected) -> tuple[Tensor, Tensor]:
        """a and b, (..., *shape) each, of the steps in gx, as `project` returns it."""
        if not self.gates:
            return self.coefficients(gx)
        return self.coefficients(self.as_gates(self.gates_of(gx).chunk(len(self.gates), -1)))

    def coefficients(self, gx: Projected) -> tuple[Tensor, Tensor]:
        """gx: one (..., hidden_size) tensor per gate, by name. Returns a and b, of the state's shape."""
        raise TypeError(f"{type(self).__name__} must define coefficients(gx)")
