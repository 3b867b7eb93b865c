"""Which path runs a cell, here and now, and why. Fastest first; the reference loop, which runs everything, is last."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from rnnzoo.cells.base import Cell
from rnnzoo.engine import modes
from rnnzoo.engine.cpp.path import NATIVE, Native
from rnnzoo.engine.layout import Sequences
from rnnzoo.engine.paths.cell_scan import Whole
from rnnzoo.engine.paths.chunked import Chunked
from rnnzoo.engine.paths.deferred import Deferred
from rnnzoo.engine.paths.fused import Fused, recognise
from rnnzoo.engine.paths.linear_scan import Linear
from rnnzoo.engine.paths.reference import Reference
from rnnzoo.engine.triton.path import Triton
from rnnzoo.errors import ZooError, unknown

Path = Fused | Native | Triton | Linear | Whole | Chunked | Reference  # Deferred is a Reference
PATHS: dict[str, Path] = {
    path.name: path for path in (Fused(), NATIVE, Triton(), Whole(), Linear(), Chunked(), Deferred(), Reference())
}
PATIENCE = 100_000  # steps that the plain loop trains in about the time that torch.compile takes
WIDE = 400  # hidden_size from which one product for a weight's gradient is faster than one a step
_forced: str | None = None
log = logging.getLogger("rnnzoo")


def force(path: str) -> None:
    """Run every cell on one path from now on; "auto" lets the engine choose again. Raises: ZooError."""
    global _forced
    if path not in ("auto", *PATHS):
        raise ZooError(unknown("no engine path is named", path, ("auto", *PATHS)))
    _forced = None if path == "auto" else path


@contextmanager
def forced(path: str) -> Iterator[None]:
    """`force` for the length of a with block."""
    before = _forced or "auto"
    force(path)
    try:
        yield
    finally:
        force(before)


def choose(cell: Cell, x: Sequences, steps: int = 0) -> tuple[Path, str]:
    """The path for this cell on these sequences, and the reason for it.

    steps: how many the plain loop has trained so far; compiling takes as long as PATIENCE of them, and pays from then.
    Raises: ZooError if a forced path cannot run the cell.
    """
    followed = modes.following(x.held)
    if _forced is not None:
        path = PATHS[_forced]
        refusal = followed if followed and type(path) is not Reference else path.refuses(cell, x)
        if refusal:
            raise ZooError(
                f"engine path '{_forced}' cannot run {type(cell).__name__}: {refusal}.\n"
                f"  Use 'auto', which takes the fastest path that can."
            )
        return path, "forced"
    if followed:
        return PATHS[Reference.name], f"only the plain loop: {followed}"
    refusals: list[str] = []
    for name in _preferred(cell, x, steps):
        path = PATHS[name]
        refusal = path.refuses(cell, x)
        if refusal is None:
            if name == Reference.name and cell.core is not None:
                _tell(type(cell).__name__, "; ".join(refusals))
            return path, "; ".join(refusals) or "fastest path that runs this cell"
        refusals.append(f"not {path.name}: {refusal}")
    raise AssertionError("the reference loop refused a cell")


@lru_cache(maxsize=256)
def _tell(cell: str, refusals: str) -> None:
    """Say it once where a cell that has a fast path runs step by step."""
    log.warning("%s runs step by step: %s.", cell, refusals)


def _preferred(cell: Cell, x: Sequences, steps: int) -> tuple[str, ...]:
    """Names of paths, the fastest first, as measured (`rnnzoo bench cell`).

    On the CPU native code is faster than the fused layers, which compute the padding, but for an LSTM whose sequences
    are about equally long: oneDNN has that one layer. On CUDA the order is by how few kernels run, not yet measured.
    """
    if x.layout.device.type == "cuda":
        first = ("fused", "triton")
    elif recognise(cell) != "lstm" or x.layout.valid < _full():
        first = ("native", "fused")
    else:
        first = ("fused", "native")
    compiled = ("compiled",) if steps >= PATIENCE else ()
    deferred = ("deferred",) if cell.hidden_size >= WIDE else ()
    return (*first, "scan", "linear", *compiled, *deferred, "reference")


def _full() -> float:
    """The share of real steps in a padded batch from which oneDNN's LSTM is the faster one."""
    if torch.is_autocast_enabled("cpu"):
        return 0.6  # it computes in bfloat16
    if not torch.is_grad_enabled():
        return 0.7
    return 0.95 if torch.get_num_threads() > 1 else math.inf
