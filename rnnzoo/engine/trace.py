"""A pointwise update and its gradient as short lists of scalar operations, from which code is generated.

The update is traced once by make_fx on tensors, and so is its vector-Jacobian product; both come down to a few dozen
elementwise operators. An operator that is not elementwise makes the trace fail, with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn.utils.stateless import _reparametrize_module

from rnnzoo.cells.base import Cell


class Untraceable(Exception):
    """Why an update cannot become scalar code."""


class Ref(NamedTuple):
    """A value: an input (numbered first) or the result of an operation."""

    number: int


class Op(NamedTuple):
    """One scalar operation on values and constants."""

    name: str
    arguments: tuple[Ref | float, ...]


class Program(NamedTuple):
    """Scalar operations in order; value `inputs + i` is the result of `ops[i]`."""

    inputs: int
    ops: tuple[Op, ...]
    outputs: tuple[Ref | float, ...]


class Trace(NamedTuple):
    """A cell's step without its products.

    forward: gx, gh, state, noise, channels -> state'. backward: the same and d(state') -> d(gx), d(gh), d(state),
    d(channels). gates: how many gx; products: how many gh, 0 unless the recurrent product is a matrix. channels: names
    of parameters (or parts of them) of hidden_size numbers. additive: gx and gh are only ever used as gx + gh; then the
    programs have their sum in gx's place, and no gh.
    """

    forward: Program
    backward: Program
    gates: int
    products: int
    states: int
    noise: int
    channels: tuple[str, ...]
    additive: bool


UNARY = ("neg", "exp", "log", "sigmoid", "tanh", "relu", "sqrt", "rsqrt", "abs", "sign", "log1p", "expm1", "sin", "cos",
         "reciprocal", "logical_not")  # fmt: skip
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "gt", "lt", "ge", "le", "eq", "ne", "logical_and",
          "logical_or", "pow")  # fmt: skip
SAME = ("detach", "alias", "clone", "_to_copy", "expand", "view", "lift_fresh_copy", "_unsafe_view")
CONSTANT = {"zeros_like": 0.0, "ones_like": 1.0, "zeros": 0.0, "ones": 1.0}
EMPTY = ("empty_permuted", "empty_like", "empty", "new_empty")  # filled before they are read
ROWS = 2  # rows of the example tensors


class Shape(NamedTuple):
    """How many tensors of each kind a step takes: gx, gh, state, noise, channels."""

    gates: int
    products: int
    states: int
    noise: int
    channels: int

    @property
    def moving(self) -> int:
        return self.gates + self.products + self.states


def shape_of(cell: Cell) -> Shape:
    """The kinds of tensors that a cell's step takes once its products are there."""
    core = cell.core
    products = len(core.gates) if core.recurrent in ("dense", "block") else 0
    return Shape(len(core.gates), products, len(cell.state_specs()), len(cell.noise), len(_channels(core)))


def stepper(cell: Cell) -> Callable[..., list[Tensor]]:
    """The cell's step as a function of plain tensors, in the order of `Shape`."""
    core, shape, names = cell.core, shape_of(cell), [name for name, _ in _channels(cell.core)]

    def step(*values: Tensor) -> list[Tensor]:
        gx, gh, state, noise, given = _split(values, shape)
        named = dict(zip(names, given, strict=True))
        if core.recurrent == "diagonal":
            gh = tuple(state[0] * named[f"weight_hh.{k}"] + named[f"bias_hh.{k}"] for k in range(shape.gates))
        with _reparametrize_module(core, {name: named[name] for name in core.params}):
            found = cell.update(gx, gh, state, *noise)  # type: ignore[operator]
        if len(found) != shape.states:
            raise Untraceable(f"update returned {len(found)} states, declared {shape.states}")
        return list(found)

    return step


def trace(cell: Cell) -> Trace:
    """Trace the update of a cell. Raises: Untraceable."""
    step, shape = stepper(cell), shape_of(cell)

    def gradient(*values: Tensor) -> list[Tensor]:
        inputs, given = values[: sum(shape)], values[sum(shape) :]
        cut, end = shape.moving, shape.moving + shape.noise

        def of_free(*some: Tensor) -> list[Tensor]:
            return step(*some[:cut], *inputs[cut:end], *some[cut:])

        return list(torch.func.vjp(of_free, *inputs[:cut], *inputs[end:])[1](list(given)))

    size = (ROWS, cell.hidden_size)
    device = next(cell.parameters()).device  # the examples' numbers do not matter; the global generator stays untouched
    examples = [torch.full(size, 0.5, device=device) for _ in range(sum(shape) + shape.states)]
    forward = _program(step, examples[: sum(shape)], size)
    backward = _program(gradient, examples, size)
    gates = shape.gates
    additive = shape.products > 0 and _only_summed(forward, gates) and _only_summed(backward, gates)
    if additive:
        forward = _summed(forward, gates)
        backward = _summed(backward, gates)
        same = backward.outputs[:gates] == backward.outputs[gates : 2 * gates]
        assert same
        backward = backward._replace(outputs=backward.outputs[:gates] + backward.outputs[2 * gates :])
    channels = tuple(name for name, _ in _channels(cell.core))
    return Trace(forward, backward, gates, shape.products, shape.states, shape.noise, channels, additive)


def agrees(traced: Trace, cell: Cell) -> bool:
    """Whether a trace computes what the cell does, and its gradient, on random numbers."""
    shape = shape_of(cell)
    channels = tuple(name for name, _ in _channels(cell.core))
    if (*shape[:4], channels) != (traced.gates, traced.products, traced.states, traced.noise, traced.channels):
        return False
    generator = torch.Generator().manual_seed(0)
    count = sum(shape) + shape.states
    drawn = torch.rand(count, ROWS, cell.hidden_size, generator=generator, dtype=torch.float64)
    numbers = list(drawn.mul_(2).sub_(1).unbind())
    values, weights = [v.requires_grad_() for v in numbers[: sum(shape)]], numbers[sum(shape) :]
    with torch.enable_grad(), torch.autocast("cpu", enabled=False):
        wanted = stepper(cell)(*values)
        cut, end = shape.moving, shape.moving + shape.noise
        total = torch.stack([(w * weight).sum() for w, weight in zip(wanted, weights, strict=True)]).sum()
        of_wanted = torch.autograd.grad(
            total, [*values[:cut], *values[end:]], allow_unused=True, materialize_grads=True
        )
        gates = shape.gates
        if traced.additive:
            given = [a + b for a, b in zip(values[:gates], values[gates : 2 * gates], strict=True)] + values[
                2 * gates :
            ]
            of_wanted = of_wanted[:gates] + of_wanted[2 * gates :]
        else:
            given = values
        given = [value.detach() for value in given]
    found = [*run(traced.forward, given), *run(traced.backward, [*given, *weights])]
    return all(
        torch.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)
        for a, b in zip(found, [*(w.detach() for w in wanted), *of_wanted], strict=True)
    )


def _split(values: Sequence[Tensor], counts: Sequence[int]) -> list[tuple[Tensor, ...]]:
    parts, start = [], 0
    for count in counts:
        parts.append(tuple(values[start : start + count]))
        start += count
    return parts


def channel_values(cell: Any) -> list[Tensor]:
    """The parameters that act channel by channel, (hidden_size,) each, in the order of `Trace.channels`."""
    return [value for _, value in _channels(cell)]


def _channels(cell: Any) -> list[tuple[str, Tensor]]:
    """Declared per-channel parameters, and a diagonal product's weights and biases, gate by gate."""
    found = [(name, getattr(cell, name)) for name in cell.params]
    if cell.recurrent == "diagonal":
        found += [(f"weight_hh.{k}", row) for k, row in enumerate(cell.weight_hh.unbind())]
        found += [(f"bias_hh.{k}", part) for k, part in enumerate(cell.bias_hh.chunk(len(cell.gates)))]
    return found


def _program(function: Any, examples: list[Tensor], shape: tuple[int, ...]) -> Program:
    """The scalar program of a function of equal-shaped tensors. Raises: Untraceable."""
    from torch._decomp import core_aten_decompositions  # these take seconds to import
    from torch.fx.experimental.proxy_tensor import make_fx

    table: Any = core_aten_decompositions()
    try:
        graph = make_fx(function, table)(*examples)
        if any(map(_in_place, graph.graph.nodes)):  # making it functional takes seconds
            graph = make_fx(torch.func.functionalize(function), table)(*examples)
    except Untraceable:
        raise
    except Exception as cause:
        raise Untraceable(f"tracing the update failed: {type(cause).__name__}: {str(cause).splitlines()[0]}") from cause
    values: dict[Node, Ref | float] = {}
    ops: list[Op] = []
    known: dict[Op, Ref] = {}
    inputs = 0
    outputs: tuple[Ref | float, ...] = ()
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            values[node] = Ref(inputs)
            inputs += 1
        elif node.op == "get_attr":
            values[node] = _constant(getattr(graph, str(node.target)))
        elif node.op == "output":
            outputs = tuple(_operand(argument, values) for argument in node.args[0])
        else:
            value = _translate(node, values, shape)
            if isinstance(value, Op):
                if value not in known:
                    known[value] = Ref(len(examples) + len(ops))
                    ops.append(value)
                value = known[value]
            values[node] = value
    return needed(Program(inputs, tuple(ops), outputs))


def _in_place(node: Node) -> bool:
    return node.op == "call_function" and str(node.target).split(".")[1].endswith("_")


def _constant(tensor: Tensor) -> float:
    if tensor.numel() != 1:
        raise Untraceable("update uses a tensor that is not a declared per-channel parameter")
    return float(tensor)


def _operand(argument: Any, values: dict[Node, Ref | float]) -> Ref | float:
    if isinstance(argument, Node):
        return values[argument]
    if isinstance(argument, (bool, int, float)):
        return float(argument)
    if argument is None:
        return 0.0  # a gradient that nothing depends on
    raise Untraceable(f"update uses {argument!r} where a number was expected")


def _translate(node: Node, values: dict[Node, Ref | float], shape: tuple[int, ...]) -> Op | Ref | float:
    """One node of the graph as an operation, as a value that is there already, or as a constant."""
    name = str(node.target).split(".")[1] if "." in str(node.target) else str(node.target)
    result = node.meta.get("val")
    if isinstance(result, Tensor) and tuple(result.shape) not in (shape, ()):
        raise Untraceable(f"update uses '{name}', which is not elementwise")
    arguments: Any = node.args
    if node.kwargs.get("alpha", 1) != 1:
        raise Untraceable(f"update uses '{name}' with alpha")
    if name in SAME:
        return _operand(arguments[0], values)
    if name in CONSTANT:
        return CONSTANT[name]
    if name == "copy":
        return _operand(arguments[1], values)
    if name in EMPTY:
        return 0.0
    if name in ("full", "full_like", "fill"):
        return float(arguments[1])
    if name == "scalar_tensor":
        return float(arguments[0])
    if name == "rsub":
        return Op("sub", (_operand(arguments[1], values), _operand(arguments[0], values)))
    if name == "where":
        return Op("where", tuple(_operand(argument, values) for argument in arguments))
    if name == "clamp":
        low, high = (*arguments[1:], None, None)[:2]
        bounds = (-float("inf") if low is None else float(low), float("inf") if high is None else float(high))
        return Op("clamp", (_operand(arguments[0], values), *bounds))
    if name in UNARY:
        return Op(name, (_operand(arguments[0], values),))
    if name in BINARY:
        return Op(name, (_operand(arguments[0], values), _operand(arguments[1], values)))
    raise Untraceable(f"update uses '{name}', which has no scalar code here")


def needed(program: Program) -> Program:
    """The program without operations that no output depends on."""
    needed = {value.number for value in program.outputs if isinstance(value, Ref)}
    for place in reversed(range(len(program.ops))):
        if program.inputs + place in needed:
            needed |= {a.number for a in program.ops[place].arguments if isinstance(a, Ref)}
    names = {number: number for number in range(program.inputs)}
    ops: list[Op] = []

    def renamed(value: Ref | float) -> Ref | float:
        return Ref(names[value.number]) if isinstance(value, Ref) else value

    for place, op in enumerate(program.ops):
        if program.inputs + place in needed:
            names[program.inputs + place] = program.inputs + len(ops)
            ops.append(Op(op.name, tuple(map(renamed, op.arguments))))
    return Program(program.inputs, tuple(ops), tuple(map(renamed, program.outputs)))


def _only_summed(program: Program, gates: int) -> bool:
    """Whether each gx and gh is used in gx + gh and nowhere else."""
    users: dict[int, list[Op]] = {number: [] for number in range(2 * gates)}
    for op in program.ops:
        for argument in op.arguments:
            if isinstance(argument, Ref) and argument.number in users:
                users[argument.number].append(op)
    outputs = {value.number for value in program.outputs if isinstance(value, Ref)}
    for k in range(gates):
        sums = {Op("add", (Ref(k), Ref(gates + k))), Op("add", (Ref(gates + k), Ref(k)))}
        if not all(op in sums for number in (k, gates + k) for op in users[number]):
            return False
    return not outputs & set(range(2 * gates))


def _summed(program: Program, gates: int) -> Program:
    """The program with gx + gh as input in gx's place, and without gh."""
    sums = {frozenset((k, gates + k)): Ref(k) for k in range(gates)}
    names: dict[int, Ref | float] = {k: Ref(k) for k in range(gates)}
    names |= {k: Ref(k - gates) for k in range(2 * gates, program.inputs)}
    inputs = program.inputs - gates
    ops: list[Op] = []
    for place, op in enumerate(program.ops):
        pair = frozenset(a.number for a in op.arguments if isinstance(a, Ref))
        if op.name == "add" and pair in sums:
            names[program.inputs + place] = sums[pair]
            continue
        names[program.inputs + place] = Ref(inputs + len(ops))
        ops.append(Op(op.name, tuple(names[a.number] if isinstance(a, Ref) else a for a in op.arguments)))
    outputs = tuple(names[value.number] if isinstance(value, Ref) else value for value in program.outputs)
    return Program(inputs, tuple(ops), outputs)


def run(program: Program, values: list[Tensor]) -> list[Tensor]:
    """Interpret a program on tensors: what generated code is checked against."""
    found: list[Any] = list(values)
    for op in program.ops:
        arguments = [found[a.number] if isinstance(a, Ref) else a for a in op.arguments]
        found.append(_INTERPRETED.get(op.name, lambda *a, name=op.name: getattr(torch, name)(*a))(*arguments))
    outputs = [found[v.number] if isinstance(v, Ref) else torch.full_like(values[0], v) for v in program.outputs]
    return outputs


def _both(function: Any) -> Any:
    return lambda *arguments: function(*(torch.as_tensor(a) for a in arguments))


_INTERPRETED = {name: _both(getattr(torch, name)) for name in (*BINARY, "where")}
_INTERPRETED |= {"clamp": lambda x, low, high: x.clamp(low, high)}
