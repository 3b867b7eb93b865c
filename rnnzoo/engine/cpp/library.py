"""A cell's generated code, loaded: its trace, and the functions of its library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from rnnzoo.engine.codegen.ir import Trace
from rnnzoo.engine.cpp import build, struct
from rnnzoo.engine.cpp.emit import emit

Value: TypeAlias = Tensor | int | None
Values: TypeAlias = dict[str, Value | Sequence[Value]]  # by the names in `struct.FIELDS`


class Library:
    """The scan of one trace, forwards and backwards. Raises: Unbuildable."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._call = struct.mirror(trace)
        code = build.load(emit(trace))
        self.tile = int(code.tile_size())  # rows of gates where they are not kept
        self._forward, self._backward, self._scratch_size = code.forward, code.backward, code.scratch_size
        self._forward.argtypes = self._backward.argtypes = [ctypes.POINTER(self._call)]
        self._forward.restype = self._backward.restype = None
        self._scratch_size.argtypes, self._scratch_size.restype = [ctypes.c_int64] * 3, ctypes.c_int64

    def scratch_size(self, hidden: int, blocks: int, inputs: int) -> int:
        """How many float32 numbers of working memory a call needs."""
        return self._scratch_size(hidden, blocks, inputs)

    def run_forward(self, values: Values) -> None:
        """Compute the states of all rows, in the memory of `values`."""
        self._run(self._forward, values)

    def run_backward(self, values: Values) -> None:
        """Compute all gradients, in the memory of `values`."""
        self._run(self._backward, values)

    def _run(self, function: Callable[..., None], values: Values) -> None:
        """Call C with tensors as pointers; they stay alive until it returns, as `values` holds them."""
        call = self._call()
        for name, value in values.items():
            assert name in struct.NAMES, name
            if isinstance(value, (list, tuple)):
                array = getattr(call, name)
                for k, item in enumerate(value):
                    array[k] = _address(item)
            else:
                setattr(call, name, _address(value))  # type: ignore[arg-type]  # a Tensor is no Sequence
        function(ctypes.byref(call))


def _address(value: Value) -> int | None:
    if isinstance(value, Tensor):
        assert value.is_contiguous() and value.device.type == "cpu" and value.dtype in (torch.float32, torch.int64)
        return value.data_ptr()
    return value
