"""All that a cell's step may read beside its arguments and its tensors, as one key: equal as long as nothing changed.

It is made of the attributes of the cell and of the modules in it, with what they hold; of their classes' attributes;
and of what these functions read in globals, closures and defaults. What has no key is refused by name.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Hashable, Iterator, Sequence
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
DEEPEST, MOST = 12, 1000  # containers within containers, and things in one
BASE = frozenset(vars(nn.Module())) - {"training"}  # what every module has
SETTLED = frozenset({"torch", "numpy", "rnnzoo", *sys.stdlib_module_names}) - {"test"}  # code that does not change


class Unclear(Exception):
    """Which of a cell's attributes has no key: it may change without a trace."""


def fingerprint(cell: Cell) -> Hashable:
    """The key of a cell as it is now. Raises: Unclear, naming what has no key."""
    parts: list[Hashable] = []
    for module in cell.modules():
        kind: type = type(module)
        parts.append(kind)
        for name, value in vars(module).items():
            if isinstance(value, Tensor):  # a normalised or pruned weight is another tensor at every pass
                parts.append((name, value.shape, value.dtype))
            elif name not in BASE:
                parts.append((name, _named(value, "attribute", name)))
            elif value and name.endswith("_hooks"):
                parts.append((name, _named(list(value.values()), "attribute", name)))
        for group in (module._parameters, module._buffers):
            parts += [(name, None if t is None else (t.shape, t.dtype)) for name, t in group.items()]
        for owner in _settled(kind):  # as a whole: in these, no attribute holds what may change within itself
            parts.append(tuple(map(id, vars(owner).values())))
        for owner, name in _class_attributes(kind):
            parts.append((name, _named(vars(owner).get(name), "class attribute", name)))
    return tuple(parts)


def _named(value: object, what: str, name: str) -> Hashable:
    """The key of an attribute. Raises: Unclear, naming it."""
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
    of_torch = isinstance(value, (Tensor, *INERT)) or kind.__module__.partition(".")[0] == "torch"
    if of_torch and not isinstance(value, nn.Module):
        return kind, id(value)  # the numbers of a tensor are no part of it, as a trace lets no code read them
    if id(value) in within:
        return kind, "within itself"
    if len(within) > DEEPEST:
        raise Unclear("holds too much within itself")
    within = (*within, id(value))
    value = _function_of(value)
    if isinstance(value, (tuple, list, dict, set, frozenset)) and len(value) > MOST:
        raise Unclear(f"holds {len(value)} things, more than {MOST}")
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
    """The attributes that instances of a class find in classes that may change, each with its class."""
    return tuple(
        (owner, name)
        for owner in kind.__mro__
        if owner.__module__.partition(".")[0] not in SETTLED
        for name in vars(owner)
        if not (name.startswith("__") and name.endswith("__")) and name != "_abc_impl"
    )


@lru_cache(maxsize=1024)
def _settled(kind: type) -> tuple[type, ...]:
    """The classes of rnnzoo among those that a class is made of."""
    return tuple(owner for owner in kind.__mro__ if owner.__module__.partition(".")[0] == "rnnzoo")


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _outside(function: FunctionType, within: tuple[int, ...]) -> list[Hashable]:
    """Keys of what a function reads outside its arguments, as it is now."""
    if function.__module__.partition(".")[0] in SETTLED:
        return []
    reads = _globals(function.__code__)
    keys: list[Hashable] = []
    for name, value in _read_by(function, reads):
        owner = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
        if owner.partition(".")[0] in SETTLED:
            continue
        members: list[tuple[object, object]] = [(name, value)]
        if isinstance(value, ModuleType):
            members = [(n, vars(value)[n]) for n in reads if n in vars(value)]
        for member, one in members:
            try:
                keys.append((member, key(one, within)))
            except Unclear as cause:
                raise Unclear(f"'{member}', which {function.__qualname__} reads, {cause}") from None
    return keys


def _read_by(function: FunctionType, names: Sequence[str]) -> Iterator[tuple[object, object]]:
    """What a function may read: globals with these names, variables around it and defaults, each with its name."""
    yield from ((name, function.__globals__[name]) for name in names if name in function.__globals__)
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not yet filled
            yield variable, cell.cell_contents
    yield from enumerate(function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()


@lru_cache(maxsize=4096)
def _globals(code: CodeType) -> tuple[str, ...]:
    """The names that code reads which are not its own variables."""
    return tuple(name for part in _codes(code) for name in part.co_names)
