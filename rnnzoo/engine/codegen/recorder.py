"""Records each operator that a step and its gradient run on example tensors, as scalar operations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from rnnzoo.engine.codegen.graph import Graph, Scalar, Value, op
from rnnzoo.engine.codegen.ir import ROW_SUM, Untraceable
from rnnzoo.engine.codegen.memory import OVER_ALL, OVER_ROWS, Blocks, Entry, Memory, storage_of
from rnnzoo.engine.codegen.rules import RULES

CONSTANT = (
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"),
    *("scalar_tensor", "zero", "zero_", "fill_", "fill"),
)
EMPTY = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted")
COPIES = ("copy", "fill", "_to_copy", "clone", "contiguous")
MOVES = (
    *("clone", "copy", "_to_copy", "cat", "stack", "slice_backward", "select_backward", "slice_scatter"),
    *("select_scatter", "repeat", "constant_pad_nd", "_reshape_copy", "contiguous"),
)
VIEWS = ("_unsafe_view", "_reshape_alias")  # beside those that torch calls so
TYPE_QUESTIONS = ("promote_types", "result_type", "can_cast")  # answered the same for all numbers
PLACING = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking")  # seen in the result


Arguments = tuple[Any, ...]  # whatever an operator of ATen takes, and by name
Options = dict[str, Any]


class Call(NamedTuple):
    """An operator of ATen with its arguments.

    base: its name without the `_` of one that works in place. named: all arguments, by the operator's names for them.
    """

    func: OpOverload
    args: Arguments
    kwargs: Options
    name: str
    base: str
    named: Options

    @classmethod
    def of(cls, func: OpOverload, args: Arguments, kwargs: Options) -> Call:
        name = func._schema.name.partition("::")[2]
        base = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        positional = zip((argument.name for argument in func._schema.arguments), args, strict=False)
        return cls(func, args, kwargs, name, base, dict(positional) | kwargs)

    @property
    def in_place(self) -> bool:
        return self.name != self.base

    def run(self) -> Any:
        """Run the operator itself."""
        return self.func(*self.args, **self.kwargs)


class Recorder(TorchDispatchMode):
    """Records what operators do to the numbers in memory, whatever a step does to shapes.

    An operator that is not in `RULES`, or takes numbers out of line, fails with its name.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch asks it before it imports its compiler, for a second, to keep it away: nothing is compiled here."""
        return False

    def __init__(self, graph: Graph, size: int, rows: int) -> None:
        super().__init__()
        self.graph, self.size = graph, size
        self.memory = Memory(graph, size, rows)

    @contextmanager
    def differentiating(self) -> Iterator[None]:
        """Record a gradient, in which sums over rows are allowed."""
        self.memory.differentiating = True
        with self:
            yield

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: Arguments = (), kwargs: Options | None = None
    ) -> Any:
        call = Call.of(func, args, kwargs or {})
        name, base = call.name, call.base
        if func.namespace != "aten" or (func._schema.is_mutable and not call.in_place):
            raise Untraceable(f"update uses '{func}'" + (" with out" if "out" in call.named else ""))
        if name in TYPE_QUESTIONS:
            return call.run()
        if call.in_place and (owner := self.memory.owners.get(storage_of(args[0]))) is not None:
            raise Untraceable(f"update changes {owner} in place, by '{name}'")
        if name == "lift_fresh":
            return self._constant(call)
        if func._overloadname == "dtype":
            raise Untraceable(f"update uses '{name}' of another type")
        if func.is_view or name in VIEWS:
            return call.run()
        if base in CONSTANT and not isinstance(call.named.get("value"), Tensor):
            return self._constant(call)
        if base in EMPTY:
            result = call.run()
            self.memory.fill_storage(result, Entry(math.nan))
            return result
        if base == "_to_copy" and call.kwargs.get("dtype") == torch.bool:
            return self._elementwise(call, "_to_bool")
        if base in MOVES or base == "fill":
            return self._moved(call)
        if base in ("sum", "mean"):
            return self._summed(call)
        if base not in RULES:
            if name == "_local_scalar_dense":
                raise Untraceable("update reads a number out of a tensor")
            raise Untraceable(f"update uses '{name}', which has no scalar code here")
        return self._elementwise(call, base)

    def _constant(self, call: Call) -> Tensor:
        """A tensor of one number that is known now."""
        result: Tensor = call.run()
        if not result.numel():
            raise Untraceable(f"update uses '{call.name}' of no number")
        number = result.flatten()[0]
        if result.numel() > 1 and not bool(((result == number) | (result != result)).all()):
            raise Untraceable(f"update uses '{call.name}' of {result.numel()} numbers")
        if result.is_complex():
            raise Untraceable(f"update uses '{call.name}' of complex numbers")
        if result.dim():
            _check_type(result, call.name)
        self.memory.new_labels(result).fill_(self.memory.code(Entry(float(number))))
        return result

    def _moved(self, call: Call) -> Tensor:
        """An operator that moves numbers: the same is done to their labels."""
        source = call.args[1] if call.base in ("copy", "fill") else call.args[0]
        target_type = call.args[0].dtype if call.base in ("copy", "fill") else None
        if target_type == torch.bool != getattr(source, "dtype", None):
            raise Untraceable(f"update uses '{call.name}' of numbers as conditions")
        zero = self.memory.code(Entry(0.0))
        if call.base == "constant_pad_nd" and (call.args[2:] or (0,))[0] != 0:
            raise Untraceable("update uses 'constant_pad_nd' with a value")

        def labels(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return [labels(v) for v in value]
            if isinstance(value, Tensor):
                return self.memory.labels(value, call.name) - zero  # what is filled in is 0
            return value

        if call.base in COPIES:
            moved = labels(source).expand(call.args[0].shape)
        else:
            options = {key: value for key, value in call.kwargs.items() if key not in PLACING}
            moved = call.func(*labels(call.args), **options)
        result: Tensor = call.run()
        _check_type(result, call.name)
        self.memory.new_labels(result).copy_(moved + zero)
        return result

    def _elementwise(self, call: Call, rule: str) -> Any:
        """An operator with a rule: its formula, for each block of its operands."""
        result = call.run()
        results: Sequence[Tensor] = result if isinstance(result, (tuple, list)) else (result,)
        tensors, numbers = _operands(call, rule)
        for one in results:
            _check_type(one, rule)
        blocks = self.memory.read(list(tensors.values()), rule, results[0].shape)
        axis = blocks[0].axis
        made: list[list[Entry]] = [[] for _ in results]
        for lane in zip(*(some.entries for some in blocks), strict=True):
            entries = dict(zip(tensors, lane, strict=True))
            summed = max(entry.summed for entry in entries.values())
            if summed and (axis is not None or (summed == OVER_ALL and results[0].numel() > 1)):
                raise Untraceable(f"the gradient of update uses '{rule}' on a sum")
            values = RULES[rule](**{key: entry.value for key, entry in entries.items()}, **numbers)
            for some, value in zip(made, values if isinstance(values, tuple) else (values,), strict=True):
                if results[0].dtype == torch.bool and rule == "add":
                    value = op("ne", value, 0.0)
                some.append(Entry(value if isinstance(value, Value) else float(value), summed))
        for one, some in zip(results, made, strict=True):
            self.memory.write(one, Blocks(some, axis))
        return result

    def _summed(self, call: Call) -> Tensor:
        """A sum or mean over channels; in a gradient also a sum over rows, which is left to the end."""
        x: Tensor = call.named["self"]
        name, axes = call.base, _axes(x, call.named.get("dim"))
        result: Tensor = call.run()
        _check_type(result, name)
        ((entries, row_axis),) = self.memory.read([x], name, x.shape)
        over_rows, summed = row_axis in axes, max(entry.summed for entry in entries)
        if over_rows and not self.memory.differentiating:
            raise Untraceable(f"update uses '{name}' over sequences")
        if name == "mean" and (over_rows or summed):
            raise Untraceable("the gradient of update uses 'mean' of a sum")
        others = {d for d, length in enumerate(x.shape) if d != row_axis and length > 1}
        features = axes & others
        if features and (features != others or x.dim() - 1 not in features):
            raise Untraceable(f"update uses '{name}' over some of several axes")
        several = self.size > 1  # whether a sum over channels is of more than one number
        if features:
            total = entries[0].value
            for entry in entries[1:]:
                total = op("add", total, entry.value)
            if over_rows or summed:
                entries = [Entry(total, OVER_ALL if several else OVER_ROWS)]
            elif row_axis is None:
                raise Untraceable(f"update uses '{name}' on what has no sequences")
            else:
                entries = [Entry(self._over_channels(total, len(entries), name))]
        elif over_rows and result.numel() == 1 and several:  # a number a row, spread over channels, which sum to it
            entries = [Entry(op("div", entry.value, float(self.size)), OVER_ALL) for entry in entries]
        elif over_rows:
            entries = [Entry(entry.value, max(OVER_ROWS, entry.summed)) for entry in entries]
        axis_left = None
        if row_axis is not None and not over_rows:
            axis_left = row_axis if call.named.get("keepdim") else row_axis - sum(d < row_axis for d in axes)
        self.memory.write(result, Blocks(entries, axis_left))
        return result

    def _over_channels(self, total: Scalar, lanes: int, name: str) -> Scalar:
        """The sum or mean over the channels of so many lanes, which were added up."""
        total = self.graph.value(ROW_SUM, total) if isinstance(total, Value) else total * self.size
        return op("div", total, float(lanes * self.size)) if name == "mean" else total


def _check_type(result: Tensor, name: str) -> None:
    if result.dtype not in (torch.float32, torch.bool):
        raise Untraceable(f"update uses '{name}', which gives numbers of {result.dtype}")


def _axes(x: Tensor, dim: int | Sequence[int] | None) -> set[int]:
    """The axes that a sum goes over."""
    if dim is None or dim == []:
        dim = range(x.dim())
    elif isinstance(dim, int):
        dim = [dim]
    return {d % x.dim() for d in dim} if x.dim() else set()


def _operands(call: Call, rule: str) -> tuple[dict[str, Tensor], Options]:
    """The arguments that a rule takes: tensors, and numbers or options. Raises: Untraceable for others."""
    tensors: dict[str, Tensor] = {}
    numbers: Options = {}
    for argument in call.func._schema.arguments:
        if argument.name not in call.named:
            continue
        value = call.named[argument.name]
        if argument.name in _parameters(rule):
            if isinstance(value, Tensor):
                tensors[argument.name] = value
            elif isinstance(value, complex):
                raise Untraceable(f"update uses '{rule}' of complex numbers")
            else:
                numbers[argument.name] = value
        elif argument.name not in PLACING and value != argument.default_value:
            raise Untraceable(f"update uses '{rule}' with {argument.name}={value!r}")
    return tensors, numbers


@lru_cache(maxsize=1024)
def _parameters(rule: str) -> frozenset[str]:
    """The names of a rule's parameters."""
    return frozenset(signature(RULES[rule]).parameters)
