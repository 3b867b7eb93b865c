"""A cell run over sequences in each way that it can be, and the gradients of what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.engine.sequences import Sequences
from rnnzoo.testing.cells.subject import differentiable

Run = Callable[..., tuple[Tensor, State]]


def run(
    cell: Cell,
    x: Tensor,
    lengths: Tensor | None = None,
    state: State | None = None,
    reverse: bool = False,
    path: str = "reference",
) -> tuple[Tensor, State]:
    """Outputs (batch, time, features), zeros past the ends, and last states, by one of the engine's paths."""
    outputs, last = Recurrence(cell, reverse, path)(Sequences.of(x, lengths), state)
    assert last is not None
    return outputs.padded, last


def run_scan(cell: Cell, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> tuple[Tensor, State]:
    """The same by the cell's own `scan`."""
    assert cell.scan is not None
    sequences = Sequences.of(x, lengths)
    layout = sequences.layout
    first = cell.initial_state(layout.batch, x) if state is None else state
    rows, last = cell.scan(cell.project(sequences.rows), layout, cell.as_state(layout.sort(s) for s in first))
    return Sequences(layout, rows=rows).padded, tuple(layout.unsort(s) for s in last)


def ways(cell: Cell) -> Iterator[tuple[str, Run]]:
    """How a cell is run in practice: by the reference loop, as the engine chooses, and by its own scan."""
    for path in ("reference", "auto"):
        yield f"on path {path}", partial(run, path=path)
    if cell.scan is not None and not cell.noise:
        yield "by its scan", run_scan


def everything(
    run: Run, cell: Cell, x: Tensor, lengths: Tensor | None, state: State | None, of: str = "outputs and last states"
) -> dict[str, Tensor]:
    """Outputs, last states and every gradient, from what `of` names, by name."""
    leaves = leaves_of(cell, x, state)
    found = results(run, cell, leaves, lengths, state)
    total = weighted({name: t for name, t in found.items() if name in of or ("last" in of and name != "outputs")})
    if not total.requires_grad:
        return found | {f"gradient of {name}": torch.zeros_like(tensor) for name, tensor in leaves.items()}
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    zeros = (torch.zeros_like(t) if g is None else g for g, t in zip(gradients, leaves.values(), strict=True))
    return found | {f"gradient of {name}": g for name, g in zip(leaves, zeros, strict=True)}


def leaves_of(cell: Cell, x: Tensor, state: State | None) -> dict[str, Tensor]:
    """What gradient may flow to, by name: x, the states of h0, the parameters."""
    first = {f"h0 {spec.name}": s for spec, s in zip(cell.state_specs(), state or (), strict=False)}
    given = {name: t.detach().clone().requires_grad_() for name, t in {"x": x, **first}.items() if differentiable(t)}
    return given | {name: p for name, p in cell.named_parameters() if p.requires_grad}


def results(
    run: Run, cell: Cell, leaves: Mapping[str, Tensor], lengths: Tensor | None, state: State | None
) -> dict[str, Tensor]:
    """Outputs and last states by name, from the leaves and what of a state is none."""
    specs = cell.state_specs()
    if state is not None:
        state = tuple(leaves.get(f"h0 {spec.name}", s) for spec, s in zip(specs, state, strict=True))
    outputs, last = run(cell, leaves["x"], lengths, state)
    return {"outputs": outputs} | {f"last {spec.name}": s for spec, s in zip(specs, last, strict=True)}


def weighted(tensors: Mapping[str, Tensor]) -> Tensor:
    """One number in which every number of some tensors has its own weight."""
    reals = (torch.view_as_real(t) if t.is_complex() else t for t in tensors.values() if t.requires_grad)
    parts = [(real * torch.linspace(-1, 1, real.numel(), dtype=real.dtype).view_as(real)).sum() for real in reals]
    return torch.stack(parts).sum() if parts else torch.zeros(())
