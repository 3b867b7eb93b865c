"""The weights of one pass: dropped, normalised or pruned ones, computed once a pass, stand in for the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import RLock

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.stateless import _reparametrize_module

from rnnzoo.cells.base import Cell

# For a pass whose weights change: meanwhile the cell holds others, and torch's cache of parametrised weights, which is
# one for the process, is on. No other thread may run such a pass then.
PASS_LOCK = RLock()


def changes(cell: Cell) -> bool:
    """Whether a cell's weights are computed anew for every pass."""
    return bool(cell.overrides("effective_weights")) or any(
        parametrize.is_parametrized(module) or _hooks(module) for module in cell.modules()
    )


@contextmanager
def of_this_pass(cells: Sequence[Cell]) -> Iterator[None]:
    """Cells with the weights of a pass, the same ones for all its steps."""
    with ExitStack() as stack:
        if any(parametrize.is_parametrized(module) for cell in cells for module in cell.modules()):
            stack.enter_context(parametrize.cached())
        for cell in cells:
            for module in cell.modules():
                for hook in _hooks(module):
                    hook(module, ())
            if weights := cell.effective_weights():
                stack.enter_context(_reparametrize_module(cell, weights))
        yield


def _hooks(module: nn.Module) -> list[Callable[..., object]]:
    """torch's weight_norm, spectral_norm and pruning: a call of the cell would run them, the engine calls its parts."""
    if not isinstance(module, Cell) or not module._forward_pre_hooks:
        return []
    return [hook for hook in module._forward_pre_hooks.values() if type(hook).__module__.startswith("torch.nn.utils.")]
