"""A cell's own form for whole sequences: chunked or parallel over time."""

from __future__ import annotations

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.paths.base import Path, Result
from rnnzoo.engine.sequences import Sequences


class CellScan(Path):
    """The cell's `scan`, given packed rows; a reversed direction is turned round before and after."""

    name = "scan"

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell; None if it can."""
        if cell.scan is None:
            return "the cell has no scan of its own"
        return "a scan takes no masks" if cell.noise else None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        assert cell.scan is not None
        layout = x.layout
        rows = x.rows.index_select(0, layout.row_reversal) if reverse else x.rows
        first = cell.initial_state(layout.batch, rows) if state is None else state
        outputs, last = cell.scan(cell.project(rows), layout, cell.as_state(layout.sort(s) for s in first))
        outputs = outputs.index_select(0, layout.row_reversal) if reverse else outputs
        return Sequences(layout, rows=outputs), tuple(layout.unsort(s) for s in last) if need_state else None
