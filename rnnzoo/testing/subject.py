"""A part under test: how it is named and made, and how what it gives is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from rnnzoo import registry
from rnnzoo.recipe.schema import Parameter, signature
from rnnzoo.testing.base import NotApplicable

TOLERANCE = 1e-5  # of the largest number that is compared, or of 1
PartLike = Any  # a registered name, a mapping with a name and parameters, or a class
Numbers: TypeAlias = "Tensor | tuple[Numbers, ...]"  # what is compared: one tensor, a state, or outputs and a state


class Subject:
    """A part under test: how it is named and made, and how what it gives is compared.

    kind: a name in `registry.KINDS`, which says also what rnnzoo passes to the part and a recipe does not set.
    """

    kind: str
    maker: Any  # the class, or the function that makes the part

    def __init__(self, part: PartLike) -> None:
        self.parameters = {k: v for k, v in part.items() if k != "name"} if isinstance(part, Mapping) else {}
        self.part = part["name"] if isinstance(part, Mapping) else part
        arguments = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        plain = self.part if isinstance(self.part, str) else self.part.__qualname__
        self.name = plain + (f"({arguments})" if arguments else "")
        self.maker = registry.load(self.kind, self.part) if isinstance(self.part, str) else self.part

    @cached_property
    def signature(self) -> dict[str, Parameter]:
        return signature(self.maker, registry.KINDS[self.kind].reserved)

    @property
    def registered(self) -> str:
        """The name in recipes. Raises: NotApplicable for a class that is not registered."""
        if not isinstance(self.part, str):
            raise NotApplicable("not registered, so no recipe can name it")
        return self.part

    @property
    def missing_parameters(self) -> list[str]:
        """Parameters without a default that were not given."""
        return [name for name, p in self.signature.items() if p.required and name not in self.parameters]

    def declared(self, expected_failures: Mapping[str, str] | None) -> dict[str, str]:
        """The class's own expected failures and those that are passed, by check name, each with its reason."""
        return {**getattr(self.maker, "expected_failures", {}), **(expected_failures or {})}

    def require(self, condition: bool, message: str) -> None:
        """Raises: AssertionError with the part's name and the message, where the condition does not hold."""
        if not condition:
            raise AssertionError(f"{self.name}: {message}")

    def agree(self, found: Numbers, wanted: Numbers, what: str, tolerance: float = TOLERANCE) -> None:
        """Compare tensors, or states of tensors, relative to their scale. Raises: AssertionError with both sides."""
        if isinstance(wanted, tuple):
            self.require(len(found) == len(wanted), f"{what}: expected {len(wanted)} tensors, found {len(found)}")
            for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
                self.agree(a, b, f"{what} {k}", tolerance)
            return
        assert isinstance(found, Tensor)
        shapes = tuple(found.shape), tuple(wanted.shape)
        self.require(shapes[0] == shapes[1], f"{what}: expected shape {shapes[1]}, found {shapes[0]}")
        if not wanted.numel():
            return
        apart = (found.detach() - wanted.detach()).abs()
        apart = torch.where(found.isnan() & wanted.isnan(), 0, apart).nan_to_num(float("inf"))
        allowed = tolerance * max(1.0, float(wanted.detach().abs().nan_to_num(1, 1, 1).max()))
        worst = tuple(int(i) for i in torch.unravel_index(apart.argmax(), apart.shape))
        self.require(
            float(apart.max()) <= allowed,
            f"{what}: expected {wanted[worst].item():.6g}, found {found[worst].item():.6g} at {list(worst)} of "
            f"{list(shapes[0])}, further apart than {allowed:.1g}",
        )

    def close(self, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], when: str) -> None:
        """Compare tensors by name; see `agree`."""
        for name, value in wanted.items():
            self.agree(found[name], value, f"{name} {when}")

    def finite(self, tensor: Tensor, what: str) -> None:
        bad = int((~tensor.isfinite()).sum())
        self.require(not bad, f"{what}: expected finite numbers, found {bad} of {tensor.numel()} NaN or infinite")

    def raises(self, what: str, function: Callable[[], object], *kinds: type[Exception]) -> str:
        """Call a function that must raise one of some errors. Returns the error's message."""
        try:
            function()
        except kinds as error:
            return str(error)
        names = " or ".join(kind.__name__ for kind in kinds)
        raise AssertionError(f"{self.name}: {what}: expected {names}, found none")

    def reached(self, name: str, parameter: nn.Parameter) -> None:
        """Demand that a parameter has a gradient, finite and not all zeros."""
        gradient = torch.zeros(1) if parameter.grad is None else parameter.grad
        self.require(bool(gradient.any()), f"{name}: expected a gradient, found none")
        self.finite(gradient, f"gradient of {name}")
