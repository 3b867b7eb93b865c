"""Ranges as annotations: `dropout: Probability`, `rate: Annotated[float, Limit(0, 2)]`, `steps: Count | None`.

A recipe's values are checked against the annotations of the part that it names, so that all mistakes are found before
anything is built. A constructor checks itself with `@checked`.
"""

import functools
import inspect
import math
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Limit:
    """Finite numbers from `low` to `high`; `open_low` leaves out `low` itself, `open_high` leaves out `high`."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'>' if self.open_low else '>='} {self.low}"
        if self.low == -math.inf:
            return f"{'<' if self.open_high else '<='} {self.high}"
        return f"in {'(' if self.open_low else '['}{self.low}, {self.high}{')' if self.open_high else ']'}"

    def holds(self, value: object) -> bool:
        """Whether the value is a number in the range."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0:
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)


Count = Annotated[int, Limit(1)]
Size = Annotated[int, Limit(1, 1_000_000)]  # features of a layer: more than this is a typing error, not a model
Layers = Annotated[int, Limit(1, 1000)]
VocabSize = Annotated[int, Limit(5, 100_000_000)]  # four of them are special tokens
Seed = Annotated[int, Limit(0, 2**32 - 1)]
Positive = Annotated[float, Limit(0, open_low=True)]
NonNegative = Annotated[float, Limit(0)]
Probability = Annotated[float, Limit(0, 1, open_high=True)]  # such as a dropout: at 1 nothing would be left
Share = Annotated[float, Limit(0, 1)]
TopP = Annotated[float, Limit(0, 1, open_low=True)]
Fraction = Annotated[float, Limit(0, 1, open_low=True, open_high=True)]  # some of it, and not all


def checked(function: Function) -> Function:
    """Check the arguments of a constructor, or of any function, against the ranges of its annotations.

    Defaults are not checked, and neither is a parameter without a range. The decorated function raises ValueError,
    naming its class, the parameter, the range and the value.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def checking(*args: Any, **kwargs: Any) -> Any:
        try:
            arguments = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return function(*args, **kwargs)  # raises the same, in Python's words
        for name, annotation in _ranges(function).items():
            if name in arguments and (problem := violation(annotation, arguments[name])):
                owner = type(args[0]).__name__ if function.__name__ == "__init__" else function.__name__
                raise ValueError(f"{owner}: {name} {problem}")
        return function(*args, **kwargs)

    return checking  # type: ignore[return-value]


@functools.cache
def _ranges(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's parameters that have a range."""
    return {name: hint for name, hint in type_hints(function).items() if has_range(hint)}


def type_hints(function: Callable[..., Any], extras: bool = True) -> dict[str, Any]:
    """The resolved annotations of a function; one that cannot be resolved is left out, and the others stay.

    extras: keep `Annotated`.
    """
    try:
        return get_type_hints(function, include_extras=extras)
    except Exception:  # a plugin may annotate with a name that only a type checker imports
        hints: dict[str, Any] = {}
        names = getattr(inspect.unwrap(function), "__globals__", {})
        for name, hint in function.__annotations__.items():
            alone = types.SimpleNamespace(__annotations__={name: hint})
            try:
                hints |= get_type_hints(alone, names, include_extras=extras)
            except Exception:  # the plugin's name that cannot be resolved
                continue
        return hints


def violation(annotation: object, value: object) -> str | None:
    """What is wrong with a value for an annotation: "must be a number in [0, 1), got 1.5"; None if nothing is."""
    return None if fits(annotation, value) else f"must be {described(annotation)}, got {value!r}"


def fits(annotation: Any, value: object) -> bool:
    """Whether a value is what an annotation says: of numbers, literals, unions, lists, mappings; another holds all."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return fits(arguments[0], value) and all(limit.holds(value) for limit in _limits(arguments[1:]))
    if is_union(annotation):
        return any(fits(arm, value) for arm in arguments)
    if origin is Literal:
        return any(type(item) is type(value) and item == value for item in arguments)
    if origin in (list, Sequence):
        return isinstance(value, (list, tuple)) and all(fits(arguments[0], item) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(arguments[1], item) for item in value.values())
    if annotation in (None, type(None)):
        return value is None
    if annotation in (int, float):
        return isinstance(value, int if annotation is int else (int, float)) and not isinstance(value, bool)
    return isinstance(value, annotation) if annotation in (bool, str) else True


def _limits(marks: Iterable[object]) -> Iterator[Limit]:
    """The limits among an annotation's marks: of `Annotated[float, Limit(0, 1)]` and of `Annotated[float, Share]`."""
    for mark in marks:
        if isinstance(mark, Limit):
            yield mark
        elif get_origin(mark) is Annotated:
            yield from _limits(get_args(mark)[1:])


def has_range(annotation: Any) -> bool:
    """Whether an annotation, or a part of it, has a `Limit`."""
    if get_origin(annotation) is Literal:
        return False
    arguments = get_args(annotation)
    return any(isinstance(item, Limit) or has_range(item) for item in arguments)


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    Any: "a value",
    type(None): "null",
}


def described(annotation: Any) -> str:
    """A type in a reader's words: 'a whole number >= 1, auto or null'."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return " ".join([described(arguments[0]), *map(str, _limits(arguments[1:]))])
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if is_union(annotation):
        arms = [[described(arm)] if get_origin(arm) is not Literal else map(str, get_args(arm)) for arm in arguments]
        *words, last = [word for arm in arms for word in arm]
        return f"{', '.join(words)} or {last}"
    if origin in (list, tuple, Sequence, Iterable) or annotation in (list, tuple):
        return f"a list, each item {described(arguments[0])}" if arguments else "a list"
    if origin is dict and has_range(annotation):
        return f"a mapping, each value {described(arguments[1])}"
    return NAMES.get(annotation, "a mapping")
