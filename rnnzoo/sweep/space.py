"""What a sweep varies: by key a list of values or a range, and combinations of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from rnnzoo.recipe import Node

Settings = dict[str, Node]  # by dotted key, one value; each knows where its key was written
SIGNIFICANT = 4  # digits of a number that is drawn: more say nothing, and cannot be read
RANGE_KEYS = ("low", "high", "scale")


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Node, ...]

    @property
    def ends(self) -> tuple[Node, ...]:
        """Values that show whether all of them can be right."""
        return self.values

    def draw(self, random: Random) -> Node:
        return random.choice(self.values)


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both of them among the draws; log: drawn evenly in its logarithm."""

    at: Node
    low: float
    high: float
    log: bool
    whole: bool

    @property
    def ends(self) -> tuple[Node, ...]:
        return self.node(self.low), self.node(self.high)

    def draw(self, random: Random) -> Node:
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            low, high = math.log(low if low > 0 else self.low), math.log(high)
        value = random.uniform(low, high)
        return self.node(math.exp(value) if self.log else value)

    def node(self, value: float) -> Node:
        """A number of the range as the value of its key, to `SIGNIFICANT` digits."""
        value = round(value) if self.whole else float(f"{value:.{SIGNIFICANT}g}")
        value = min(max(value, self.low), self.high)
        value = int(value) if self.whole else float(value)
        return Node(value, self.at.where, str(value))


Dimension = Choice | Range
Space = Mapping[str, Dimension]


def size(space: Space) -> int | None:
    """How many combinations there are; None where a range has them without end."""
    counts = [len(d.values) if isinstance(d, Choice) else None for d in space.values()]
    return None if None in counts else math.prod(count or 0 for count in counts)


def grid(space: Mapping[str, Choice]) -> Iterator[Settings]:
    """Every combination; the last key changes fastest."""
    for values in itertools.product(*(choice.values for choice in space.values())):
        yield dict(zip(space, values, strict=True))


def draws(space: Space, seed: int) -> Iterator[Settings]:
    """Combinations without end, each drawn after the one before: more of them begin with the same."""
    random = Random(seed)
    while True:
        yield {key: dimension.draw(random) for key, dimension in space.items()}


def corners(space: Space) -> Iterator[Settings]:
    """Combinations in which each value and each end of a range is met once."""
    first = {key: dimension.ends[0] for key, dimension in space.items()}
    yield first
    for key, dimension in space.items():
        for value in dimension.ends[1:]:
            yield {**first, key: value}


Scale = Literal["linear", "log"]
