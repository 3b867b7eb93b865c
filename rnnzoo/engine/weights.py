"""The weights of one pass: dropped, normalised or pruned ones take the parameters' places, computed once a pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import RLock

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.stateless import _reparametrize_module

from rnnzoo.cells.base import Cell

one_at_a_time = RLock()  # a pass changes the cell for its length: no other thread may read it then


def change(cell: Cell) -> bool:
    """Whether a cell's weights are made anew for every pass."""
    return bool(cell.overrides("effective_weights")) or any(
        parametrize.is_parametrized(module) or _hooks(module) for module in cell.modules()
    )


@contextmanager
def of_this_pass(cells: Sequence[Cell]) -> Iterator[None]:
    """Cells with the weights of a pass, whose steps all see the same ones."""
    with ExitStack() as stack:
        if any(parametrize.is_parametrized(module) for cell in cells for module in cell.modules()):
            stack.enter_context(parametrize.cached())
        for cell in cells:
            for module in cell.modules():
                for hook in _hooks(module):
                    hook(module, ())
            if standing_in := cell.effective_weights():
                stack.enter_context(_reparametrize_module(cell, standing_in))
        yield


def _hooks(module: nn.Module) -> list:
    """torch's weight_norm, spectral_norm and pruning: a call of the cell would run them, the engine calls its parts."""
    if not isinstance(module, Cell) or not module._forward_pre_hooks:
        return []
    return [hook for hook in module._forward_pre_hooks.values() if type(hook).__module__.startswith("torch.nn.utils.")]
