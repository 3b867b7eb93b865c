"""How a cell is built, and what it declares of itself."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnzoo.cells.base import make_cell
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.cells.running import run
from rnnzoo.testing.cells.subject import HIDDEN, INPUT, SIZES, CellSubject, differentiable


def check_builds_from_json(subject: CellSubject) -> str:
    """The constructor takes input_size, hidden_size and plain data with defaults: a recipe can build the cell."""
    missing = subject.missing_parameters
    subject.require(not missing, f"expected a default for every parameter, found none for {', '.join(missing)}")
    defaults = {name: p.default for name, p in subject.signature.items() if not p.required}
    arguments = json.loads(json.dumps(defaults | subject.parameters))
    for sizes in SIZES:
        torch.manual_seed(1)
        plain = make_cell(subject.cell, *sizes).eval()
        torch.manual_seed(1)
        from_json = make_cell(lambda i, h: subject.maker(i, h, **arguments), *sizes).eval()
        x = torch.randn(2, 4, sizes[0])
        subject.agree(run(from_json, x)[0], run(plain, x)[0], f"outputs when built from {json.dumps(arguments)}")
    return f"parameters: {', '.join(arguments) or 'none'}"


def check_initialises_every_parameter(subject: CellSubject) -> None:
    """The constructor gives every parameter and buffer its numbers: none is what the memory held before."""
    with NanForEmpty():
        cell = make_cell(subject.cell, INPUT, HIDDEN)
    unset = [name for name, tensor in cell.state_dict().items() if differentiable(tensor) and tensor.isnan().any()]
    message = f"expected numbers in every parameter and buffer, found what `torch.empty` left in {', '.join(unset)}"
    subject.require(not unset, message)


class NanForEmpty(TorchDispatchMode):
    """While it is on, memory that was not set holds NaN."""

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), keywords: Any = None
    ) -> Any:
        result = function(*arguments, **(keywords or {}))
        empty = "empty" in function.__name__ and isinstance(result, Tensor) and differentiable(result)
        return result.fill_(float("nan")) if empty else result


def check_declared_state(subject: CellSubject) -> str:
    """States have the number, shapes, dtypes and device that the cell declares, at the start and after a step."""
    for sizes in SIZES:
        for dtype in (torch.float32, torch.float64):
            cell = subject.make(*sizes).eval().to(dtype)
            specs = cell.state_specs()
            x = torch.randn(3, sizes[0], dtype=dtype)
            first = cell.initial_state(3, x)
            outputs, after = cell(x, first)
            for when, state in {"at the start": first, "after a step": after}.items():
                subject.require(
                    isinstance(state, tuple) and len(state) == len(specs),
                    f"expected a tuple of {len(specs)} states {when}, found {_described(state)}",
                )
                for spec, tensor in zip(specs, state, strict=True):
                    wanted = (3, *spec.shape), spec.dtype_for(dtype)
                    found = tuple(tensor.shape), tensor.dtype
                    message = f"state '{spec.name}' {when}: expected {_kind(*wanted)}, found {_kind(*found)}"
                    subject.require(found == wanted, message)
            for spec, tensor in zip(specs, first, strict=True):
                message = f"state '{spec.name}' at the start: expected {spec.initial} throughout, found other numbers"
                subject.require(bool((tensor == spec.initial).all()), message)
            wanted_output = (3, cell.output_size), dtype
            found_output = tuple(outputs.shape), outputs.dtype
            message = f"output: expected {_kind(*wanted_output)}, found {_kind(*found_output)}"
            subject.require(found_output == wanted_output, message)
    elsewhere = subject.make().initial_state(3, torch.zeros(1, device="meta"))
    message = "initial_state: expected the device of its argument, found another"
    subject.require(all(s.device.type == "meta" for s in elsewhere), message)
    return ", ".join(f"{s.name} {list(s.shape)}" for s in subject.make().state_specs())


def _described(state: object) -> str:
    return f"{len(state)} in a {type(state).__name__}" if isinstance(state, (tuple, list)) else type(state).__name__


def _kind(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"


def check_follows_its_device(subject: CellSubject) -> None:
    """After `.to(device)` every tensor of the cell is there: parameters and buffers, and no tensor kept aside."""
    cell = subject.make()
    for place, module in cell.named_modules():
        for name, value in vars(module).items():
            message = (
                f"expected every tensor as a parameter or buffer, found '{place + '.' if place else ''}{name}' aside"
            )
            subject.require(not isinstance(value, Tensor), message)
    cell = subject.make().eval().to("meta")
    try:
        outputs, state = cell(torch.zeros(2, cell.input_size, device="meta"))
    except (NotImplementedError, RuntimeError) as error:
        if "meta tensor" in str(error) or "Meta tensor" in str(error):
            raise NotApplicable("its step depends on numbers, which the meta device has not") from error
        raise
    subject.require(all(t.device.type == "meta" for t in (outputs, *state)), "expected results on the cell's device")
