"""Modes of torch that must see every operation, to replay it or to differentiate it: only the plain loop runs there."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from rnnzoo.errors import ZooError


def watching(x: Tensor) -> str | None:
    """Which mode must see each operation on x; None in ordinary computation, where any engine path may run."""
    if torch.compiler.is_compiling():
        return "the model is being compiled or exported"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "torch.func transforms it"
    if forward_ad._current_level >= 0:
        return "forward-mode gradients are taken"
    if torch._C._len_torch_dispatch_stack():
        return "a dispatch mode follows every operation"
    if x.device.type == "meta" or type(x) not in (Tensor, Parameter):
        return f"it computes on {'meta tensors' if x.device.type == 'meta' else type(x).__name__}"
    return None


def has_no_numbers(x: Tensor) -> str | None:
    """Why no number can be read out of a tensor; None where one can."""
    if x.device.type == "meta" or torch._is_functional_tensor(x) or hasattr(x, "fake_mode"):
        return "the model is exported, or runs on tensors without numbers"
    if torch._C._functorch.is_batchedtensor(x):
        return "torch.func.vmap runs over them"
    return None


def refuse_tracing() -> None:
    """Raises: ZooError while torch.jit.trace, or the ONNX exporter that uses it, records a model."""
    if torch.jit.is_tracing():
        raise ZooError(
            "a recurrent model cannot be recorded by torch.jit.trace: the lengths and the number of steps would be "
            "those of the first batch for ever.\n"
            "  Use torch.export.export without lengths, for one shape."
        )
