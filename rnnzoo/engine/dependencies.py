"""What a cell's step depends on besides its inputs: the key of code that is kept for it.

`settings` are the attributes of the cell and of all within it, private ones too; `code` is the source of their classes
and what that source reads from around it. What the key does not understand is refused by name: the cell then runs step
by step, since code kept under a key that misses something would compute another cell.
"""

from __future__ import annotations

import enum
import functools
import inspect
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell

DEPTH = 8  # containers within containers
OF_MODULE = frozenset(vars(nn.Module())) - {"training"}  # torch's own attributes of a module: hooks, parts, parameters
OPAQUE = ("torch", "builtins", "math", "typing", "collections")  # packages whose code is taken to be fixed by a version


class Unknowable(Exception):
    """A value that the key of kept code does not understand, by name and type."""


def settings(cell: Cell) -> tuple[Any, ...]:
    """All that the cell holds besides tensors, hashable: unequal for cells that differ. Raises: Unknowable."""
    return tuple(
        (name, key, _frozen(value, f"{name}.{key}" if name else key))
        for name, module in cell.named_modules()
        for key, value in vars(module).items()
        if key not in OF_MODULE
    )


def _frozen(value: Any, name: str, depth: int = DEPTH) -> Any:
    """A value as nested tuples of words and numbers, each with its type: True, 1 and 1.0 are three settings."""
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes):
        return kind.__name__, value
    if kind in (float, complex) or isinstance(value, (torch.dtype, torch.device, torch.Size, range, slice)):
        return kind.__name__, repr(value)  # -0.0 is not 0.0, NaN is NaN
    if isinstance(value, enum.Enum):
        return kind.__qualname__, value.name
    if isinstance(value, Tensor):
        return "tensor"  # one that a step reads is an input of the code, or refused
    if depth == 0:
        raise Unknowable(f"its attribute '{name}' is nested too deeply to be part of a key")
    if isinstance(value, Mapping):
        return kind.__qualname__, tuple((_frozen(k, name, 1), _frozen(v, name, depth - 1)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return kind.__qualname__, tuple(_frozen(item, name, depth - 1) for item in value)
    if isinstance(value, (set, frozenset)):
        return kind.__qualname__, tuple(sorted(map(repr, value)))
    if isinstance(value, functools.partial):
        return "partial", _frozen((value.func, value.args, value.keywords), name, depth - 1)
    if isinstance(value, types.MethodType):
        return "method", _frozen(value.__func__, name, depth - 1)
    if isinstance(value, types.FunctionType):
        closure = tuple(c.cell_contents for c in value.__closure__ or ())
        return (*_code(value.__code__), _frozen((closure, value.__defaults__, value.__kwdefaults__), name, depth - 1))
    if isinstance(value, (type, types.BuiltinFunctionType, types.ModuleType)) or kind.__module__ == "torch":
        return "named", getattr(value, "__module__", None), getattr(value, "__qualname__", repr(value))
    if hasattr(value, "__dict__") and kind.__module__.split(".")[0] not in OPAQUE:
        held = {k: v for k, v in vars(value).items() if not (isinstance(value, nn.Module) and k in OF_MODULE)}
        return kind.__module__, kind.__qualname__, _frozen(held, name, depth - 1)
    raise Unknowable(f"its attribute '{name}' is a {kind.__module__}.{kind.__qualname__}, which no key can hold")


@functools.lru_cache(maxsize=1024)
def _code(code: types.CodeType) -> tuple[Any, ...]:
    inner = tuple(_code(c) for c in code.co_consts if isinstance(c, types.CodeType))
    plain = tuple(repr(c) for c in code.co_consts if not isinstance(c, types.CodeType))
    return "function", code.co_name, code.co_code, code.co_names, plain, inner


def code(cell: Cell) -> list[Any] | None:
    """The source of the cell's classes, and what it reads from around it; None if some of that cannot be known."""
    found: list[Any] = [torch.__version__]
    seen: set[Any] = set()
    try:
        for module in cell.modules():
            for kind in type(module).__mro__:
                if kind.__module__.split(".")[0] not in OPAQUE:
                    found += _source(kind, seen)
    except (Unknowable, OSError, TypeError, UnicodeDecodeError):
        return None
    return found


def _source(what: Any, seen: set[Any]) -> Iterator[Any]:
    """The file of a class or function, and the values of the names around it that its functions use."""
    if what in seen:
        return
    seen.add(what)
    yield what.__qualname__
    path = inspect.getfile(what)
    if path not in seen:
        seen.add(path)
        yield Path(path).read_text(encoding="utf-8")
    members = vars(what).values() if isinstance(what, type) else (what,)
    for member in members:
        function = inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
        if isinstance(function, types.FunctionType):
            yield from _around(function, seen)


def _around(function: types.FunctionType, seen: set[Any]) -> Iterator[Any]:
    names = set(_names(function.__code__))
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            if value.__name__.split(".")[0] not in OPAQUE:
                held = {n: vars(value)[n] for n in sorted(names & vars(value).keys())}
                for inner, part in held.items():
                    yield from _value(f"{name}.{inner}", part, seen)
        else:
            yield from _value(name, value, seen)


def _value(name: str, value: Any, seen: set[Any]) -> Iterator[Any]:
    owner = (getattr(value, "__module__", None) or "").split(".")[0]
    if owner in OPAQUE or isinstance(value, types.BuiltinFunctionType):
        return
    if isinstance(value, (type, types.FunctionType)):
        if owner != "rnnzoo":
            yield from _source(value, seen)
        elif isinstance(value, types.FunctionType):
            yield Path(inspect.getfile(value)).read_text(encoding="utf-8")
    elif isinstance(value, Tensor):
        raise Unknowable(f"it reads the tensor '{name}' from around it")
    else:
        yield name, _frozen(value, name)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
