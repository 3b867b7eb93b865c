"""The architecture under test: how it is made, what it is run on, and all that it answers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE, Architecture
from rnnzoo.architectures.segment import Segment
from rnnzoo.recipe.schema import part_kind
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.subject import Subject

ANSWERS = frozenset({ONE, EACH, CAUSAL, SEQUENCE})
INPUT, HIDDEN = 5, 4
LENGTHS = (3, 7, 0, 1, 7, 5)  # steps
TIME = 8  # steps with padding


class ArchitectureSubject(Subject):
    kind = "architectures"

    @property
    def cells(self) -> list[str]:
        """The parameters that take a cell. Raises: NotApplicable if there is none."""
        found = [name for name, p in self.signature.items() if part_kind(p.annotated) == "cells"]
        if not found:
            raise NotApplicable("no parameter takes a cell")
        return found

    @property
    def answers(self) -> frozenset[str]:
        return self.maker.answers(**self.parameters)

    def network(self, cell: Any = None, seed: int = 1) -> Architecture:
        """The architecture, small, in evaluation mode; its cells as they are given, or by default."""
        small = {"hidden_size": HIDDEN} if "hidden_size" in self.signature else {}
        chosen = {} if cell is None else dict.fromkeys(self.cells, cell)
        torch.manual_seed(seed)
        return self.maker(INPUT, **(small | self.parameters | chosen)).eval()


def batch_of(lengths: tuple[int, ...] = LENGTHS, time: int = TIME) -> tuple[Tensor, Tensor]:
    """Random x (batch, time, features), and lengths (batch,)."""
    return torch.randn(len(lengths), time, INPUT), torch.tensor(lengths)


def answer(network: Architecture, x: Tensor, lengths: Tensor | None = None, state: Any = None) -> dict[str, Tensor]:
    """All that an architecture says of a batch, by name; the batch comes first in each."""
    encoded = network(x, lengths, state)
    found = {"outputs": encoded.outputs, "last": encoded.last}
    decoder = network.target_decoder()
    if decoder is not None:
        found["decoded"] = decoder.decode(x.new_ones(len(x), 3, decoder.input_size), decoder.start(encoded)).features
    if isinstance(network, Segment):
        found["ahead"] = network.ahead(x.new_ones(len(x), 3, network.query_size), encoded.state or [])
    states = (tensor for layer in encoded.state or () for tensor in layer)
    return found | {f"state {k}": tensor for k, tensor in enumerate(states)}


def spread(tensor: Tensor) -> Tensor:
    """A sum with another weight for each number."""
    return (tensor * torch.linspace(0.5, 1.5, tensor.numel()).view_as(tensor)).sum()
