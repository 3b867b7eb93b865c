"""One update of a cell on given numbers, for tests that compare it with arithmetic."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from rnnzoo.cells.base import LinearCell, Named, PointwiseCell
from rnnzoo.cells.wrappers import Wrapper


def update_once(
    cell: PointwiseCell | LinearCell | Wrapper,
    gx: Iterable[float | Tensor],
    gh: Iterable[float | Tensor],
    state: Iterable[float | Tensor],
) -> Named:
    """The new state after one `update`, by name. A number becomes a float64 tensor of shape (), a tensor stays one.

    gx, gh: one value per gate, in the order of `gates`; gh is empty for a cell without a recurrent product. state: one
    value per state.

        new = update_once(GRUCell(1, 1), gx=(0.3, -0.7, 0.2), gh=(0.1, 0.5, -0.4), state=(-0.5,))
        new.h.item()
    """
    x, h, before = ([torch.as_tensor(v, dtype=_dtype(v)) for v in values] for values in (gx, gh, state))
    by_gate = cell.as_gates(x), cell.as_gates(h) if h else Named()
    return cell.as_state(cell.update(*by_gate, cell.as_state(before)))


def _dtype(value: float | Tensor) -> torch.dtype:
    return value.dtype if isinstance(value, Tensor) else torch.float64
