"""`torch.compiler.disable` without its import of torch's compiler, which takes as long as that of torch itself."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def uncompiled(reason: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: torch.compile leaves the function, and all that it calls, to Python.

    While nothing has imported the compiler, nothing can be compiled, and the function is called as it is. The compiler
    reads the marks where it traces a caller.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        disabled: list[Callable[P, T]] = []

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if "torch._dynamo" not in sys.modules:
                return function(*args, **kwargs)
            if not disabled:
                disabled.append(torch.compiler.disable(function, reason=reason))
            return disabled[0](*args, **kwargs)

        for name, value in {"disable": True, "disable_msg": reason, "disable_recursive": True}.items():
            setattr(call, f"_torchdynamo_{name}", value)
        return call

    return decorate
