"""What a part's signature lets a recipe set: names, types, ranges and defaults, and values made to fit them."""

import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from rnnzoo import registry
from rnnzoo.limits import is_union, type_hints


class Parameter(NamedTuple):
    """One parameter of a part: its type with and without annotations, and its default if it is not required."""

    annotated: Any
    hint: Any
    required: bool
    default: Any


@lru_cache(maxsize=512)
def signature(target: Callable[..., Any], given: frozenset[str] = frozenset()) -> dict[str, Parameter]:
    """The parameters that a recipe may set, by name; `given` ones left out.

    Those that a class passes on by **kwargs are found; those whose type is not plain data are left out, unless they are
    required. Raises: ValueError if the signature cannot be read.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, add_help=False)
    add = parser.add_class_arguments if isinstance(target, type) else parser.add_function_arguments
    keys = dict.fromkeys(key.partition(".")[0] for key in add(target, skip=set(given)))
    defaults = parser.get_defaults().as_dict()
    annotated, hints, required = _declared(target)
    parameters: dict[str, Parameter] = {}
    for key in keys:
        default = defaults.get(key)
        hint = hints.get(key, type(default) if isinstance(default, (bool, int, float, str)) else None)
        if (plain := _plain_arms(hint)) is not hint:
            hint = annotated[key] = plain
        if _is_plain(hint) and (key in required or _is_json(default)):
            if isinstance(default, int) and not isinstance(default, bool) and hint in (float, float | None):
                default = float(default)
            parameters[key] = Parameter(annotated.get(key, hint), hint, key in required, _jsonable(default))
        elif key in required:
            raise ValueError(f"'{key}' is required, and its type is not plain data that a recipe could hold")
    return parameters


def _declared(target: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """Types with and without annotations, and the required ones, of a function or of a class and its bases."""
    if isinstance(target, type):
        functions = [vars(cls)["__init__"] for cls in reversed(target.__mro__) if "__init__" in vars(cls)]
    else:
        functions = [target]
    annotated: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    required: set[str] = set()
    for function in functions:
        annotated |= type_hints(function)
        hints |= type_hints(function, extras=False)
        for name, parameter in inspect.signature(function).parameters.items():
            required.discard(name)
            if parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                required.add(name)
    return annotated, hints, required


def _is_plain(hint: Any) -> bool:
    """Whether a type is made of JSON's types: only such are set from recipes. Code, such as a callable, is not."""
    if hint in (bool, int, float, str, None, type(None), Any, list, tuple, dict, Path):
        return hint is not None
    origin = get_origin(hint)
    if origin is Literal:
        return all(isinstance(item, (bool, int, str, type(None))) for item in get_args(hint))
    if is_union(hint) or origin in (list, tuple, dict, Sequence, Mapping, Iterable):
        return all(_is_plain(item) for item in get_args(hint) if item is not Ellipsis)
    return False


def _plain_arms(hint: Any) -> Any:
    """A union without the types that no recipe can hold, if others are left: `float | Tensor` is a float."""
    if not is_union(hint) or _is_plain(hint):
        return hint
    arms = tuple(arm for arm in get_args(hint) if _is_plain(arm))
    return Union[arms] if set(arms) - {type(None)} else hint  # noqa: UP007


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    return value is None or isinstance(value, (bool, int, str, Path))


def _jsonable(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def accepts(hint: Any, value: Any) -> bool:
    """Whether a value has a type as it is, not looking into lists and mappings."""
    origin = get_origin(hint)
    if origin is Annotated:
        return accepts(get_args(hint)[0], value)
    if is_union(hint):
        return any(accepts(item, value) for item in get_args(hint))
    if origin is Literal:
        return any(type(item) is type(value) and item == value for item in get_args(hint))
    if hint is Path:
        return isinstance(value, str)
    if hint in (bool, int, float, str, type(None)):
        return type(value) is hint
    if (origin or hint) is dict or origin is Mapping:
        return isinstance(value, dict)
    return hint is Any or isinstance(value, list)


NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", re.ASCII)  # JSON's: YAML 1.1 reads 1e-3 as text


def cast(parameter: Parameter, value: Any) -> Any:
    """The value as the parameter's type has it, such as 0.001 for '1e-3'. Raises: ValueError if it has another type."""
    from jsonargparse import ArgumentParser

    hint = parameter.hint
    if value is None and (parameter.default is None and not parameter.required):
        return None
    if isinstance(value, (str, type(None))) and accepts(hint, value):
        return value
    if value is None or (isinstance(value, str) and not NUMBER.fullmatch(value)):
        raise ValueError("another type")
    parser = ArgumentParser(exit_on_error=False, add_help=False, parser_mode="json")  # JSON: no anchors inside texts
    parser.add_argument("--value", type=hint)
    try:
        cast = _jsonable(parser.parse_object({"value": value}).as_dict()["value"])
    except Exception as cause:  # argparse's, those of a plugin's type, and whatever a text nested too deeply raises
        raise ValueError("another type") from cause
    if not _is_json(cast):
        raise ValueError("not finite")
    return cast


def part_kind(annotated: Any) -> str | None:
    """The kind in `Annotated[Any, Part(kind)]`, also inside a union or a list."""
    if get_origin(annotated) is Annotated:
        return next((mark.kind for mark in get_args(annotated)[1:] if isinstance(mark, registry.Part)), None)
    if get_origin(annotated) is Literal:
        return None
    return next(filter(None, map(part_kind, get_args(annotated))), None)


def takes_list(annotated: Any) -> bool:
    if is_union(annotated):
        return any(map(takes_list, get_args(annotated)))
    return get_origin(annotated) in (list, Sequence)


def quoted(value: Any) -> str:
    text = "null" if value is None else json.dumps(value) if isinstance(value, (bool, dict, list)) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
