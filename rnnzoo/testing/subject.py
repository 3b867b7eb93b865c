"""A part under test: how it is named and made, and how what it gives is compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from rnnzoo import registry
from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE
from rnnzoo.recipe.schema import signature
from rnnzoo.testing import cells
from rnnzoo.testing.base import NotApplicable

ANSWERS = frozenset({ONE, EACH, CAUSAL, SEQUENCE})


class Subject(cells.Subject):
    """A part under test: how it is named and made, and how what it gives is compared."""

    kind: str
    given: frozenset[str]  # constructor arguments that a recipe does not set

    def __init__(self, part: Any) -> None:
        self.parameters = {k: v for k, v in part.items() if k != "name"} if isinstance(part, Mapping) else {}
        self.part = part["name"] if isinstance(part, Mapping) else part
        inside = ", ".join(f"{key}={value}" for key, value in self.parameters.items())
        plain = self.part if isinstance(self.part, str) else self.part.__qualname__
        self.name = plain + (f"({inside})" if inside else "")
        self.maker = registry.load(self.kind, self.part) if isinstance(self.part, str) else self.part

    @cached_property
    def signature(self) -> dict[str, Any]:
        return signature(self.maker, self.given)

    @property
    def registered(self) -> str:
        """The name in recipes. Raises: NotApplicable for a class that is not registered."""
        if not isinstance(self.part, str):
            raise NotApplicable("not registered, so no recipe can name it")
        return self.part

    def raises(self, what: str, function: Callable[[], Any], *kinds: type[Exception]) -> str:
        """The message of the error that is due."""
        try:
            function()
        except kinds as error:
            return str(error)
        names = " or ".join(kind.__name__ for kind in kinds)
        raise AssertionError(f"{self.name}: {what}: expected {names}, found none")

    def reached(self, name: str, parameter: nn.Parameter) -> None:
        """A gradient, finite and not all zeros, must have come to a parameter."""
        gradient = torch.zeros(1) if parameter.grad is None else parameter.grad
        self.require(bool(gradient.any()), f"{name}: expected a gradient, found none")
        self.finite(gradient, f"gradient of {name}")

    def close(self, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], when: str) -> None:
        """Compare tensors by name."""
        for name, value in wanted.items():
            self.agree(found[name], value, f"{name} {when}")


def check_builds_from_json(subject: Subject) -> str:
    """Every parameter is plain data with a default: a recipe can build the part."""
    lacking = [name for name, p in subject.signature.items() if p.required and name not in subject.parameters]
    subject.require(not lacking, f"expected a default for every parameter, found none for {', '.join(lacking)}")
    given = {name: p.default for name, p in subject.signature.items() if not p.required}
    json.dumps(given, allow_nan=False)
    return f"parameters: {', '.join(subject.signature) or 'none'}"
