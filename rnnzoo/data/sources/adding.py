"""The adding problem."""

from __future__ import annotations

import hashlib

import numpy as np

from rnnzoo.data.base import PARTS, Columns
from rnnzoo.data.sources.memory import Memory


class Adding(Memory):
    """T steps of a random number and a mark: the answer is the sum of the two numbers that are marked.

    Each step is (u, m): u uniform in [0, 1]; m is 1 at two steps, one in each half of the sequence, else 0. To answer 1
    every time has a mean squared error of 1/6 = 0.167, the variance of the sum of two such numbers.
    Source: as in Arjovsky, Shah, Bengio, arXiv:1511.06464, and Le, Jaitly, Hinton, arXiv:1504.00941.
    """

    form = "measured_series"

    def read(self) -> dict[str, Columns]:
        found = {}
        for part in PARTS:
            values, target = self.drawn(part)
            found[part] = {"values": list(values), "target": target.tolist()}
        return found

    def drawn(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """values: (examples, T, 2) float32; target: (examples,) float32."""
        random, size, half = self.numbers(part), self.sizes()[part], self.steps // 2
        rows = np.arange(size)
        values = np.zeros((size, self.steps, 2), dtype=np.float32)
        for row in values:
            row[:, 0] = random.random_sample(self.steps)
        places = random.randint(0, half, size, np.int64), random.randint(half, self.steps, size, np.int64)
        for place in places:
            values[rows, place, 1] = 1
        return values, values[rows, places[0], 0] + values[rows, places[1], 0]

    def identity(self) -> dict[str, str | None]:
        digest = hashlib.sha256()
        for part in PARTS:
            for array in self.drawn(part):
                digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        return {"id": "rnnzoo/Adding", "revision": digest.hexdigest()[:16]}
