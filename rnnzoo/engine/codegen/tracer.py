"""A cell's step and its gradient as short lists of scalar operations, from which code is generated.

The step is run once on small tensors, and every operator of ATen that it and its gradient come down to is recorded, as
the formulas of `rules.py`; a few sum a row, or move whole lanes: a tensor of several times hidden_size features is as
many lanes of hidden_size. Products with weights are left out: a `PointwiseCell` has them apart, and in a general step
the one product of the last output with a weight is given. What else the step reads, the cell's parameters and buffers,
learned numbers among them, becomes inputs of the program by name. Any other operator, argument or tensor makes the
trace fail, with its name.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from inspect import signature
from operator import attrgetter
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from rnnzoo.cells.base import Cell
from rnnzoo.engine.codegen.rules import RULES, Graph, Scalar, Value, interpret, op


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
    d(channels), summed over rows and, of a single number, over channels. gates: how many gx; products: how many gh, 0
    unless the recurrent product is a matrix. channels: names of the parameters and buffers that the step reads, each
    with the number of its lane; all of a single number is one lane. additive: gx and gh are only ever used as gx + gh;
    then the programs have their sum in gx's place, and no gh. An operation "rowsum" is the sum over hidden_size, one
    number a row.
    """

    forward: Program
    backward: Program
    gates: int
    products: int
    states: int
    noise: int
    channels: tuple[str, ...]
    additive: bool
    product: Product | None


ROWS = (11, 7)  # sequences of the examples: a second trace must give the same program
MANY = 64  # vectors of a cell that its step may read
CONSTANT = (
    "zeros",
    "ones",
    "full",
    "zeros_like",
    "ones_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "scalar_tensor",
    "zero",
    "zero_",
    "fill_",
    "fill",
)
EMPTY = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted")
MOVES = (
    "clone",
    "copy",
    "_to_copy",
    "cat",
    "stack",
    "slice_backward",
    "select_backward",
    "slice_scatter",
    "select_scatter",
    "repeat",
    "constant_pad_nd",
    "_reshape_copy",
    "contiguous",
)
VIEWS = ("_unsafe_view", "_reshape_alias")  # beside those that torch calls so
ABOUT = ("promote_types", "result_type", "can_cast")  # what they tell is the same for all numbers
PLACING = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking")  # seen in the result
READING = {
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


class Shape(NamedTuple):
    """How many lanes of each kind a step takes: gx, gh, state, noise."""

    gates: int
    products: int
    states: int
    noise: int


class Product(NamedTuple):
    """The recurrent product of a cell: its weight and its bias, by name."""

    weight: str
    bias: str | None
    lanes: int


def product_of(cell: Cell) -> Product | None:
    """The one product of a step, of the last output with a matrix; None if it has none. Raises: Untraceable."""
    core = cell.core
    if core is not None:
        name = next(f"{name}." if name else "" for name, module in cell.named_modules() if module is core)
        matrix = core.recurrent in ("dense", "block")
        return Product(f"{name}weight_hh", f"{name}bias_hh", len(core.gates)) if matrix else None
    copy, tensors = stand_in(cell)
    watch = _Products(None, None)
    x = torch.zeros(ROWS[0], cell.input_size, dtype=torch.float32)
    with torch.no_grad():
        gx, state = copy.project(x), copy.initial_state(ROWS[0], x)
        if not isinstance(gx, Tensor):
            raise Untraceable("what it projects is not one tensor")
        watch.h = state[0]
        with watch:
            copy.step(gx, state, *(x.new_ones(ROWS[0], *spec.shape) for spec in cell.noise))
    names = {id(tensor): name for name, tensor in tensors.items()}
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


def stand_in(cell: Cell) -> tuple[Any, dict[str, Tensor]]:
    """A copy of a cell with tensors of its own, on the CPU, by name: what it does to them, the cell never sees."""
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

    return copied(cell, ""), tensors


class _Products(TorchFunctionMode):
    """Puts `gh` in the place of a product of h with a weight, and normalisation in terms of plain operations.

    h: None allows no product at all.
    """

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
        if (name := getattr(function, "__name__", "")) in READING:
            raise Untraceable(f"update reads the numbers of a tensor, by '{READING[name]}'")
        return function(*args, **kwargs)


def _layer_norm(
    x: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    if tuple(normalized_shape) != x.shape[-1:]:
        raise Untraceable(f"update uses 'layer_norm' over {tuple(normalized_shape)}")
    count = x.shape[-1]
    x = x - x.sum(-1, keepdim=True) / count
    x = x * torch.rsqrt((x * x).sum(-1, keepdim=True) / count + eps)
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


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
    """The cell's step as a function of plain tensors, in the order of `Shape`."""
    core = cell.core

    def step(*values: Tensor) -> list[Tensor]:
        gx, gh, state, noise = _split(values, shape)
        if core is not None:
            gh = core.recur(state[0]) if core.recurrent == "diagonal" else gh
            with _Products(None, gx[0]):
                found = cell.update(gx, gh, state, *noise)  # type: ignore[operator]  # what has a core has an update
        else:
            with _Products(state[0], torch.cat(gh, -1) if gh else gx[0]):
                found = cell.step(torch.cat(gx, -1), state, *noise)
        if len(found) != shape.states:
            raise Untraceable(f"its step returned {len(found)} states, declared {shape.states}")
        return list(found)

    return step


def trace(cell: Cell) -> Trace:
    """Trace the update of a cell. Raises: Untraceable."""
    with (
        torch.inference_mode(False),
        torch.autocast("cpu", enabled=False),
        torch.random.fork_rng([]),
        torch.device("cpu"),
    ):
        try:
            product = product_of(cell)
            shape = shape_of(cell, product)
            runs = [_Run(cell, shape, ROWS[0], gradients=True), _Run(cell, shape, ROWS[1], gradients=False)]
        except Untraceable:
            raise
        except Exception as cause:
            told = (str(cause).splitlines() or [""])[0]
            raise Untraceable(f"tracing the update failed: {type(cause).__name__}: {told}") from cause
    channels = runs[0].channels()
    forward, again = (run.program(run.forward, channels) for run in runs)
    if repr(forward) != repr(again):
        raise Untraceable("its update depends on the number of sequences, or on numbers that change from call to call")
    backward = runs[0].program(runs[0].backward(channels), channels, gradients=shape.states)
    gates = shape.gates
    additive = shape.products > 0 and _only_summed(forward, gates) and _only_summed(backward, gates)
    if additive:
        forward = _summed(forward, gates)
        backward = _summed(backward, gates)
        same = backward.outputs[:gates] == backward.outputs[gates : 2 * gates]
        assert same
        backward = backward._replace(outputs=backward.outputs[:gates] + backward.outputs[2 * gates :])
    return Trace(
        forward, backward, gates, shape.products, shape.states, shape.noise, tuple(channels), additive, product
    )


def _split(values: Sequence[Tensor], counts: Sequence[int]) -> list[tuple[Tensor, ...]]:
    ends = list(itertools.accumulate(counts, initial=0))
    return [tuple(values[begin:end]) for begin, end in itertools.pairwise(ends)]


def channel_values(cell: Cell, channels: Sequence[str]) -> list[Tensor]:
    """What the step reads of the cell, (hidden_size,) each, in the order of `Trace.channels`."""
    found = []
    for channel in channels:
        name, _, lane = channel.rpartition(".")
        value: Tensor = attrgetter(name)(cell)
        if value.numel() == 1:
            found.append(value.reshape(1).expand(cell.hidden_size))
        else:
            found.append(value.reshape(-1, cell.hidden_size)[int(lane)])
    return found


class _Run:
    """One run of a step, and of its gradient, on example tensors: what comes out, as values of a graph."""

    def __init__(self, cell: Cell, shape: Shape, rows: int, gradients: bool) -> None:
        self.graph, self.shape = Graph(), shape
        copy, self.tensors = stand_in(cell)
        recorder = _Recorder(self.graph, cell.hidden_size, rows)
        for name, tensor in self.tensors.items():
            recorder.own(name, tensor)
        moving = shape.gates + shape.products + shape.states
        count = sum(shape) + (shape.states if gradients else 0)
        numbers = torch.linspace(-1.9, 1.7, count * rows * cell.hidden_size, dtype=torch.float32).reshape(
            count, rows, -1
        )
        examples = [number.clone().requires_grad_(k < moving) for k, number in enumerate(numbers)]
        for k, example in enumerate(examples):
            recorder.given(self.graph.value("input", k), example)
        values, weights = examples[: sum(shape)], examples[sum(shape) :]
        with torch.set_grad_enabled(gradients), recorder:
            found = stepper(copy, shape)(*values)
        if any(state.shape != values[0].shape for state in found):
            raise Untraceable(f"its step returned a state of shape {[tuple(s.shape)[1:] for s in found]}")
        self.forward = [recorder.lanes(state, "a state")[0] for state in found]
        if not gradients:
            return
        learned = [(name, t) for name, t in self.tensors.items() if t.requires_grad]
        leaves = [*values[:moving], *(t for _, t in learned)]
        asked = [(state, weight) for state, weight in zip(found, weights, strict=True) if state.requires_grad]
        of_leaves: Sequence[Tensor | None] = [None] * len(leaves)
        if asked:
            with recorder.backwards():  # torch's grad_outputs would import sympy, for most of a second
                parts = [(state * weight).sum() for state, weight in asked]
                of_leaves = torch.autograd.grad(sum(parts[1:], parts[0]), leaves, allow_unused=True)
        self.of_moving = [0.0 if g is None else recorder.lanes(g, "a gradient")[0] for g in of_leaves[:moving]]
        self.of_channel = {
            f"{name}.{k}": lane
            for (name, _), g in zip(learned, of_leaves[moving:], strict=True)
            if g is not None
            for k, lane in enumerate(recorder.lanes(g, f"the gradient of '{name}'"))
        }

    def channels(self) -> list[str]:
        """The lanes of the cell's own tensors that are read, by name, in the cell's order."""
        reached = _reached_from([*self.forward, *self.of_moving, *self.of_channel.values()])
        read = [node.arguments[0] for node in reached if node.name == "input" and isinstance(node.arguments[0], str)]
        order = list(self.tensors)
        if len(read) > MANY:
            raise Untraceable(f"update reads {len(read)} vectors of the cell's own, more than {MANY}")
        return sorted(read, key=lambda name: (order.index(name.rpartition(".")[0]), int(name.rpartition(".")[2])))

    def backward(self, channels: Sequence[str]) -> list[Scalar]:
        """Gradients of what moves and of the channels; of a buffer none is asked for."""
        return [*self.of_moving, *(self.of_channel.get(name, 0.0) for name in channels)]

    def program(self, outputs: Sequence[Scalar], channels: Sequence[str], gradients: int = 0) -> Program:
        """What the outputs are made of, in order. gradients: how many inputs follow the channels."""
        before = sum(self.shape)
        inputs: list[int | str] = [*range(before), *channels, *range(before, before + gradients)]
        reached = _reached_from(outputs)
        ops = [node for node in reached if node.name != "input"]
        number = {self.graph.value("input", key).number: k for k, key in enumerate(inputs)}
        number |= {node.number: len(inputs) + k for k, node in enumerate(ops)}

        def named(value: Scalar) -> Ref | float:
            return Ref(number[value.number]) if isinstance(value, Value) else value

        return Program(
            len(inputs),
            tuple(Op(node.name, tuple(map(named, node.arguments))) for node in ops),
            tuple(map(named, outputs)),
        )


def _reached_from(outputs: Sequence[Scalar]) -> list[Value]:
    """The values that the outputs are made of, each after its arguments."""
    found: dict[int, Value] = {}
    waiting = [value for value in outputs if isinstance(value, Value)]
    while waiting:
        value = waiting.pop()
        if value.number not in found:
            found[value.number] = value
            waiting += [a for a in value.arguments if isinstance(a, Value)]
    return [found[number] for number in sorted(found)]


class Entry(NamedTuple):
    """What stands in a place of memory. summed: over nothing, 1 over rows, 2 over rows and channels.

    A sum over rows is left to the end: what follows it in a gradient is linear in it, and the same for all rows.
    """

    value: Scalar
    summed: int = 0


class Blocks(NamedTuple):
    """A tensor as blocks of hidden_size numbers, or of one: in order, and which of its axes is that of the rows."""

    entries: list[Entry]
    axis: int | None


class _Recorder(TorchDispatchMode):
    """Records what operators do to the numbers in memory, each storage by labels: which value, row and channel.

    A view is the same labels under other strides, so that whatever a step does to shapes, each operator is seen with
    the values that it takes. One that is not in `RULES`, or takes numbers out of line, fails with its name.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch asks it before it imports its compiler, for a second, to keep it away: nothing is compiled here."""
        return False

    def __init__(self, graph: Graph, size: int, rows: int) -> None:
        super().__init__()
        self.graph, self.size, self.rows = graph, size, rows
        self.entries: list[Entry] = []
        self.places: dict[Entry, int] = {}
        self.labels: dict[int, Tensor] = {}  # by storage
        self.owned: dict[int, str] = {}  # storages of the cell's own tensors, and of what is given
        self.at_hand: list[Tensor] = []
        self.back = False
        self.span = (rows + 1) * (size + 1)
        self.row_codes = torch.arange(1, rows + 1) * (size + 1)
        self.channel_codes = torch.arange(1, size + 1)

    @contextmanager
    def backwards(self) -> Iterator[None]:
        """Record a gradient, in which sums over rows are allowed."""
        self.back = True
        with self:
            yield

    # ---- memory

    def own(self, name: str, tensor: Tensor) -> None:
        """A tensor of the cell's own."""
        self._keep(tensor)
        self.owned[_storage(tensor)] = f"'{name}' of the cell"
        count = tensor.numel()
        if tensor.dtype != torch.float32 or not (count == 1 or (count % self.size == 0 and count <= MANY * self.size)):
            return
        lanes = [Entry(self.graph.value("input", f"{name}.{k}")) for k in range(max(1, count // self.size))]
        if count == 1:
            self.labels[_storage(tensor)] = torch.full((1,), self._place(lanes[0]) * self.span)
        else:
            places = torch.tensor([self._place(lane) for lane in lanes]) * self.span
            self.labels[_storage(tensor)] = (places[:, None] + self.channel_codes).flatten()

    def given(self, value: Value, tensor: Tensor) -> None:
        """An input of a row and channel each."""
        self.owned[_storage(tensor)] = "what it is given"
        self._write(tensor, Blocks([Entry(value)], 0))

    def _keep(self, tensor: Tensor) -> None:
        self.at_hand.append(tensor)  # so that no other tensor comes to lie in its place

    def _place(self, entry: Entry) -> int:
        key = entry if isinstance(entry.value, Value) else Entry(repr(entry.value), entry.summed)
        if key not in self.places:
            self.places[key] = len(self.entries)
            self.entries.append(entry)
        return self.places[key]

    def _labels(self, tensor: Tensor, name: str) -> Tensor:
        storage = _storage(tensor)
        if storage not in self.labels:
            whose = self.owned.get(storage, "a tensor that is neither a parameter nor a buffer of the cell")
            shape = f"{tensor.dtype} {tuple(tensor.shape)}".replace("torch.", "")
            raise Untraceable(f"update uses '{name}' on {whose}, {shape}")
        return self.labels[storage].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def _read(self, tensors: Sequence[Tensor], name: str, shape: torch.Size) -> list[Blocks]:
        """Tensors, broadcast to a shape, as blocks."""
        labels = [self._labels(tensor, name).expand(shape) for tensor in tensors]
        axes = {self._axis(own, name) for own in labels} - {None}
        if len(axes) > 1:
            raise Untraceable(f"update uses '{name}' across sequences")
        axis = next(iter(axes), None)
        if axis is None and self.back and name == "sum" and shape[:1] == (self.rows,):
            axis = 0  # the same number in every row
        return [self._blocks(own, axis, name) for own in labels]

    def _axis(self, labels: Tensor, name: str) -> int | None:
        """Which axis is that of the rows, if any is."""
        row = labels % self.span // (self.size + 1)
        if not bool(row.any()):
            return None
        for axis, length in enumerate(labels.shape):
            codes = torch.arange(1, length + 1).view(-1, *[1] * (labels.dim() - 1 - axis))
            if length == self.rows and bool(((row == codes) | (row == 0)).all()):
                return axis
        raise Untraceable(f"update uses '{name}' across sequences")

    def _blocks(self, labels: Tensor, axis: int | None, name: str) -> Blocks:
        place, channel = labels // self.span, labels % self.span % (self.size + 1)
        if axis is not None:
            if not bool((place == place.select(axis, 0).unsqueeze(axis)).all()):
                raise Untraceable(f"update uses '{name}' across sequences")
            place, channel = place.select(axis, 0), channel.select(axis, 0)
        width = place.shape[-1] if place.dim() and axis != labels.dim() - 1 else 1
        if width % self.size == 0 and width:
            place, channel = place.reshape(-1, self.size), channel.reshape(-1, self.size)
            whole = bool(((channel == self.channel_codes) | (channel == 0)).all())
            if not whole or not bool((place == place[:, :1]).all()):
                raise Untraceable(f"update uses '{name}' across channels")
            place = place[:, 0]
        else:
            if bool(channel.any()):
                raise Untraceable(f"update uses '{name}' across channels")
            rows = place.reshape(-1, width)
            if not bool((rows == rows[:, :1]).all()):
                raise Untraceable(f"update uses '{name}', which is not elementwise")
            place = rows[:, 0]
        return Blocks([self.entries[k] for k in place.tolist()], axis)

    def _write(self, tensor: Tensor, blocks: Blocks) -> None:
        """Fill a tensor, which may be a view, with blocks."""
        self._keep(tensor)
        storage = _storage(tensor)
        if storage not in self.labels:
            self.labels[storage] = torch.zeros(tensor.untyped_storage().nbytes() // tensor.itemsize, dtype=torch.int64)
        labels = self.labels[storage].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())
        if not labels.numel():
            return
        lead = list(tensor.shape)
        if blocks.axis is not None:
            lead.pop(blocks.axis)
        last_is_rows = blocks.axis == tensor.dim() - 1
        width = lead[-1] if lead and not last_is_rows else 1
        places = torch.tensor([self._place(entry) for entry in blocks.entries]) * self.span
        if width % self.size == 0:
            filled = (places[:, None] + self.channel_codes).reshape(lead)
        else:
            filled = places[:, None].expand(-1, width).reshape(lead)
        if blocks.axis is not None:
            codes = self.row_codes.view(-1, *[1] * (tensor.dim() - 1 - blocks.axis))
            filled = filled.unsqueeze(blocks.axis) + codes
        labels.copy_(filled)

    def lanes(self, tensor: Tensor, name: str) -> list[Scalar]:
        """The values of a tensor, lane by lane."""
        return [entry.value for entry in self._read([tensor], name, tensor.shape)[0].entries]

    # ---- operators

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema, kwargs = func._schema, kwargs or {}
        space, _, name = schema.name.partition("::")
        named = dict(zip((a.name for a in schema.arguments), args, strict=False)) | kwargs
        in_place = name.endswith("_") and not name.endswith("__")
        base = name[:-1] if in_place else name
        if space != "aten" or (schema.is_mutable and not in_place):
            raise Untraceable(f"update uses '{func}'" + (" with out" if "out" in named else ""))
        if name in ABOUT:
            return func(*args, **kwargs)
        if in_place:
            whose = self.owned.get(_storage(args[0]))
            if whose is not None:
                raise Untraceable(f"update changes {whose} in place, by '{name}'")
        if name == "lift_fresh":
            return self._made(func(*args, **kwargs), name)
        if func._overloadname == "dtype":
            raise Untraceable(f"update uses '{name}' of another type")
        if func.is_view or name in VIEWS:
            return func(*args, **kwargs)
        if base in CONSTANT and not isinstance(named.get("value"), Tensor):
            return self._made(func(*args, **kwargs), name)
        if base in EMPTY:
            result = func(*args, **kwargs)
            self._keep(result)
            self.labels[_storage(result)] = torch.full(
                (result.untyped_storage().nbytes() // result.itemsize,), self._place(Entry(math.nan)) * self.span
            )
            return result
        if base == "_to_copy" and kwargs.get("dtype") == torch.bool:
            return self._elementwise(func, args, kwargs, named, "_to_bool")
        if base in MOVES or base == "fill":
            return self._moved(func, args, kwargs, name, base)
        if base in ("sum", "mean"):
            return self._summed(func, args, kwargs, named, base)
        if base not in RULES:
            if name == "_local_scalar_dense":
                raise Untraceable("update reads a number out of a tensor")
            raise Untraceable(f"update uses '{name}', which has no scalar code here")
        return self._elementwise(func, args, kwargs, named, base)

    def _made(self, result: Tensor, name: str) -> Tensor:
        """A tensor of one number that is known now."""
        if not result.numel():
            raise Untraceable(f"update uses '{name}' of no number")
        number = result.flatten()[0]
        if result.numel() > 1 and not bool(((result == number) | (result != result)).all()):
            raise Untraceable(f"update uses '{name}' of {result.numel()} numbers")
        if result.is_complex():
            raise Untraceable(f"update uses '{name}' of complex numbers")
        if result.dim():
            self._check(result, name)
        place = self._place(Entry(float(number))) * self.span
        storage = _storage(result)
        self._keep(result)
        if storage not in self.labels:
            self.labels[storage] = torch.zeros(result.untyped_storage().nbytes() // result.itemsize, dtype=torch.int64)
        self.labels[storage].as_strided(result.size(), result.stride(), result.storage_offset()).fill_(place)
        return result

    def _check(self, result: Tensor, name: str) -> None:
        if result.dtype not in (torch.float32, torch.bool):
            raise Untraceable(f"update uses '{name}', which gives numbers of {result.dtype}")

    def _moved(self, func: Any, args: Any, kwargs: Any, name: str, base: str) -> Tensor:
        """An operator that moves numbers: the same is done to their labels."""
        source = args[1] if base in ("copy", "fill") else args[0]
        if base in ("copy", "fill") and args[0].dtype == torch.bool != getattr(source, "dtype", None):
            raise Untraceable(f"update uses '{name}' of numbers as conditions")
        zero = self._place(Entry(0.0)) * self.span
        given = {k: v for k, v in kwargs.items() if k not in PLACING}
        if base == "constant_pad_nd" and (args[2:] or (0,))[0] != 0:
            raise Untraceable("update uses 'constant_pad_nd' with a value")

        def labels(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return [labels(v) for v in value]
            return self._labels(value, name) - zero if isinstance(value, Tensor) else value  # what is filled in is 0

        if base in ("copy", "fill", "_to_copy", "clone", "contiguous"):
            moved = labels(source).expand(args[0].shape)
        else:
            moved = func(*labels(args), **given)
        result = func(*args, **kwargs)
        self._check(result, name)
        self._keep(result)
        storage = _storage(result)
        if storage not in self.labels:
            self.labels[storage] = torch.zeros(result.untyped_storage().nbytes() // result.itemsize, dtype=torch.int64)
        self.labels[storage].as_strided(result.size(), result.stride(), result.storage_offset()).copy_(moved + zero)
        return result

    def _elementwise(self, func: Any, args: Any, kwargs: Any, named: dict[str, Any], base: str) -> Any:
        formula, takes = RULES[base], _parameters(base)
        result = func(*args, **kwargs)
        results = result if isinstance(result, (tuple, list)) else (result,)
        shape = results[0].shape
        operands: dict[str, Any] = {}
        given: dict[str, Tensor] = {}
        for argument in func._schema.arguments:
            if argument.name not in named:
                continue
            value = named[argument.name]
            if argument.name in takes:
                if isinstance(value, Tensor):
                    given[argument.name] = value
                elif isinstance(value, complex):
                    raise Untraceable(f"update uses '{base}' of complex numbers")
                else:
                    operands[argument.name] = value
            elif argument.name not in PLACING and value != argument.default_value:
                raise Untraceable(f"update uses '{base}' with {argument.name}={value!r}")
        for one in results:
            self._check(one, base)
        boolean = results[0].dtype == torch.bool
        blocks = self._read(list(given.values()), base, shape)
        axis = blocks[0].axis
        made: list[list[Entry]] = [[] for _ in results]
        for lane in zip(*(some.entries for some in blocks), strict=True):
            entries = dict(zip(given, lane, strict=True))
            summed = max(entry.summed for entry in entries.values())
            if summed and (axis is not None or (summed == 2 and results[0].numel() > 1)):
                raise Untraceable(f"the gradient of update uses '{base}' on a sum")
            values = formula(**{key: entry.value for key, entry in entries.items()}, **operands)
            for some, value in zip(made, values if isinstance(values, tuple) else (values,), strict=True):
                if boolean and base == "add":
                    value = op("ne", value, 0.0)
                some.append(Entry(value if isinstance(value, Value) else float(value), summed))
        for one, some in zip(results, made, strict=True):
            self._write(one, Blocks(some, axis))
        return result

    def _summed(self, func: Any, args: Any, kwargs: Any, named: dict[str, Any], name: str) -> Tensor:
        """A sum or mean over channels; in a gradient also a sum over rows, which is left to the end."""
        x = named["self"]
        given = named.get("dim")
        given = range(x.dim()) if given is None or given == [] else [given] if isinstance(given, int) else given
        axes = {d % x.dim() for d in given} if x.dim() else set()
        result = func(*args, **kwargs)
        self._check(result, name)
        ((entries, axis),) = self._read([x], name, x.shape)
        over_rows, summed = axis in axes, max(entry.summed for entry in entries)
        if over_rows and not self.back:
            raise Untraceable(f"update uses '{name}' over sequences")
        if name == "mean" and (over_rows or summed):
            raise Untraceable("the gradient of update uses 'mean' of a sum")
        others = {d for d, length in enumerate(x.shape) if d != axis and length > 1}
        features = axes & others
        if features and (features != others or x.dim() - 1 not in features):
            raise Untraceable(f"update uses '{name}' over some of several axes")
        spread = self.size > 1  # whether a sum over channels is more than one number
        if features:
            total = entries[0].value
            for entry in entries[1:]:
                total = op("add", total, entry.value)
            if over_rows or summed:
                entries = [Entry(total, 2 if spread else 1)]
            elif axis is None:
                raise Untraceable(f"update uses '{name}' on what has no sequences")
            else:
                total = self.graph.value("rowsum", total) if isinstance(total, Value) else total * self.size
                entries = [Entry(op("div", total, float(len(entries) * self.size)) if name == "mean" else total)]
        elif over_rows and result.numel() == 1 and spread:  # a number a row, spread over channels, which sum to it
            entries = [Entry(op("div", entry.value, float(self.size)), 2) for entry in entries]
        elif over_rows:
            entries = [Entry(entry.value, max(1, entry.summed)) for entry in entries]
        rows = None
        if axis is not None and not over_rows:
            rows = axis if named.get("keepdim") else axis - sum(d < axis for d in axes)
        self._write(result, Blocks(entries, rows))
        return result


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


@lru_cache(maxsize=1024)
def _parameters(base: str) -> frozenset[str]:
    return frozenset(signature(RULES[base]).parameters)


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

    for place, step in enumerate(program.ops):
        if program.inputs + place in needed:
            names[program.inputs + place] = program.inputs + len(ops)
            ops.append(Op(step.name, tuple(map(renamed, step.arguments))))
    return Program(program.inputs, tuple(ops), tuple(map(renamed, program.outputs)))


def _only_summed(program: Program, gates: int) -> bool:
    """Whether each gx and gh is used in gx + gh and nowhere else."""
    users: dict[int, list[Op]] = {number: [] for number in range(2 * gates)}
    for step in program.ops:
        for argument in step.arguments:
            if isinstance(argument, Ref) and argument.number in users:
                users[argument.number].append(step)
    outputs = {value.number for value in program.outputs if isinstance(value, Ref)}
    for k in range(gates):
        sums = {Op("add", (Ref(k), Ref(gates + k))), Op("add", (Ref(gates + k), Ref(k)))}
        if not all(step in sums for number in (k, gates + k) for step in users[number]):
            return False
    return not outputs & set(range(2 * gates))


def _summed(program: Program, gates: int) -> Program:
    """The program with gx + gh as input in gx's place, and without gh."""
    sums = {frozenset((k, gates + k)): Ref(k) for k in range(gates)}
    names: dict[int, Ref | float] = {k: Ref(k) for k in range(gates)}
    names |= {k: Ref(k - gates) for k in range(2 * gates, program.inputs)}
    inputs = program.inputs - gates
    ops: list[Op] = []
    for place, step in enumerate(program.ops):
        pair = frozenset(a.number for a in step.arguments if isinstance(a, Ref))
        if step.name == "add" and pair in sums:
            names[program.inputs + place] = sums[pair]
            continue
        names[program.inputs + place] = Ref(inputs + len(ops))
        ops.append(Op(step.name, tuple(names[a.number] if isinstance(a, Ref) else a for a in step.arguments)))
    outputs = tuple(names[value.number] if isinstance(value, Ref) else value for value in program.outputs)
    return Program(inputs, tuple(ops), outputs)


def run(program: Program, values: list[Tensor]) -> list[Tensor]:
    """Interpret a program on tensors: what generated code is checked against."""
    found: list[Any] = list(values)
    for step in program.ops:
        arguments = [
            found[a.number] if isinstance(a, Ref) else torch.tensor(a, dtype=values[0].dtype) for a in step.arguments
        ]
        result = interpret(step.name, *arguments)
        found.append(result.to(values[0].dtype))
    outputs = [found[v.number] if isinstance(v, Ref) else torch.full_like(values[0], v) for v in program.outputs]
    return [output.expand_as(values[0]) for output in outputs]
