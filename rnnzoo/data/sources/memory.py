"""Tests of memory over a chosen number of steps, made in code: what a cell forgets on the way, it cannot answer.

Both are of Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, in the form that later
papers compare cells on. Examples are drawn as arrays, so that thousands of steps are made in seconds.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import numpy as np

from rnnzoo.data.sources.embedded import Embedded
from rnnzoo.limits import Count, Limit, Seed, checked


class Memory(Embedded):
    """Examples that are as many steps long as is asked.

    steps: T, over which something is to be remembered. The others: see `Embedded`.
    """

    @checked
    def __init__(
        self, examples: Count = 20_000, seed: Seed = 0, steps: Annotated[int, Limit(2, 1_000_000)] = 100
    ) -> None:
        super().__init__(examples, seed)
        self.steps = steps

    def numbers(self, part: str) -> np.random.RandomState:
        """The part's own random numbers, of the one generator in numpy whose numbers never change."""
        seed = hashlib.sha256(f"{type(self).__name__} {self.seed} {part}".encode()).digest()
        return np.random.RandomState(np.frombuffer(seed, dtype="<u4"))
