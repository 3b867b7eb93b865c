"""What every input is: the part of a model that reads one field of a batch."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from torch import Tensor, nn

from rnnzoo import registry
from rnnzoo.batch import Field
from rnnzoo.engine.sequences import Distinct

InputLike = Annotated[Any, registry.Part("inputs")]  # a name, {"name": ...}, a class, or an input that is built
TARGET = "target"  # the field that a decoder reads: the target, a step late


class Input(nn.Module):
    """Features of one field of a batch.

    `__init__(field, ...)` takes the field, which says what its numbers mean (`rnnzoo.batch.Field`), and the settings
    that a recipe gives under `model.inputs.FIELD`. It sets `output_size`, the features of a step.

    reads: the kinds of fields that it can read: "tokens", "values", "characters", "case", or "target", the previous
    targets that a decoder reads. An input of "target" is also given its `output_size`, which the decoder dictates.
    """

    reads: ClassVar[frozenset[str]]
    output_size: int

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time, ...), the field of a batch, 0 past the ends. Returns (batch, time, output_size)."""
        raise NotImplementedError

    def distinct(self, x: Tensor) -> Distinct | None:
        """The features of each symbol that occurs in x, where a step's depend on its symbol alone; else None."""
        return None


def make_input(part: InputLike, field: Field, kind: str | None = None, output_size: int | None = None) -> Input:
    """The input that `part` means, for a field. An input that is built already is taken as it is.

    kind: the registered name where `part` has settings only; the field's kind if None. output_size: for an input of
    "target". Raises: UnknownName, PluginError; ValueError or TypeError for wrong settings.
    """
    if isinstance(part, Input):
        return part
    dictated = {} if output_size is None else {"output_size": output_size}
    if isinstance(part, type):
        return part(field, **dictated)
    settings = {"name": part} if isinstance(part, str) else dict(part or {})
    return registry.build("inputs", {"name": kind or field.kind, **settings}, field, **dictated)
