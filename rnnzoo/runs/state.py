"""Nested Python values as tensors and JSON, and back: what a training needs to go on, without pickle.

    pack({"step": 3, "m": tensor, "rows": (1, 2)})  ->  {"step": 3, "m": {"$tensor": "0"}, "rows": {"$tuple": [1, 2]}}
                                                        {"0": tensor}

Values come back equal, with their types: dictionaries with any plain keys, lists, tuples, texts, bytes, numbers
(infinite and NaN ones too), None, tensors, arrays of NumPy. Importing this module does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from rnnzoo.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
State: TypeAlias = dict[str, Any]  # of a training or a part of it: values that `pack` takes
DEPTH = 64  # of nested values
MARK = "$"
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def pack(value: object) -> tuple[Json, dict[str, Tensor]]:
    """The value as JSON, and its tensors by the names that stand in their place.

    A tensor that occurs several times is stored once. Raises: TypeError for a value of another type, ValueError for
    one nested more than `DEPTH` deep.
    """
    packer = _Packer()
    return packer.pack(value, 0), packer.tensors


def unpack(value: Json, tensors: Mapping[str, Tensor]) -> object:
    """What `pack` was given. Raises: RunError for JSON that `pack` does not write, or a tensor that is not there."""
    try:
        return _unpack(value, tensors, 0)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"a training state is corrupt: {type(error).__name__}: {error}.") from error


class _Packer:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[int, str] = {}  # by the tensor's id; `tensors` keeps it alive

    def pack(self, value: object, depth: int) -> Json:
        import numpy as np
        import torch

        if depth > DEPTH:
            raise ValueError(f"a value is nested more than {DEPTH} deep")
        if value is None or isinstance(value, str) or type(value) in (bool, int):
            return value  # type: ignore[return-value]
        if type(value) is float:
            return value if math.isfinite(value) else {f"{MARK}float": repr(value)}
        if isinstance(value, torch.Tensor):
            return {f"{MARK}tensor": self._name(value)}
        if isinstance(value, np.ndarray):
            return {f"{MARK}array": self._name(torch.from_numpy(np.ascontiguousarray(value)))}
        if isinstance(value, np.generic):
            return self.pack(value.item(), depth)
        if isinstance(value, bytes):
            return {f"{MARK}bytes": value.hex()}
        if isinstance(value, (list, tuple)):
            items = [self.pack(item, depth + 1) for item in value]
            return items if isinstance(value, list) else {f"{MARK}tuple": items}
        if isinstance(value, Mapping):
            if all(isinstance(key, str) and not key.startswith(MARK) for key in value):
                return {key: self.pack(item, depth + 1) for key, item in value.items()}
            pairs = [[self.pack(key, depth + 1), self.pack(item, depth + 1)] for key, item in value.items()]
            return {f"{MARK}pairs": pairs}  # type: ignore[dict-item]
        raise TypeError(f"a training state cannot hold a {type(value).__module__}.{type(value).__qualname__}")

    def _name(self, tensor: Tensor) -> str:
        name = self._names.setdefault(id(tensor), str(len(self.tensors)))
        self.tensors[name] = tensor
        return name


def _unpack(value: Json, tensors: Mapping[str, Tensor], depth: int) -> object:
    if depth > 2 * DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [_unpack(item, tensors, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    marks = [key for key in value if key.startswith(MARK)]
    if not marks:
        return {key: _unpack(item, tensors, depth + 1) for key, item in value.items()}
    ((mark, content),) = value.items()
    if mark == f"{MARK}tensor":
        return tensors[_text(content)]
    if mark == f"{MARK}array":
        return tensors[_text(content)].numpy()
    if mark == f"{MARK}float":
        return NOT_FINITE[_text(content)]
    if mark == f"{MARK}bytes":
        return bytes.fromhex(_text(content))
    items = _unpack(content, tensors, depth + 1)
    if not isinstance(items, list):
        raise TypeError(f"{mark} must hold a list")
    if mark == f"{MARK}tuple":
        return tuple(items)
    if mark == f"{MARK}pairs":
        return dict(items)
    raise KeyError(mark)


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, got {type(value).__name__}")
    return value
