"""What a cell computes around its step, as programs: from the input's products to the gates, and from states to output.

The tracer of the engine leaves both to torch, which a page does not have. They are recorded by the same recorder: every
product of the input with a matrix is an input of the program, and so is the input itself where it has hidden_size
features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from rnnzoo.cells.base import Cell
from rnnzoo.engine.codegen.graph import Graph, Scalar, Value, reached_from
from rnnzoo.engine.codegen.ir import Op, Program, Ref, Untraceable
from rnnzoo.engine.codegen.recorder import Recorder
from rnnzoo.engine.codegen.step import EXAMPLE_ROWS, _layer_norm, stand_in

X = "x"  # the name of the input among the inputs of a program


class Linear(NamedTuple):
    """A product of the input: the names of its weight and bias, and how many lanes of hidden_size it has."""

    weight: str
    bias: str | None
    lanes: int


class Around(NamedTuple):
    """projection: the lanes of `products`, then of x where `reads_x`, then `channels` -> the gates, then `kept` lanes.

    readout: the kept lanes, then the states, then `channels` -> the lanes of the output.
    """

    products: tuple[Linear, ...]
    reads_x: bool
    projection: Program
    gates: int
    kept: int
    readout: Program
    channels: tuple[str, ...]


def around(cell: Cell) -> Around:
    """Record what a cell computes around its step. Raises: Untraceable."""
    size = cell.hidden_size
    copy, tensors = stand_in(cell)
    names = {id(tensor): name for name, tensor in tensors.items()}
    graph = Graph()
    recorder = Recorder(graph, size, EXAMPLE_ROWS)
    for name, tensor in tensors.items():
        recorder.memory.adopt(name, tensor)
    numbers = torch.linspace(-1.9, 1.7, EXAMPLE_ROWS * cell.input_size, dtype=torch.float32)
    x = numbers.reshape(EXAMPLE_ROWS, cell.input_size)
    mode = _Products(x, names, recorder)
    lanes_of_x = cell.input_size // size if cell.input_size % size == 0 else 0
    if lanes_of_x:
        _label(recorder, x, [f"{X}.{k}" for k in range(lanes_of_x)])
    with torch.inference_mode(False), torch.no_grad():
        try:
            with recorder, mode:
                gx = copy.project(x)
                gates = copy.gates_of(gx)
            if any(tensor is x for tensor in _tensors(gx)) and not lanes_of_x:
                raise Untraceable(f"it hands on its input, {cell.input_size} features, to states of {size}")
            given, kept = [], []
            for number, tensor in enumerate(_tensors(gx)):
                lanes = recorder.memory.lanes(tensor, "what it projects")
                kept += lanes
                stand = torch.zeros_like(tensor)
                _label(recorder, stand, [f"kept.{number}.{k}" for k in range(len(lanes))])
                given.append(stand)
            states = [numbers.new_zeros(EXAMPLE_ROWS, size) for _ in cell.state_specs()]
            for number, state in enumerate(states):
                _label(recorder, state, [f"state.{number}"])
            with recorder, _Products(None, names, recorder):
                y = copy.readout(_like(gx, given), copy.as_state(states))
            before, after = recorder.memory.lanes(gates, "its gates"), recorder.memory.lanes(y, "its output")
        except Untraceable:
            raise
        except Exception as cause:  # a plugin's cell may raise anything
            raise Untraceable(f"tracing its projection failed: {type(cause).__name__}: {cause}") from cause
    own = {key for lanes in (before + kept, after) for key in _inputs(lanes) if key.rpartition(".")[0] in tensors}
    order = list(tensors)
    channels = sorted(own, key=lambda name: (order.index(name.rpartition(".")[0]), int(name.rpartition(".")[2])))
    products = [f"product.{k}.{lane}" for k, one in enumerate(mode.found) for lane in range(one.lanes)]
    used = {key.partition(".")[0] for key in _inputs(before + kept)}
    of_x = [f"{X}.{k}" for k in range(lanes_of_x)] if X in used else []
    keys = [f"kept.{n}.{k}" for n, tensor in enumerate(_tensors(gx)) for k in range(tensor.shape[-1] // size)]
    of_states = [f"state.{number}" for number in range(len(states))]
    return Around(
        tuple(mode.found),
        bool(of_x),
        _program(graph, before + kept, [*products, *of_x, *channels]),
        len(before),
        len(kept),
        _program(graph, after, [*keys, *of_states, *channels]),
        tuple(channels),
    )


class _Products(TorchFunctionMode):
    """Puts inputs of the program in the place of products of x with a matrix; x None allows no product."""

    def __init__(self, x: Tensor | None, names: dict[int, str], recorder: Recorder) -> None:
        super().__init__()
        self.x, self.names, self.recorder = x, names, recorder
        self.found: list[Linear] = []

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
            if x is not self.x or id(weight) not in self.names or (bias is not None and id(bias) not in self.names):
                raise Untraceable("it has a product of something else than its input and a parameter")
            return self._product(weight, bias)
        if function is F.layer_norm:
            return _layer_norm(*args, **kwargs)
        if function is F.rms_norm:
            return _rms_norm(*args, **kwargs)
        return function(*args, **kwargs)

    def _product(self, weight: Tensor, bias: Tensor | None) -> Tensor:
        size = self.recorder.size
        if weight.shape[0] % size:
            raise Untraceable(f"it projects to {weight.shape[0]} features, not to a multiple of hidden_size")
        found = Linear(self.names[id(weight)], None if bias is None else self.names[id(bias)], weight.shape[0] // size)
        with torch.utils._python_dispatch._disable_current_modes():
            made = torch.full((EXAMPLE_ROWS, weight.shape[0]), 0.5)
        _label(self.recorder, made, [f"product.{len(self.found)}.{k}" for k in range(found.lanes)])
        self.found.append(found)
        return made


def _rms_norm(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Any:
    """`F.rms_norm` over the last axis of (..., features), by sums. Raises: Untraceable for other axes."""
    if tuple(normalized_shape) != x.shape[-1:]:
        raise Untraceable(f"it uses 'rms_norm' over {tuple(normalized_shape)}")
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    x = x * torch.rsqrt((x * x).sum(-1, keepdim=True) / x.shape[-1] + eps)
    return x if weight is None else x * weight


def _label(recorder: Recorder, tensor: Tensor, keys: Sequence[str]) -> None:
    """Make a tensor (rows, lanes * hidden_size) inputs of the program, by lane."""
    with torch.utils._python_dispatch._disable_current_modes():
        memory = recorder.memory
        for key, lane in zip(keys, range(len(keys)), strict=True):
            size = recorder.size
            memory.give(recorder.graph.value("input", key), tensor[:, lane * size : (lane + 1) * size])


def _tensors(gx: Any) -> list[Tensor]:
    """The tensors of what a cell projects: one, or a tuple."""
    found: list[Tensor] = list(gx) if isinstance(gx, (tuple, list)) else [gx]
    return found


def _like(gx: Any, tensors: Sequence[Tensor]) -> Any:
    """Tensors in the form of gx."""
    return type(gx)(tensors) if type(gx) in (tuple, list) else tensors[0]


def _inputs(outputs: Sequence[Scalar]) -> list[str]:
    """The names of the inputs that outputs are made of."""
    return [str(node.arguments[0]) for node in reached_from(list(outputs)) if node.name == "input"]


def _program(graph: Graph, outputs: list[Scalar], keys: Sequence[str]) -> Program:
    """What the outputs are made of, the inputs by the order of their names. Raises: Untraceable for another input."""
    known = {graph.value("input", key).number: k for k, key in enumerate(keys)}
    ops = []
    for node in reached_from(outputs):
        if node.name == "input":
            if node.number not in known:
                raise Untraceable(f"its output reads '{node.arguments[0]}' beside its states and what it projects")
        else:
            ops.append(node)
    known |= {node.number: len(keys) + k for k, node in enumerate(ops)}

    def numbered(value: object) -> Ref | float:
        return Ref(known[value.number]) if isinstance(value, Value) else float(value)  # type: ignore[arg-type]  # a constant

    return Program(
        len(keys),
        tuple(Op(node.name, tuple(map(numbered, node.arguments))) for node in ops),
        tuple(map(numbered, outputs)),
    )
