"""The first step of a cell, compared with what the cell declares: a plugin's mistake is reported at once, by its name.

One extra step, over the first steps of the first batch; no gradient, no random number. Later calls cost nothing.
"""

from __future__ import annotations

import inspect
import traceback
from typing import Any

import torch
from torch import Tensor

from rnnzoo import registry
from rnnzoo.cells.base import Cell, LinearCell, PointwiseCell, State
from rnnzoo.engine import modes
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import CellError, ZooError

LARGE = 1e4  # inputs beyond it may overflow without a fault of the cell


def check_first_step(cell: Cell, x: Sequences) -> bool:
    """Check one step of a cell on the first step of every sequence of a batch.

    Returns whether there was one to check: not where a mode of torch watches every operation, where no sequence has a
    step, or where x and the parameters do not fit each other, for which torch has the better message.
    Raises: CellError, naming the cell, its distribution and both sides of a mismatch.
    """
    name = registry.whose("cells", type(cell))
    _check_complete(cell, name)
    if x.features != cell.input_size:
        raise ValueError(
            f"{type(cell).__name__} expected x with input_size={cell.input_size} features, got {x.features}"
        )
    if not x.layout.longest or not x.layout.batch or modes.watching(x.at_hand) is not None:
        return False
    steps = x.first_steps()
    if not _fits(cell, steps):
        return False
    devices = [steps.device] if steps.device.type == "cuda" else []
    buffers = [(buffer, buffer.clone()) for buffer in cell.buffers()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices):
            _check_step(cell, name, steps)
    finally:
        with torch.no_grad():
            for buffer, before in buffers:  # running statistics are those of real steps
                if not torch.equal(buffer, before):  # else a gradient that waits for it would fail
                    buffer.copy_(before)
    return True


def check_result(cell: Cell, x: Sequences, outputs: Sequences, last: State | None) -> None:
    """Check the shapes that a path gave for a whole batch. Raises: CellError."""
    name = registry.whose("cells", type(cell))
    if last is not None:
        check_state(cell, name, "returned", last, x.at_hand.new_empty(x.layout.batch, 0))
    check_outputs(cell, name, (outputs.features,), (cell.output_size,))


def check_given_state(cell: Cell, state: State, batch: int) -> None:
    """Compare a state that a caller gives with the cell's. Raises: ValueError with both shapes."""
    specs, name = cell.state_specs(), type(cell).__name__
    if len(state) != len(specs):
        raise ValueError(f"{name} expected {len(specs)} states ({', '.join(s.name for s in specs)}), got {len(state)}")
    for spec, tensor in zip(specs, state, strict=True):
        if tuple(tensor.shape) != (batch, *spec.shape):
            declared, shape = (batch, *spec.shape), tuple(tensor.shape)
            raise ValueError(f"{name} expected state '{spec.name}' of shape {declared}, got {shape}")


def _check_complete(cell: Cell, name: str) -> None:
    """Raises: CellError for a cell without the method that computes its step."""
    for kind, method in ((PointwiseCell, "update"), (LinearCell, "coefficients"), (Cell, "step")):
        if type(cell).step is kind.step and getattr(type(cell), method) is getattr(kind, method):
            signature = {"update": "update(gx, gh, state)", "coefficients": "coefficients(gx)"}
            raise CellError(f"{name} must define {signature.get(method, 'step(gx, state)')}.")


def _fits(cell: Cell, x: Tensor) -> bool:
    parameters = list(cell.parameters())
    if any(p.device != x.device for p in parameters):
        return False
    return torch.is_autocast_enabled(x.device.type) or all(p.dtype == x.dtype for p in parameters)


def _check_step(cell: Cell, name: str, x: Tensor) -> None:
    gx = _call(cell, name, "project", x)
    first = _call(cell, name, "initial_state", len(x), x)
    check_state(cell, name, "begins with", first, x)
    masks = [x.new_full((len(x), *spec.shape), 1 - spec.rate) for spec in cell.noise]
    after = _call(cell, name, "step", gx, cell.as_state(first), *masks)
    check_state(cell, name, "returned", after, x)
    outputs = _call(cell, name, "readout", gx, cell.as_state(after))
    check_outputs(cell, name, tuple(outputs.shape), (len(x), cell.output_size))
    moderate = bool((x.abs() <= LARGE).all()) and all(bool(p.isfinite().all()) for p in cell.parameters())
    for what, tensor in (
        *((f"state '{s.name}'", t) for s, t in zip(cell.state_specs(), after, strict=True)),
        ("output", outputs),
    ):
        if moderate and bool(tensor.isnan().any()):
            raise CellError(f"{name} returned NaN in its {what} after one step, from finite inputs and parameters.")


def _call(cell: Cell, name: str, method: str, *arguments: object) -> Any:
    """Call a method of the cell. Raises: CellError if it fails, or changes a tensor among its arguments."""
    tensors = _tensors(arguments)
    before = [tensor.clone() for tensor in tensors]
    try:
        result = getattr(cell, method)(*arguments)
    except (ZooError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as cause:  # a plugin's cell may raise anything
        message = (str(cause).splitlines() or [""])[0]
        raise CellError(f"{name} failed in {method}: {type(cause).__name__}: {message}{_line(cell, cause)}") from cause
    for tensor, old in zip(tensors, before, strict=True):
        if not bool(((tensor == old) | (old != old)).all()):
            raise CellError(f"{name} changed an argument of {method} in place.\n  It must return new tensors.")
    return result


def _tensors(value: object) -> list[Tensor]:
    """All tensors in nested tuples and lists."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, (tuple, list)) else []


def _line(cell: Cell, cause: Exception) -> str:
    """The line of the cell's own file where it failed."""
    try:
        file = inspect.getfile(type(cell))
    except (OSError, TypeError):
        return ""
    frames = [frame for frame in traceback.extract_tb(cause.__traceback__) if frame.filename == file]
    return f"\n  At {file}:{frames[-1].lineno}, in {frames[-1].name}." if frames else ""


def check_state(cell: Cell, name: str, verb: str, state: object, like: Tensor) -> None:
    """Compare a state with the specs of the cell. like: (batch, ...), of the dtype and on the device that states take.

    Raises: CellError.
    """
    specs = cell.state_specs()
    if not isinstance(state, (tuple, list)):
        raise CellError(f"{name} {verb} a {type(state).__name__}, declared a tuple of {len(specs)} states.")
    if len(state) != len(specs):
        raise CellError(f"{name} {verb} {len(state)} states, declared {len(specs)}: {[s.name for s in specs]}.")
    autocast = torch.is_autocast_enabled(like.device.type)  # which gives some results in its own precision
    for spec, tensor in zip(specs, state, strict=True):
        if not isinstance(tensor, Tensor):
            raise CellError(f"{name} {verb} a {type(tensor).__name__} as state '{spec.name}', declared a tensor.")
        declared: tuple[int, ...] = (len(like), *spec.shape)
        if tuple(tensor.shape) != declared:
            shape = tuple(tensor.shape)
            raise CellError(f"{name} {verb} state '{spec.name}' of shape {shape}, declared {declared}.")
        dtype = spec.dtype_for(like.dtype)
        if tensor.dtype != dtype and not (autocast and _kind(tensor.dtype) == _kind(dtype)):
            raise CellError(f"{name} {verb} state '{spec.name}' of {tensor.dtype}, declared {dtype}.")
        if tensor.device != like.device:
            raise CellError(f"{name} {verb} state '{spec.name}' on {tensor.device}, expected {like.device}.")


def _kind(dtype: torch.dtype) -> tuple[bool, bool]:
    return dtype.is_floating_point, dtype.is_complex


def check_outputs(cell: Cell, name: str, shape: tuple[int, ...], declared: tuple[int, ...]) -> None:
    """Compare the shape of the outputs. Raises: CellError."""
    if shape[-1:] != declared[-1:]:
        features = shape[-1] if shape else 0
        raise CellError(f"{name} gave {features} output features, declared output_size={cell.output_size}.")
    if shape != declared:
        raise CellError(f"{name} gave an output of shape {shape}, declared {declared}.")
