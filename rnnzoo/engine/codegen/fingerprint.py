"""All that a cell's step may read beside its arguments and its tensors, as one key: equal as long as nothing changed.

Attributes of the cell and of the modules in it, public and private, with what they hold; attributes of their classes,
and the functions of these with what they find in globals, closures and defaults. What has no key is refused by name.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Hashable, Iterator
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from threading import Lock, RLock
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell

PLAIN = (int, str, bytes, bool, complex, range, type(None), type(...), torch.dtype, torch.device, torch.Size)
INERT = (logging.Logger, type(Lock()), type(RLock()), ref)  # that no step computes with
DEEP, MANY = 12, 1000  # containers within containers, and things in one
BASE = frozenset(vars(nn.Module())) - {"training"}  # what every module has
SETTLED = frozenset({"torch", "numpy", "rnnzoo", *sys.stdlib_module_names}) - {"test"}  # code that does not change


class Unclear(Exception):
    """Which of a cell's attributes cannot be told from another value of it."""


def fingerprint(cell: Cell) -> Hashable:
    """The key of a cell as it is now. Raises: Unclear, naming what has no key."""
    told: list[Hashable] = []
    for module in cell.modules():
        kind: Any = type(module)
        told.append(kind)
        for name, value in vars(module).items():
            if isinstance(value, Tensor):  # a normalised or pruned weight is another tensor at every pass
                told.append((name, value.shape, value.dtype))
            elif name not in BASE:
                told.append((name, _named(value, "attribute", name)))
            elif value and name.endswith("_hooks"):
                told.append((name, _named(list(value.values()), "attribute", name)))
        for group in (module._parameters, module._buffers):
            told += [(name, None if t is None else (t.shape, t.dtype)) for name, t in group.items()]
        for owner in _settled(kind):  # as a whole: in these, no attribute holds what may change within itself
            told.append(tuple(map(id, vars(owner).values())))
        for owner, name in _class_attributes(kind):
            told.append((name, _named(vars(owner).get(name), "class attribute", name)))
    return tuple(told)


def _named(value: Any, what: str, name: str) -> Hashable:
    try:
        return key(value)
    except Unclear as cause:
        raise Unclear(f"its {what} '{name}' {cause}") from None


def key(value: Any, within: tuple[int, ...] = ()) -> Hashable:
    """A value as one that is equal only to the key of the same value. Raises: Unclear."""
    kind = type(value)
    if kind is float:  # -0.0 is not 0.0, and NaN is NaN
        return kind, value if value == value else "nan", math.copysign(1, value)
    if kind in PLAIN:
        return kind, value
    if isinstance(value, (type, ModuleType)):
        return value
    torch_own = isinstance(value, (Tensor, INERT)) or kind.__module__.partition(".")[0] == "torch"
    if torch_own and not isinstance(value, nn.Module):
        return kind, id(value)  # of a tensor, the trace lets no code read the numbers
    if id(value) in within:
        return kind, "within itself"
    if len(within) > DEEP:
        raise Unclear("holds too much within itself")
    within = (*within, id(value))
    value = _function_of(value)
    if isinstance(value, (tuple, list, dict, set, frozenset)) and len(value) > MANY:
        raise Unclear(f"holds {len(value)} things, more than {MANY}")
    if isinstance(value, (tuple, list)):
        return kind, tuple(key(item, within) for item in value)
    if isinstance(value, dict):
        return kind, tuple((key(k, within), key(item, within)) for k, item in value.items())
    if isinstance(value, (set, frozenset)):
        return kind, frozenset(key(item, within) for item in value)
    if isinstance(value, FunctionType):
        return value, *_outside(value, within)
    if isinstance(value, BuiltinFunctionType):  # of a module, or bound to a list, say
        owner = value.__self__
        return value.__name__, owner if owner is None or isinstance(owner, ModuleType) else key(owner, within)
    if isinstance(value, MethodType):
        return kind, key(value.__func__, within), key(value.__self__, within)
    if isinstance(value, partial):
        return kind, key(value.func, within), key(value.args, within), key(value.keywords, within)
    if kind.__module__ == "numpy" and hasattr(value, "tobytes"):
        return kind, str(value.dtype), value.shape, value.tobytes()
    try:
        members = vars(value)
    except TypeError:
        raise Unclear(f"is a {kind.__name__}, which may change unseen") from None
    base = BASE if isinstance(value, nn.Module) else ()
    return kind, id(value), tuple((name, key(item, within)) for name, item in members.items() if name not in base)


def _function_of(value: Any) -> Any:
    """The function in a property, in a method of a class, or below a cache."""
    if isinstance(value, property):
        return (value.fget, value.fset)
    if isinstance(value, (classmethod, staticmethod)):
        return value.__func__
    return value.func if isinstance(value, cached_property) else getattr(value, "__wrapped__", value)


@lru_cache(maxsize=1024)
def _class_attributes(kind: type) -> tuple[tuple[type, str], ...]:
    """Where attributes of a class stand that its instances find, in classes that are not rnnzoo's own."""
    return tuple(
        (owner, name)
        for owner in kind.__mro__
        if owner.__module__.partition(".")[0] not in SETTLED
        for name in vars(owner)
        if not (name.startswith("__") and name.endswith("__")) and name != "_abc_impl"
    )


@lru_cache(maxsize=1024)
def _settled(kind: type) -> tuple[type, ...]:
    return tuple(owner for owner in kind.__mro__ if owner.__module__.partition(".")[0] == "rnnzoo")


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _outside(function: FunctionType, within: tuple[int, ...]) -> list[Hashable]:
    """Keys of what a function reads outside its arguments, as it is now."""
    if function.__module__.partition(".")[0] in SETTLED:
        return []
    reads = _globals(function.__code__)
    values: list[tuple[Any, Any]] = [(n, function.__globals__[n]) for n in reads if n in function.__globals__]
    for cell, name in zip(function.__closure__ or (), function.__code__.co_freevars, strict=True):
        with suppress(ValueError):  # not yet filled
            values.append((name, cell.cell_contents))
    values += enumerate(function.__defaults__ or ())
    values += (function.__kwdefaults__ or {}).items()
    found: list[Hashable] = []
    for name, value in values:
        owner = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
        if owner.partition(".")[0] in SETTLED:
            continue
        members = [(name, value)]
        if isinstance(value, ModuleType):
            members = [(n, vars(value)[n]) for n in reads if n in vars(value)]
        for member, one in members:
            try:
                found.append((member, key(one, within)))
            except Unclear as cause:
                raise Unclear(f"'{member}', which {function.__qualname__} reads, {cause}") from None
    return found


@lru_cache(maxsize=4096)
def _globals(code: CodeType) -> tuple[str, ...]:
    return tuple(name for part in _codes(code) for name in part.co_names)
