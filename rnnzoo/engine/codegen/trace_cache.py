"""What is made of cells and of their traces, kept in memory: traces, libraries, kernels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from rnnzoo.cells.base import Cell
from rnnzoo.engine.codegen.fingerprint import Unclear, fingerprint
from rnnzoo.engine.codegen.ir import Trace, Untraceable
from rnnzoo.engine.codegen.tracer import trace

VARIANTS = 32  # of one cell, by what its step reads and its mode
PROGRAMS = 256  # things made of traces that one cache keeps
OWNED = ("step", "recur")  # what generated code takes over from a pointwise cell
P = ParamSpec("P")
T = TypeVar("T")


class PerCell(Generic[T]):
    """What `make` gives for a cell as it is now, or why it gives nothing: made once a fingerprint, by one thread.

    It lives as long as its cell. Use it to decorate `make`.
    """

    def __init__(self, make: Callable[[Cell], T]) -> None:
        self.make, self.__doc__ = make, make.__doc__
        self._made: WeakKeyDictionary[Cell, dict[Hashable, T]] = WeakKeyDictionary()
        self._lock = RLock()

    def __call__(self, cell: Cell) -> T | str:
        try:
            key = fingerprint(cell)
        except Unclear as cause:
            return str(cause)
        made = self._made.get(cell)
        if made is None or key not in made:
            with self._lock:
                made = self._made.setdefault(cell, {})
                if key not in made:
                    if len(made) >= VARIANTS:
                        return "its numbers change from call to call"
                    with saved_tensors_hooks(_unchanged, _unchanged):  # a checkpoint counts what its model saves
                        made[key] = self.make(cell)
        return made[key]


class PerTrace(Generic[P, T]):
    """What `make` gives for a trace and other arguments: cells with the same arithmetic share it."""

    def __init__(self, make: Callable[P, T]) -> None:
        self.make = make
        self._made: OrderedDict[str, T] = OrderedDict()
        self._lock = RLock()

    def __call__(self, *arguments: P.args, **options: P.kwargs) -> T:
        key = repr((arguments, options))  # in which -0.0 is not 0.0
        with self._lock:
            if key not in self._made:
                self._made[key] = self.make(*arguments, **options)
            self._made.move_to_end(key)
            if len(self._made) > PROGRAMS:
                self._made.popitem(last=False)
            return self._made[key]


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


@PerCell
def traced(cell: Cell) -> Trace | str:
    """The trace of a cell as it is now, or why it has none."""
    if next(cell.parameters(), None) is None:
        return "it has no parameters"
    changed = cell.overrides(*OWNED)
    if changed and cell.core is not None:
        return f"the cell has a {changed[0]} of its own"
    if any(s.shape != (cell.hidden_size,) or s.dtype is not None for s in cell.state_specs()):
        return "a state is not a real vector of hidden_size"
    if any(n.shape != (cell.hidden_size,) for n in cell.noise):
        return "a mask is not a vector of hidden_size"
    before = fingerprint(cell)
    try:
        result = trace(cell)
    except Untraceable as cause:
        return str(cause)
    return result if fingerprint(cell) == before else "its update changes what the cell holds"
