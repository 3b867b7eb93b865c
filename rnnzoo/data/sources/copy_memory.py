"""The copying problem."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.memory import Memory


class CopyMemory(Memory):
    """Ten symbols, T steps of nothing, then the ten symbols again from memory: a tag is asked for at every step.

    The words are ten symbols out of eight, T - 1 blanks, a sign to begin, and ten blanks; the tags are T + 10 blanks
    and the ten symbols. To know all but the symbols has a mean loss of 10 ln 8 / (T + 20) nats. Task `tagging` with
    `outside: blank` reports the share of symbols recalled beside the accuracy, which blanks dominate.
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
