"""Which path runs a cell on some sequences, and why: the fastest that can; the reference loop can always."""

from __future__ import annotations

import logging
import math

import torch

from rnnzoo.cells.base import Cell
from rnnzoo.engine import modes
from rnnzoo.engine.cpp.path import Native
from rnnzoo.engine.once import Once
from rnnzoo.engine.paths.base import Path
from rnnzoo.engine.paths.cell_scan import CellScan
from rnnzoo.engine.paths.chunked import Chunked
from rnnzoo.engine.paths.deferred import Deferred
from rnnzoo.engine.paths.fused import Fused, recognise
from rnnzoo.engine.paths.linear_scan import LinearScan
from rnnzoo.engine.paths.reference import Reference
from rnnzoo.engine.sequences import Sequences
from rnnzoo.engine.triton.path import Triton
from rnnzoo.errors import ZooError, unknown

PATHS: dict[str, Path] = {
    path.name: path
    for path in (Fused(), Native(), Triton(), CellScan(), LinearScan(), Chunked(), Deferred(), Reference())
}
AUTO = "auto"  # instead of a path's name: the engine chooses
PATIENCE = 100_000  # steps that the plain loop trains in about the time that torch.compile takes
WIDE = 400  # hidden_size from which one product for a weight's gradient is faster than one a step
slow_log = Once(logging.getLogger("rnnzoo"))


def check_path(path: str) -> str:
    """The name of a path, or "auto". Raises: ZooError with the nearest name for any other."""
    if path not in (AUTO, *PATHS):
        raise ZooError(unknown("no engine path is named", path, (AUTO, *PATHS)))
    return path


def choose(cell: Cell, x: Sequences, steps: int = 0, wanted: str = AUTO) -> tuple[Path, str]:
    """The path for this cell on these sequences, and the reason for it.

    steps: how many the plain loop has trained so far; compiling takes as long as PATIENCE of them, and pays from then.
    wanted: the name of the one path that may run the cell, or "auto".
    Raises: ZooError if the wanted path cannot run the cell.
    """
    if x.layout.path is not None:
        return x.layout.path, "the only path for this layout"
    watched = modes.watching(x.at_hand)
    if wanted != AUTO:
        path = PATHS[wanted]
        refusal = watched if watched and not path.in_every_mode else path.refuses(cell, x)
        if refusal:
            raise ZooError(
                f"engine path '{wanted}' cannot run {type(cell).__name__}: {refusal}.\n"
                f"  Use 'auto', which takes the fastest path that can."
            )
        return path, "forced"
    if watched:
        return PATHS[Reference.name], f"only the plain loop: {watched}"
    refusals: list[str] = []
    for name in _preferred(cell, x, steps):
        path = PATHS[name]
        refusal = path.refuses(cell, x)
        if refusal is None:
            if name == Reference.name and cell.core is not None:  # a cell that has a fast path
                slow_log.warn("%s runs step by step: %s.", type(cell).__name__, "; ".join(refusals))
            return path, "; ".join(refusals) or "fastest path that runs this cell"
        refusals.append(f"not {path.name}: {refusal}")
    raise AssertionError("the reference loop refused a cell")


def _preferred(cell: Cell, x: Sequences, steps: int) -> tuple[str, ...]:
    """Names of paths, the fastest first.

    The order on the CPU is measured (`rnnzoo bench cell`). Native code is faster than the fused layers, which compute
    the padding too; the exception is an LSTM over sequences of about equal length, for which oneDNN is faster. The
    order on CUDA is a guess, not a measurement: fewer kernels first.
    """
    if x.layout.device.type == "cuda":
        first = ("fused", "triton")
    elif x.distinct is not None or recognise(cell) != "lstm" or x.layout.valid_share < _fused_lstm_share():
        first = ("native", "fused")
    else:
        first = ("fused", "native")
    compiled = ("compiled",) if steps >= PATIENCE else ()
    deferred = ("deferred",) if cell.hidden_size >= WIDE else ()
    return (*first, "scan", "linear", *compiled, *deferred, "reference")


def _fused_lstm_share() -> float:
    """The share of real steps in a padded batch from which oneDNN's LSTM is the faster one."""
    if torch.is_autocast_enabled("cpu"):
        return 0.6  # it computes in bfloat16
    if not torch.is_grad_enabled():
        return 0.7
    return 0.95 if torch.get_num_threads() > 1 else math.inf
