"""All that a cell's step may read beside its arguments and its tensors, as one key: equal as long as nothing changed.

Attributes of the cell and of the modules in it, public and private, with what they hold; attributes of their classes,
and the functions of these with the numbers, containers and functions that they find in globals, closures and defaults.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property, lru_cache, partial, wraps
from threading import RLock
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell

PLAIN = (int, str, bytes, bool, type(None), complex, torch.dtype, torch.device, range, BuiltinFunctionType, type(...))
DEEP = 8  # containers within containers
BASE = frozenset(vars(nn.Module())) - {"training"}  # what every module has
SETTLED = frozenset({"torch", "numpy", "rnnzoo", *sys.stdlib_module_names}) - {"test"}  # code that does not change


VARIANTS = 32  # of one cell, by what its step reads and its mode
T = TypeVar("T")
_making = RLock()


class Unclear(Exception):
    """Which of a cell's attributes cannot be told from another value of it."""


def per_cell(make: Callable[[Cell], T]) -> Callable[[Cell], T | str]:
    """What `make` gives for a cell as it is now, or why it gives nothing: made once a fingerprint, by one thread."""
    kept: WeakKeyDictionary[Cell, dict[Hashable, T]] = WeakKeyDictionary()

    @wraps(make)
    def found(cell: Cell) -> T | str:
        try:
            now = fingerprint(cell)
        except Unclear as cause:
            return str(cause)
        own = kept.get(cell)
        if own is None or now not in own:
            with _making:
                own = kept.setdefault(cell, {})
                if now not in own:
                    if len(own) >= VARIANTS:
                        return "its numbers change from call to call"
                    own[now] = make(cell)
        return own[now]

    return found


def fingerprint(cell: Cell) -> Hashable:
    """The key of a cell as it is now. Raises: Unclear, naming an attribute that its code reads and that has no key."""
    told: list[Hashable] = []
    for module in cell.modules():
        kind: Any = type(module)
        names = _names(kind)
        told.append(kind)
        for name, value in vars(module).items():
            if name in BASE:
                if value and name.endswith("_hooks"):
                    told.append((name, tuple(map(_key_of_function, value.values()))))
                continue
            try:
                told.append((name, key(value)))
            except Unclear as cause:
                if name in names:
                    raise Unclear(f"its attribute '{name}' {cause}") from None
        for group in (module._parameters, module._buffers):
            told += [(name, None if t is None else (t.shape, t.dtype)) for name, t in group.items()]
        for owner in _settled(kind):  # as a whole: in these, no attribute holds what may change within itself
            told.append(tuple(map(id, vars(owner).values())))
        for owner, name in _class_attributes(kind):
            value = vars(owner).get(name)
            try:
                told.append((name, key(value)))
            except Unclear as cause:
                if name in names:
                    raise Unclear(f"its class attribute '{name}' {cause}") from None
    return tuple(told)


def key(value: Any, depth: int = 0) -> Hashable:
    """A value as one that is equal only to the key of the same value. Raises: Unclear."""
    kind = type(value)
    if kind is float:  # -0.0 is not 0.0, and NaN is NaN
        return kind, value if value == value else "nan", math.copysign(1, value)
    if kind in PLAIN:
        return kind, value
    if depth > DEEP:
        raise Unclear("holds too much within itself")
    if kind in (tuple, list):
        return kind, tuple(key(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return kind, tuple((key(k, depth + 1), key(item, depth + 1)) for k, item in value.items())
    if kind in (set, frozenset):
        return kind, frozenset(key(item, depth + 1) for item in value)
    if isinstance(value, Tensor):  # whose numbers the trace lets no code read
        return kind, id(value)
    if isinstance(value, (type, ModuleType, nn.Module)):
        return id(value)
    value = _function_of(value)
    if isinstance(value, FunctionType):
        return value, *_outside(value)
    if isinstance(value, MethodType):
        return value.__func__, id(value.__self__), _key_of_function(value.__func__)
    if isinstance(value, partial):
        return kind, key((value.func, value.args, value.keywords), depth + 1)
    if kind.__module__ == "numpy":
        return kind, str(value.dtype), value.shape, value.tobytes()
    try:
        members = vars(value)
    except TypeError:
        raise Unclear(f"is a {kind.__name__}, which may change unseen") from None
    return kind, id(value), tuple((name, key(member, depth + 1)) for name, member in members.items())


def _function_of(value: Any) -> Any:
    """The function in a property, or in a method of a class."""
    for attribute in ("fget", "__func__", "func"):
        if isinstance(value, (property, classmethod, staticmethod, cached_property)) and hasattr(value, attribute):
            return getattr(value, attribute)
    return value


def _key_of_function(value: Any) -> Hashable:
    return (value, *_outside(value)) if isinstance(value, FunctionType) else id(value)


@lru_cache(maxsize=1024)
def _class_attributes(kind: type) -> tuple[tuple[type, str], ...]:
    """Where attributes of a class stand that its instances find, in classes that are not rnnzoo's own."""
    return tuple(
        (owner, name)
        for owner in kind.__mro__
        if owner.__module__.partition(".")[0] not in SETTLED
        for name in vars(owner)
        if not (name.startswith("__") and name.endswith("__"))
    )


@lru_cache(maxsize=1024)
def _settled(kind: type) -> tuple[type, ...]:
    return tuple(owner for owner in kind.__mro__ if owner.__module__.partition(".")[0] == "rnnzoo")


@lru_cache(maxsize=1024)
def _names(kind: type) -> frozenset[str]:
    """Names in the code of a class's methods."""
    names: set[str] = set()
    for owner, name in _class_attributes(kind):
        value = _function_of(vars(owner).get(name))
        if isinstance(value, FunctionType):
            for code in _codes(value.__code__):
                names |= {*code.co_names, *(c for c in code.co_consts if isinstance(c, str))}
    return frozenset(names)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _outside(function: FunctionType, seen: frozenset = frozenset()) -> list[Hashable]:
    """Keys of what a function reads outside its arguments, as it is now."""
    if function in seen or function.__module__.partition(".")[0] in SETTLED:
        return []
    seen |= {function}
    values: list[tuple[Any, Any]] = [(name, function.__globals__[name]) for name in _globals(function.__code__)
              if name in function.__globals__]  # fmt: skip
    for cell, name in zip(function.__closure__ or (), function.__code__.co_freevars, strict=True):
        try:
            values.append((name, cell.cell_contents))
        except ValueError:  # not yet filled
            continue
    values += enumerate(function.__defaults__ or ())
    values += (function.__kwdefaults__ or {}).items()
    found: list[Hashable] = []
    for name, value in values:
        if isinstance(value, FunctionType):
            found += [value, *_outside(value, seen)]
        elif isinstance(value, ModuleType):
            if value.__name__.partition(".")[0] not in SETTLED:
                found += _members(value, function.__code__)
        elif not isinstance(value, type) or value.__module__.partition(".")[0] not in SETTLED:
            try:
                found.append((name, key(value)))
            except Unclear as cause:
                raise Unclear(f"'{name}', which {function.__qualname__} reads, {cause}") from None
    return found


def _members(module: ModuleType, code: CodeType) -> list[Hashable]:
    """Keys of what code may read of a module."""
    return [(n, key(vars(module)[n])) for c in _codes(code) for n in c.co_names if n in vars(module)]


@lru_cache(maxsize=4096)
def _globals(code: CodeType) -> tuple[str, ...]:
    return tuple(name for part in _codes(code) for name in part.co_names)
