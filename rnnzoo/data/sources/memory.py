"""Tests of memory over a given number of steps, made here: what a cell forgets on the way, it cannot answer.

Both are of Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, in the form that later
papers compare cells on. Examples are drawn as arrays, so that thousands of steps are made in seconds.
"""

import hashlib
from typing import Annotated, Any

import numpy as np

from rnnzoo.data.base import PARTS, Columns
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


class CopyMemory(Memory):
    """Ten symbols, T steps of nothing, then the ten symbols again from memory: a tag is asked for at every step.

    The words are ten symbols out of eight, T - 1 blanks, a sign to begin, and ten blanks; the tags are T + 10 blanks
    and the ten symbols. To know all but the symbols has a mean loss of 10 ln 8 / (T + 20) nats. Task `tagging` with
    `outside: blank` tells the share of symbols recalled beside the accuracy, which blanks dominate.
    Source: as in Arjovsky, Shah, Bengio, arXiv:1511.06464.
    """

    form = "tagged_text"
    symbols = tuple("abcdefgh")
    blank, sign = "blank", "go"
    count = 10

    def read(self) -> dict[str, Columns]:
        names = np.array([*self.symbols, self.blank, self.sign], dtype=object)
        blank, sign = len(self.symbols), len(self.symbols) + 1
        found: dict[str, Any] = {}
        seen: set[bytes] = set()
        for part, size in self.sizes().items():
            numbers = self.numbers(part)
            symbols = numbers.randint(0, len(self.symbols), (size, self.count), np.int64)
            for row in symbols:  # a chance repeat of an earlier part's is drawn again
                while row.tobytes() in seen:
                    row[:] = numbers.randint(0, len(self.symbols), self.count, np.int64)
            seen |= {row.tobytes() for row in symbols}
            words = np.full((size, self.steps + 2 * self.count), blank)
            tags = words.copy()
            words[:, : self.count] = tags[:, -self.count :] = symbols
            words[:, self.steps + self.count - 1] = sign
            found[part] = {"words": names[words].tolist(), "tags": names[tags].tolist()}
        return found
