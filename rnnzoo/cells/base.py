"""The contract of a recurrent cell: what one step computes, and nothing of time, direction, lengths or speed.

    gx     = project(x)           what of a step needs only the input: run over all live steps at once
    state' = step(gx, state)      one step: the truth for every faster path
    y      = readout(gx, state')  the output: run over all live steps at once

Three kinds of author: a `PointwiseCell` writes `update`, a `LinearCell` writes `coefficients`, any other `Cell` writes
`step`. The engine runs all of them forwards and backwards over ragged batches, with carried state. A cell around a cell
is a `Wrapper` (`rnnzoo/cells/wrappers.py`).

A cell imports this module alone, and the ranges of its parameters. The files behind it: `specs`, `named`, `cell`,
`pointwise`, `linear`, `build`.
"""

from rnnzoo.cells.build import CellLike, make_cell
from rnnzoo.cells.cell import Cell
from rnnzoo.cells.linear import LinearCell
from rnnzoo.cells.named import Named
from rnnzoo.cells.pointwise import PointwiseCell
from rnnzoo.cells.specs import NoiseSpec, Projected, State, StateSpec

__all__ = [
    "Cell",
    "CellLike",
    "LinearCell",
    "Named",
    "NoiseSpec",
    "PointwiseCell",
    "Projected",
    "State",
    "StateSpec",
    "make_cell",
]
