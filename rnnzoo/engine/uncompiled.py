"""`torch.compiler.disable` without its import of torch's compiler, which takes as long as that of torch itself."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

F = TypeVar("F", bound=Callable[..., Any])


def uncompiled(reason: str) -> Callable[[F], F]:
    """A decorator: torch.compile leaves the function, and all that it calls, to Python.

    While nothing has imported the compiler, nothing can be compiled, and the function is called as it is. The compiler
    reads the marks where it traces a caller.
    """

    def decorate(function: F) -> F:
        disabled: list[Callable[..., Any]] = []

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if "torch._dynamo" not in sys.modules:
                return function(*args, **kwargs)
            if not disabled:
                disabled.append(torch.compiler.disable(function, reason=reason))
            return disabled[0](*args, **kwargs)

        for name, value in {"disable": True, "disable_msg": reason, "disable_recursive": True}.items():
            setattr(call, f"_torchdynamo_{name}", value)
        return cast(F, call)

    return decorate
