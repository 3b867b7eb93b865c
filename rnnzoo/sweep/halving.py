"""Successive halving: all combinations train a little, the better ones go on. Jamieson, Talwalkar, arXiv:1502.07943.

Each run is planned for all of its epochs, is stopped when its dev curve is long enough, and goes on from its training
state if it is among the better ones. So its learning rates are those of a whole run, and a run that reaches the end
equals one that was never stopped. (Differs from the source, where budgets are of any kind, and from starting again
with more epochs, as Hyperband, arXiv:1603.06560, is often run: a schedule for few epochs chooses what suits few.)
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Rung(NamedTuple):
    """A stage: how many combinations are in it, and the epochs that each has when it ends; None for all of them."""

    combinations: int
    epochs: int | None


def rungs(combinations: int, max_epochs: int, factor: int, every: int = 1) -> list[Rung]:
    """The stages for so many combinations, from the first to that in which the last ones train to the end.

    factor: one in so many goes on, with so many times the epochs. every: epochs between two validations; a stage is at
    least as long.
    """
    stages = 0
    while factor ** (stages + 1) <= combinations and math.ceil(max_epochs / factor ** (stages + 1)) >= every:
        if math.ceil(max_epochs / factor ** (stages + 1)) == math.ceil(max_epochs / factor**stages):
            break
        stages += 1
    found = [
        Rung(max(1, combinations // factor**stage), math.ceil(max_epochs / factor ** (stages - stage)))
        for stage in range(stages)
    ]
    return [*found, Rung(max(1, combinations // factor**stages), None)]
