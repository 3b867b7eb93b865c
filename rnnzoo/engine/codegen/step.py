"""A cell's step as a function of plain tensors, with its products with weights left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnzoo.cells.base import Cell
from rnnzoo.engine.codegen.ir import Product, Untraceable

EXAMPLE_ROWS = 11  # sequences of the example on which a step is looked at
READING = {  # methods that take numbers out of a tensor, and what to call them
    "item": "item",
    "tolist": "tolist",
    "numpy": "numpy",
    "__array__": "numpy",
    "__bool__": "bool",
    "__float__": "float",
    "__int__": "int",
    "__index__": "int",
    "data_ptr": "data_ptr",
}
C = TypeVar("C", bound=nn.Module)


class Shape(NamedTuple):
    """How many lanes of hidden_size a step takes of each kind: gx, gh, state, noise."""

    gates: int
    products: int
    states: int
    noise: int


# -- a copy to run --------------------------------------------------------------------------------------------------


def stand_in(cell: C) -> tuple[C, dict[str, Tensor]]:
    """A copy of a cell with tensors of its own, on the CPU, by name: what is done to them, the cell never sees."""
    tensors: dict[str, Tensor] = {}
    seen: dict[int, nn.Module] = {}

    def copied(module: nn.Module, prefix: str) -> nn.Module:
        if id(module) in seen:
            return seen[id(module)]
        copy = seen[id(module)] = module.__new__(type(module))
        members = vars(copy)
        members.update(vars(module))
        members["_parameters"] = {k: None if t is None else made(prefix + k, t) for k, t in module._parameters.items()}
        members["_buffers"] = {k: None if t is None else made(prefix + k, t) for k, t in module._buffers.items()}
        members["_modules"] = {
            k: None if child is None else copied(child, f"{prefix}{k}.") for k, child in module._modules.items()
        }
        return copy

    def made(name: str, tensor: Tensor) -> Tensor:
        numbers = torch.full(tensor.shape, 0.5).to(tensor.dtype)
        learned = isinstance(tensor, nn.Parameter)
        tensors[name] = nn.Parameter(numbers, numbers.is_floating_point()) if learned else numbers
        return tensors[name]

    return copied(cell, ""), tensors  # type: ignore[return-value]  # of the same class


# -- products -------------------------------------------------------------------------------------------------------


class Products(TorchFunctionMode):
    """Puts `gh` in the place of a product of h with a weight, and normalisation in terms of plain operations.

    h: None allows no product at all. gh: None leaves the product as it is. seen: weight and bias of each product.
    """

    def __init__(self, h: Tensor | None, gh: Tensor | None) -> None:
        super().__init__()
        self.h, self.gh = h, gh
        self.seen: list[tuple[Tensor, Tensor | None]] = []

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.linear:
            x, weight, bias = (*args, *(kwargs[k] for k in ("weight", "bias") if k in kwargs), None)[:3]
            if x is not self.h:
                raise Untraceable("its step has a product of something else than the last output")
            self.seen.append((weight, bias))
            return function(*args, **kwargs) if self.gh is None else self.gh
        if function is F.layer_norm and self.gh is not None:
            return _layer_norm(*args, **kwargs)
        if (name := getattr(function, "__name__", "")) in READING:
            raise Untraceable(f"update reads the numbers of a tensor, by '{READING[name]}'")
        return function(*args, **kwargs)


def _layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """`F.layer_norm` over the last axis of (..., features), by sums. Raises: Untraceable for other axes."""
    if tuple(normalized_shape) != x.shape[-1:]:
        raise Untraceable(f"update uses 'layer_norm' over {tuple(normalized_shape)}")
    count = x.shape[-1]
    x = x - x.sum(-1, keepdim=True) / count
    x = x * torch.rsqrt((x * x).sum(-1, keepdim=True) / count + eps)
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def product_of(cell: Cell) -> Product | None:
    """The one product of a step, of the last output with a matrix; None if it has none. Raises: Untraceable."""
    core = cell.core
    if core is not None:
        name = next(f"{name}." if name else "" for name, module in cell.named_modules() if module is core)
        matrix = core.recurrent in ("dense", "block")
        return Product(f"{name}weight_hh", f"{name}bias_hh", len(core.gates)) if matrix else None
    copy, tensors = stand_in(cell)
    products = Products(None, None)
    x = torch.zeros(EXAMPLE_ROWS, cell.input_size, dtype=torch.float32)
    with torch.no_grad():
        gx, state = copy.project(x), copy.as_state(copy.initial_state(EXAMPLE_ROWS, x))
        if not isinstance(gx, Tensor):
            raise Untraceable("what it projects is not one tensor")
        products.h = state[0]
        with products:
            copy.step(gx, state, *(x.new_ones(EXAMPLE_ROWS, *spec.shape) for spec in cell.noise))
    return _named_product(cell.hidden_size, products.seen, {id(tensor): name for name, tensor in tensors.items()})


def _named_product(
    hidden_size: int, seen: Sequence[tuple[Tensor, Tensor | None]], names: dict[int, str]
) -> Product | None:
    """The product that was seen, by the names of its tensors. Raises: Untraceable."""
    if len(seen) > 1:
        raise Untraceable(f"its step has {len(seen)} products")
    if not seen:
        return None
    ((weight, bias),) = seen
    if id(weight) not in names or (bias is not None and id(bias) not in names):
        raise Untraceable("its step has a product with a tensor that is not a parameter")
    if weight.shape[1] != hidden_size or weight.shape[0] % hidden_size:
        raise Untraceable(f"its product is of shape {tuple(weight.shape)}")
    bias_name = None if bias is None else names[id(bias)]
    return Product(names[id(weight)], bias_name, weight.shape[0] // hidden_size)


# -- the step -------------------------------------------------------------------------------------------------------


def shape_of(cell: Cell, product: Product | None) -> Shape:
    """How many lanes of each kind a cell's step takes once its product is there. Raises: Untraceable."""
    if cell.core is not None:
        gates = len(cell.core.gates)
    else:
        with torch.no_grad():
            features = stand_in(cell)[0].project(torch.zeros(1, cell.input_size, dtype=torch.float32)).shape[-1]
        gates = features // cell.hidden_size
        if features % cell.hidden_size or not gates:
            raise Untraceable(f"it projects to {features} features, not to a multiple of hidden_size")
    if product is not None and product.lanes != gates:
        raise Untraceable(f"its product has {product.lanes} lanes, its projection {gates}")
    return Shape(gates, 0 if product is None else gates, len(cell.state_specs()), len(cell.noise))


def stepper(cell: Cell, shape: Shape) -> Callable[..., list[Tensor]]:
    """The cell's step as a function of tensors (rows, hidden_size) in the order of `Shape`, to the new states."""
    core = cell.core

    def step(*values: Tensor) -> list[Tensor]:
        gx, gh, others, noise = _split(values, shape)
        state = cell.as_state(others)
        if core is not None:
            gh = core.recur(state[0]) if core.recurrent == "diagonal" else gh
            with Products(None, gx[0]):
                by_gate = cell.as_gates(gx), cell.as_gates(gh) if gh else gh
                found = cell.update(*by_gate, state, *noise)  # type: ignore[operator]  # what has a core has an update
        else:
            with Products(state[0], torch.cat(gh, -1) if gh else gx[0]):
                found = cell.step(torch.cat(gx, -1), state, *noise)
        if len(found) != shape.states:
            raise Untraceable(f"its step returned {len(found)} states, declared {shape.states}")
        return list(found)

    return step


def _split(values: Sequence[Tensor], counts: Sequence[int]) -> list[tuple[Tensor, ...]]:
    ends = list(itertools.accumulate(counts, initial=0))
    return [tuple(values[begin:end]) for begin, end in itertools.pairwise(ends)]
