"""What a request asks: the inputs that its JSON names, held to the limits of the server."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rnnzoo.errors import nearest
from rnnzoo.serving.options import Options
from rnnzoo.serving.refused import Refused
from rnnzoo.system import files
from rnnzoo.system.console import inline

ONE = {"text": "text", "series": "series", "sound": "sound"}  # by key, what it holds one of
MANY = {"texts": "text", "many_series": "series", "sounds": "sound"}
EXAMPLES = {
    "text": '{"text": "..."} or {"texts": ["...", "..."]}',
    "series": '{"series": [0.5, 0.1]} or many_series',
    "sound": '{"sound": "..."}, a WAV file in base64, or sounds',
}


class Questions(NamedTuple):
    """inputs: for `Predictor.predict`. alone: whether one was asked, whose answer stands by itself."""

    inputs: list[Any]
    alone: bool


def parsed(body: bytes) -> dict[str, Any]:
    """The object that a body holds as JSON. Raises: Refused."""
    try:
        value = files.json_value(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8, at byte {error.start + 1}") from None
    except ValueError as error:
        raise Refused(400, f"the body is no JSON that can be read: {inline(error, 200)}") from None
    if not isinstance(value, dict):
        raise Refused(400, "the body is JSON, but no object: it begins with { and ends with }")
    return value


def questions(request: Mapping[str, Any], asks: str, options: Options) -> Questions:
    """The inputs of a request to /predict. asks: what the model takes, see `Form.asks`. Raises: Refused."""
    known = ONE | MANY
    check_keys(request, known)
    keys = [key for key in known if key in request]
    example = EXAMPLES[asks]
    if len(keys) != 1:
        problem = "has no input" if not keys else f"has {' and '.join(keys)}, where one of them is enough"
        raise Refused(400, f"the request {problem}; send {example}")
    (key,) = keys
    if known[key] != asks:
        raise Refused(422, f"this model takes {asks}, not {key}; send {example}", key)
    value, alone = request[key], key in ONE
    if not alone and not isinstance(value, list):
        raise Refused(422, f"{key} is a list, got {kind(value)}; send {example}", key)
    inputs = [value] if alone else value
    if not inputs:
        raise Refused(422, f"{key} is empty; send {example}", key)
    if len(inputs) > options.texts:
        raise Refused(413, f"{key} has {len(inputs):,} inputs, and a request at most {options.texts:,}", key)
    read = {"text": check_text, "series": _series, "sound": _sound}[asks]
    places = [key if alone else f"{key}, number {number}" for number in range(1, len(inputs) + 1)]
    return Questions([read(item, place, key, options) for item, place in zip(inputs, places, strict=True)], alone)


def check_keys(request: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any]) -> None:
    """Raises: Refused for a key that is not known."""
    for key in request:
        if key not in known:
            match = nearest(key, known)
            hint = f"did you mean '{match}'? Known" if match else "known"
            raise Refused(400, f"no key is named '{inline(key, 50)}'; {hint}: {', '.join(known)}", inline(key, 50))


def check_text(value: object, where: str, key: str, options: Options) -> str:
    """The text. Raises: Refused for what is no text, or too long."""
    if not isinstance(value, str):
        raise Refused(422, f"{where} is a text, got {kind(value)}", key)
    if len(value) > options.characters:
        raise Refused(413, f"{where} has {len(value):,} characters, and a text at most {options.characters:,}", key)
    return value


def _series(value: object, where: str, key: str, options: Options) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(422, f"{where} is a list of numbers, or of lists of them, got {kind(value)}", key)
    if len(value) > options.steps:
        raise Refused(413, f"{where} has {len(value):,} steps, and a series at most {options.steps:,}", key)
    return value


def _sound(value: object, where: str, key: str, options: Options) -> bytes:
    if not isinstance(value, str):
        raise Refused(422, f"{where} is a WAV file in base64, got {kind(value)}", key)
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise Refused(422, f"{where} is not base64", key) from None


def kind(value: object) -> str:
    """What a value of JSON is called."""
    names = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(value), "a number")
