"""A cell's step and its gradient as short lists of scalar operations, from which code is generated.

The step is traced once by make_fx on tensors, and so is its vector-Jacobian product; both come down to a few dozen
operators that are elementwise, or sum a row. Products with weights are left out: a `PointwiseCell` has them apart, and
in a general step the one product of the last output with a weight is given. Any other operator makes the trace fail,
with its name. A tensor of several times hidden_size features is as many lanes of hidden_size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.fx import Node
from torch.nn.utils.stateless import _reparametrize_module
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from rnnzoo.cells.base import Cell, State


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
    of parameters of hidden_size numbers, each with the number of its lane. additive: gx and gh are only ever used as
    gx + gh; then the programs have their sum in gx's place, and no gh. An operation "rowsum" is the sum over
    hidden_size, one number a row.
    """

    forward: Program
    backward: Program
    gates: int
    products: int
    states: int
    noise: int
    channels: tuple[str, ...]
    additive: bool


UNARY = ("neg", "exp", "exp2", "log", "log2", "log10", "log1p", "expm1", "sigmoid", "tanh", "relu", "sqrt", "rsqrt",
         "abs", "sign", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "erf",
         "floor", "ceil", "round", "trunc", "reciprocal", "logical_not", "isnan", "isinf")  # fmt: skip
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum", "gt", "lt", "ge", "le", "eq", "ne", "logical_and",
          "logical_or", "logical_xor", "pow", "fmod", "remainder", "atan2", "floor_divide")  # fmt: skip
ALIASES = {"bitwise_and": "logical_and", "bitwise_or": "logical_or", "bitwise_xor": "logical_xor",
           "bitwise_not": "logical_not"}  # of truth values, the only ones that are not floats here  # fmt: skip
SAME = ("detach", "alias", "clone", "expand", "view", "lift_fresh_copy", "_unsafe_view", "unsqueeze", "squeeze",
        "reshape")  # fmt: skip
SIMPLER = ("elu", "leaky_relu", "hardtanh", "gelu", "fmax", "fmin")  # core operators that are made of those above
HARMLESS = ("memory_format", "layout", "device", "pin_memory", "implicit")  # keywords that change no number
CASTS = ("dtype",)  # what comes out is looked at itself
CONSTANT = {"zeros_like": 0.0, "ones_like": 1.0, "zeros": 0.0, "ones": 1.0}
EMPTY = ("empty_permuted", "empty_like", "empty", "new_empty")  # filled before they are read
ROWS = 2  # rows of the example tensors
SCALES = (1.0, 40.0, 1e-3)  # of the rows that a trace is tried on


class Shape(NamedTuple):
    """How many lanes of each kind a step takes: gx, gh, state, noise, channels."""

    gates: int
    products: int
    states: int
    noise: int
    channels: int

    @property
    def moving(self) -> int:
        return self.gates + self.products + self.states


class Product(NamedTuple):
    """The recurrent product of a cell: its weight and its bias, by name."""

    weight: str
    bias: str | None
    lanes: int


_products: WeakKeyDictionary[Cell, Product | None] = WeakKeyDictionary()


def product_of(cell: Cell) -> Product | None:
    """The one product of a step, of the last output with a matrix; None if it has none. Raises: Untraceable."""
    if cell not in _products:
        _products[cell] = _product_of(cell)
    return _products[cell]


def _product_of(cell: Cell) -> Product | None:
    core = cell.core
    if core is not None:
        name = _name_of(cell, core)
        matrix = core.recurrent in ("dense", "block")
        return Product(f"{name}weight_hh", f"{name}bias_hh", len(core.gates)) if matrix else None
    watch = _Products(None, None)
    like = next(cell.parameters())
    x = like.new_zeros(ROWS, cell.input_size)
    with torch.no_grad():
        gx, state = cell.project(x), cell.initial_state(ROWS, x)
        if not isinstance(gx, Tensor):
            raise Untraceable("what it projects is not one tensor")
        watch.h = state[0]
        with watch:
            cell.step(gx, state, *(x.new_ones(ROWS, *spec.shape) for spec in cell.noise))
    names = {id(parameter): name for name, parameter in cell.named_parameters()}
    if len(watch.seen) > 1:
        raise Untraceable(f"its step has {len(watch.seen)} products")
    if not watch.seen:
        return None
    (weight, bias) = watch.seen[0]
    if id(weight) not in names or (bias is not None and id(bias) not in names):
        raise Untraceable("its step has a product with a tensor that is not a parameter")
    if weight.shape[1] != cell.hidden_size or weight.shape[0] % cell.hidden_size:
        raise Untraceable(f"its product is of shape {tuple(weight.shape)}")
    bias_name = None if bias is None else names[id(bias)]
    return Product(names[id(weight)], bias_name, weight.shape[0] // cell.hidden_size)


def _name_of(cell: Cell, core: Cell) -> str:
    return next(f"{name}." if name else "" for name, module in cell.named_modules() if module is core)


class _Products(TorchFunctionMode):
    """Puts `gh` in the place of a product of h with a weight, and normalisation in terms of plain operations."""

    def __init__(self, h: Tensor | None, gh: Tensor | None) -> None:
        super().__init__()
        self.h, self.gh = h, gh
        self.seen: list[tuple[Tensor, Tensor | None]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is F.linear:
            x, weight, bias = (*args, *(kwargs[k] for k in ("weight", "bias") if k in kwargs), None)[:3]
            if x is not self.h:
                raise Untraceable("its step has a product of something else than the last output")
            self.seen.append((weight, bias))
            return function(*args, **kwargs) if self.gh is None else self.gh
        if function is F.layer_norm and self.gh is not None:
            return _layer_norm(*args, **kwargs)
        return function(*args, **kwargs)


def _layer_norm(
    x: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    count = x.shape[-1]
    x = x - x.sum(-1, keepdim=True) / count
    x = x * torch.rsqrt((x * x).sum(-1, keepdim=True) / count + eps)
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def shape_of(cell: Cell) -> Shape:
    """How many lanes of each kind a cell's step takes once its product is there. Raises: Untraceable."""
    product = product_of(cell)
    if cell.core is not None:
        gates = len(cell.core.gates)
    else:
        with torch.no_grad():
            features = cell.project(next(cell.parameters()).new_zeros(1, cell.input_size)).shape[-1]
        gates = features // cell.hidden_size
        if features % cell.hidden_size or not gates:
            raise Untraceable(f"it projects to {features} features, not to a multiple of hidden_size")
    if product is not None and product.lanes != gates:
        raise Untraceable(f"its product has {product.lanes} lanes, its projection {gates}")
    return Shape(gates, 0 if product is None else gates, len(cell.state_specs()), len(cell.noise), len(_channels(cell)))


def stepper(cell: Cell) -> Callable[..., list[Tensor]]:
    """The cell's step as a function of plain tensors, in the order of `Shape`."""
    core, shape, names = cell.core, shape_of(cell), [name for name, _ in _channels(cell)]

    def pointwise(gx: Any, gh: Any, state: State, noise: Any, named: dict[str, Tensor]) -> State:
        if core.recurrent == "diagonal":
            gh = tuple(state[0] * named[f"weight_hh.{k}"] + named[f"bias_hh.{k}"] for k in range(shape.gates))
        with _reparametrize_module(cell, {name: named[f"{name}.0"] for name in read_by(cell)}):
            return cell.update(gx, gh, state, *noise)  # type: ignore[operator]  # what has a core has an update

    def general(gx: Any, gh: Any, state: State, noise: Any, named: dict[str, Tensor]) -> State:
        lanes: dict[str, list[Tensor]] = {}
        for name, lane in named.items():
            lanes.setdefault(name.rpartition(".")[0], []).append(lane)
        whole = {name: torch.cat(parts, -1) for name, parts in lanes.items()}
        with _reparametrize_module(cell, whole), _Products(state[0], torch.cat(gh, -1) if gh else gx[0]):
            return cell.step(torch.cat(gx, -1), state, *noise)

    def step(*values: Tensor) -> list[Tensor]:
        gx, gh, state, noise, given = _split(values, shape)
        named = dict(zip(names, given, strict=True))
        found = (general if core is None else pointwise)(gx, gh, state, noise, named)
        if len(found) != shape.states:
            raise Untraceable(f"its step returned {len(found)} states, declared {shape.states}")
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
    channels = tuple(name for name, _ in _channels(cell))
    return Trace(forward, backward, gates, shape.products, shape.states, shape.noise, channels, additive)


@torch.inference_mode(False)  # its gradients are asked for also where a model only predicts
def agrees(traced: Trace, cell: Cell) -> bool:
    """Whether a trace computes what the cell does, and its gradient, on random numbers."""
    shape = shape_of(cell)
    channels = tuple(name for name, _ in _channels(cell))
    if (*shape[:4], channels) != (traced.gates, traced.products, traced.states, traced.noise, traced.channels):
        return False
    generator = torch.Generator().manual_seed(0)
    count = sum(shape) + shape.states
    drawn = torch.rand(count, len(SCALES), cell.hidden_size, generator=generator, dtype=torch.float64)
    numbers = list(drawn.mul_(2).sub_(1).mul_(torch.tensor(SCALES).view(-1, 1)).unbind())
    values, weights = [v.requires_grad_() for v in numbers[: sum(shape)]], numbers[sum(shape) :]
    with torch.enable_grad(), torch.autocast("cpu", enabled=False):
        wanted = stepper(cell)(*values)
        cut, end = shape.moving, shape.moving + shape.noise
        terms = [(w * weight).sum() for w, weight in zip(wanted, weights, strict=True)]
        total = torch.stack([*terms, *(0 * v.sum() for v in values)]).sum()  # a step of constants has gradients, too
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
        torch.allclose(a.double(), b.double(), rtol=1e-5, atol=1e-5, equal_nan=True)  # a step may cast to float32
        for a, b in zip(found, [*(w.detach() for w in wanted), *of_wanted], strict=True)
    )


def _split(values: Sequence[Tensor], counts: Sequence[int]) -> list[tuple[Tensor, ...]]:
    parts, start = [], 0
    for count in counts:
        parts.append(tuple(values[start : start + count]))
        start += count
    return parts


def channel_values(cell: Cell) -> list[Tensor]:
    """What acts channel by channel, (hidden_size,) each, in the order of `Trace.channels`; one number is repeated."""
    return [value for _, value in _channels(cell)]


def _channels(cell: Cell) -> list[tuple[str, Tensor]]:
    """Parameters and buffers that the step reads, lane by lane; a diagonal product's weights and biases, by gate."""
    core, size = cell.core, cell.hidden_size
    found = []
    for name in read_by(cell):
        value = attrgetter(name)(cell)
        lanes = (value.reshape(1).expand(size),) if value.numel() == 1 else value.reshape(-1).split(size)
        found += [(f"{name}.{k}", lane) for k, lane in enumerate(lanes)]
    if core is not None and core.recurrent == "diagonal":
        found += [(f"weight_hh.{k}", row) for k, row in enumerate(core.weight_hh.unbind())]
        found += [(f"bias_hh.{k}", part) for k, part in enumerate(core.bias_hh.chunk(len(core.gates)))]
    return found


_read: WeakKeyDictionary[Cell, tuple[Any, tuple[str, ...] | Untraceable]] = WeakKeyDictionary()


def read_by(cell: Cell) -> tuple[str, ...]:
    """Names of the parameters and buffers that a step reads beside its products. Raises: Untraceable for others.

    Each is one number, or a multiple of hidden_size in one dimension. Tensors that are neither are refused, as a change
    of theirs would not be seen; so are buffers that a step changes, as running statistics are.
    """
    mode = tuple(module.training for module in cell.modules())
    known = _read.get(cell)
    if known is None or known[0] != mode:
        try:
            known = (mode, _read_by(cell))
        except Untraceable as cause:
            known = (mode, cause)
        _read[cell] = known
    if isinstance(known[1], Untraceable):
        raise known[1]
    return known[1]


def _read_by(cell: Cell) -> tuple[str, ...]:
    core, like = cell.core, next(cell.parameters())
    copies = {name: buffer.clone() for name, buffer in cell.named_buffers()}
    before = {name: copy._version for name, copy in copies.items()}

    def vectors(count: int) -> tuple[Tensor, ...]:
        return tuple(like.new_full((ROWS, cell.hidden_size), 0.5) for _ in range(count))

    noise = [like.new_ones(ROWS, *spec.shape) for spec in cell.noise]
    devices = [like.device] if like.device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices), _reparametrize_module(cell, copies):
        state = tuple(like.new_full((ROWS, *spec.shape), 0.5) for spec in cell.state_specs())
        if core is not None:
            gates = vectors(len(core.gates)), vectors(len(core.gates))
            with _Reads((*gates[0], *gates[1], *state, *noise)) as reads:
                cell.update(*gates, state, *noise)  # type: ignore[operator]
        else:
            gx = cell.project(like.new_full((ROWS, cell.input_size), 0.5))
            with _Reads((*((gx,) if isinstance(gx, Tensor) else gx), *state, *noise), state[0]) as reads:
                cell.step(gx, state, *noise)
    if changed := next((name for name, copy in copies.items() if copy._version != before[name]), None):
        raise Untraceable(f"its step changes the buffer '{changed}'")
    names = {id(value): name for name, value in [*cell.named_parameters(), *copies.items()]}
    found = []
    for tensor in reads.found.values():
        name = names.get(id(tensor))
        if name is None:
            raise Untraceable("its step reads a tensor that is neither a parameter nor a buffer of it")
        if tensor.numel() != 1 and (tensor.dim() != 1 or len(tensor) % cell.hidden_size):
            raise Untraceable(f"its step reads '{name}' of shape {tuple(tensor.shape)}")
        found.append(name)
    return tuple(sorted(found))


class _Reads(TorchFunctionMode):
    """Finds the tensors that functions are given and that none of them made, beside `given` and weights of h."""

    def __init__(self, given: Sequence[Tensor], h: Tensor | None = None) -> None:
        super().__init__()
        self.known: dict[int, Tensor] = {id(tensor): tensor for tensor in given}
        self.found: dict[int, Tensor] = {}
        self.h = h

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if not (function is F.linear and self.h is not None):
            for tensor in tree_leaves((args, kwargs)):
                if isinstance(tensor, Tensor) and id(tensor) not in self.known:
                    self.found[id(tensor)] = tensor
        self.known |= {id(tensor): tensor for tensor in tree_leaves(result) if isinstance(tensor, Tensor)}
        return result


def _program(function: Any, examples: list[Tensor], shape: tuple[int, ...]) -> Program:
    """The scalar program of a function of equal-shaped tensors. Raises: Untraceable."""
    from torch._decomp import core_aten_decompositions, get_decompositions  # these take seconds to import
    from torch.fx.experimental.proxy_tensor import make_fx

    table: Any = core_aten_decompositions()
    table.update(get_decompositions([getattr(torch.ops.aten, name) for name in SIMPLER]))
    try:
        graph = make_fx(function, table)(*examples)
        if any(map(_in_place, graph.graph.nodes)):  # making it functional takes seconds
            graph = make_fx(torch.func.functionalize(function), table)(*examples)
    except Untraceable:
        raise
    except Exception as cause:
        raise Untraceable(f"tracing the update failed: {type(cause).__name__}: {str(cause).splitlines()[0]}") from cause
    values: dict[Node, Any] = {}
    ops: list[Op] = []
    known: dict[Op, Ref] = {}
    inputs = 0
    outputs: tuple[Ref | float, ...] = ()

    def value_of(found: Op | Ref | float) -> Ref | float:
        if not isinstance(found, Op):
            return found
        if found not in known:
            known[found] = Ref(len(examples) + len(ops))
            ops.append(found)
        return known[found]

    for node in graph.graph.nodes:
        if node.op == "placeholder":
            values[node] = (Ref(inputs),)
            inputs += 1
        elif node.op == "get_attr":
            values[node] = (_constant(getattr(graph, str(node.target))),)
        elif node.op == "output":
            outputs = tuple(_lanes(argument, values)[0] for argument in node.args[0])
        else:
            values[node] = _translate(node, values, shape[1], value_of)
    return needed(Program(inputs, tuple(ops), outputs))


def _in_place(node: Node) -> bool:
    name = str(node.target).split(".")[1] if "." in str(node.target) else ""
    return node.op == "call_function" and name.endswith("_") and not name.endswith("__")


def _constant(tensor: Tensor) -> float:
    if tensor.numel() != 1:
        raise Untraceable("update uses a tensor that is not a declared per-channel parameter")
    return float(tensor)


Lanes = tuple["Ref | float", ...]


def _lanes(argument: Any, values: dict[Node, Any]) -> Lanes:
    if isinstance(argument, Node):
        return values[argument]
    if isinstance(argument, (bool, int, float)):
        return (float(argument),)
    if argument is None:
        return (0.0,)  # a gradient that nothing depends on
    raise Untraceable(f"update uses {argument!r} where a number was expected")


def _translate(
    node: Node, values: dict[Node, Any], size: int, value_of: Callable[[Op | Ref | float], Ref | float]
) -> Any:
    """One node of the graph as lanes; a list of such for an operator that gives several tensors."""
    name = str(node.target).split(".")[1] if "." in str(node.target) else str(node.target)
    arguments: Any = node.args
    if name == "<built-in function getitem>" or name == "getitem":
        return values[arguments[0]][arguments[1]]
    result: Any = node.meta.get("val")
    if name in ("split", "split_with_sizes"):
        sizes = [tuple(part.shape)[-1] for part in result]
        if _axis(arguments, 2) != 1 or any(part % size for part in sizes):
            raise Untraceable(f"update uses '{name}' across lanes")
        rest, parts = values[arguments[0]], []
        for part in sizes:
            parts.append(rest[: part // size])
            rest = rest[part // size :]
        return parts
    width = _width(result, size, name)
    constant = (
        isinstance(result, Tensor) and not result.dim() and not any(a.op != "get_attr" for a in node.all_input_nodes)
    )
    if isinstance(result, Tensor) and result.dtype not in (torch.float32, torch.bool) and not constant:
        raise Untraceable(f"update uses '{name}' in {str(result.dtype).removeprefix('torch.')}")
    understood = (*HARMLESS, *CASTS, *UNDERSTOOD.get(name, ()))
    if ignored := [key for key, value in node.kwargs.items() if key not in understood and value is not None]:
        raise Untraceable(f"update uses '{name}' with {ignored[0]}")
    most = POSITIONAL.get(name, 1 if name in UNARY or name in ALIASES else 2 if name in BINARY else None)
    if most is not None and len(arguments) > most:
        raise Untraceable(f"update uses '{name}' with {len(arguments)} arguments")
    lanes = _one(node, ALIASES.get(name, name), arguments, values, size, value_of)
    if len(lanes) not in (1, width):
        raise Untraceable(f"update uses '{name}' on {len(lanes)} lanes where {width} were expected")
    return lanes * width if len(lanes) == 1 else lanes


UNDERSTOOD = {"add": ("alpha",), "sub": ("alpha",), "rsub": ("alpha",), "div": ("rounding_mode",),
              "clamp": ("min", "max"), "round": ("decimals",)}  # keywords that `_one` honours  # fmt: skip
POSITIONAL = {"bitwise_and": 2, "bitwise_or": 2, "bitwise_xor": 2, "rsub": 3, "where": 3, "clamp": 3, "_to_copy": 1}


def _width(result: Any, size: int, name: str) -> int:
    """How many lanes a tensor has; one number a row is one lane."""
    shape = tuple(result.shape) if isinstance(result, Tensor) else ()
    if shape in ((), (1,), (ROWS,), (ROWS, 1)):
        return 1
    if len(shape) != 2 or shape[0] != ROWS or shape[1] % size:
        raise Untraceable(f"update uses '{name}', which is not elementwise")
    return shape[1] // size


def _axis(arguments: Any, place: int) -> int:
    axis = arguments[place] if len(arguments) > place else 0
    axis = axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis
    return axis % 2 if isinstance(axis, int) else -1


def _one(
    node: Node, name: str, arguments: Any, values: dict[Node, Any], size: int,
    value_of: Callable[[Op | Ref | float], Ref | float],
) -> Lanes:  # fmt: skip
    def each(operation: str, *operands: Any) -> Lanes:
        width = max(map(len, operands))
        spread = [operand * width if len(operand) == 1 else operand for operand in operands]
        return tuple(value_of(Op(operation, lane)) for lane in zip(*spread, strict=True))

    def lanes(k: int) -> Lanes:
        return _lanes(arguments[k], values)

    def number(key: str, default: float) -> tuple[float]:
        value = node.kwargs.get(key, default)
        if not isinstance(value, (bool, int, float)):
            raise Untraceable(f"update uses '{name}' with {key} that is not a number")
        return (float(value),)

    def bound(k: int, key: str, default: float) -> Lanes:
        value = arguments[k] if len(arguments) > k else node.kwargs.get(key)
        return (default,) if value is None else _lanes(value, values)

    if name in SAME:
        return lanes(0)
    if name == "_to_copy":
        truth = node.kwargs.get("dtype") is torch.bool and arguments[0].meta["val"].dtype is not torch.bool
        return each("ne", lanes(0), (0.0,)) if truth else lanes(0)
    if name in CONSTANT:
        return (CONSTANT[name],)
    if name == "copy":
        return lanes(1)
    if name in EMPTY:
        return (0.0,)
    if name in ("full", "full_like", "fill"):
        return (float(arguments[1]),)
    if name == "scalar_tensor":
        return (float(arguments[0]),)
    if name in ("add", "sub", "rsub"):
        alpha = _lanes(arguments[2], values) if len(arguments) > 2 else number("alpha", 1)
        left, right = (lanes(1), lanes(0)) if name == "rsub" else (lanes(0), lanes(1))
        return each("add" if name == "add" else "sub", left, right if alpha == (1.0,) else each("mul", right, alpha))
    if name == "div" and node.kwargs.get("rounding_mode") is not None:
        if node.kwargs["rounding_mode"] == "floor":
            return each("floor_divide", lanes(0), lanes(1))
        return each("trunc", each("div", lanes(0), lanes(1)))
    if name == "round" and (len(arguments) > 1 or node.kwargs.get("decimals", 0)):
        raise Untraceable("update uses 'round' with decimals")
    if name == "where":
        return each("where", lanes(0), lanes(1), lanes(2))
    if name == "clamp":
        low, high = bound(1, "min", -float("inf")), bound(2, "max", float("inf"))
        found = lanes(0)
        found = found if low == (-float("inf"),) else each("maximum", found, low)
        return found if high == (float("inf"),) else each("minimum", found, high)
    if name in ("sum", "mean"):
        if _axis(arguments, 1) != 1:
            raise Untraceable(f"update uses '{name}' over sequences")
        sums = each("rowsum", lanes(0))
        total = sums[0]
        for other in sums[1:]:
            total = value_of(Op("add", (total, other)))
        return (total,) if name == "sum" else each("div", (total,), (float(len(sums) * size),))
    if name == "cat":
        if _axis(arguments, 1) != 1:
            raise Untraceable("update joins sequences")
        return tuple(lane for part in arguments[0] for lane in _lanes(part, values))
    if name == "slice":
        first, last = _bounds(arguments, 1, size, name, len(lanes(0)))
        return lanes(0)[first:last]
    if name == "slice_scatter":
        first, last = _bounds(arguments, 2, size, name, len(lanes(0)))
        return lanes(0)[:first] + lanes(1) + lanes(0)[last:]
    if name in UNARY:
        return each(name, lanes(0))
    if name == "pow" and lanes(1) == (0.5,):  # pow(-inf, 0.5) is inf in C, NaN in torch
        return each("sqrt", lanes(0))
    if name in BINARY:
        return each(name, lanes(0), lanes(1))
    raise Untraceable(f"update uses '{name}', which has no scalar code here")


def _bounds(arguments: Any, place: int, size: int, name: str, width: int) -> tuple[int, int]:
    """First and last lane of a slice over features."""
    given: list[Any] = list(arguments[place:])
    axis, begin, end, step = given + [0, None, None, 1][len(given) :]
    whole = width * size
    begin, end = begin or 0, whole if end is None else min(end, whole)
    begin, end = (v + whole if v < 0 else v for v in (begin, end))
    if axis == 0 and begin == 0 and end >= ROWS:
        return 0, width
    if axis % 2 != 1 or begin % size or end % size or step != 1:
        raise Untraceable(f"update uses '{name}' across lanes")
    return begin // size, end // size


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
    return [output.expand_as(values[0]) for output in outputs]


def _both(function: Any) -> Any:
    def on_tensors(*arguments: Any) -> Tensor:
        return function(*(a if isinstance(a, Tensor) else torch.tensor(a, dtype=torch.float64) for a in arguments))

    return on_tensors


_INTERPRETED = {name: _both(getattr(torch, name)) for name in (*UNARY, *BINARY, "where") if name != "floor_divide"}
_INTERPRETED |= {"floor_divide": lambda x, y: torch.div(torch.as_tensor(x), y, rounding_mode="floor")}
_INTERPRETED |= {"rowsum": lambda x: x.sum(-1, keepdim=True)}
