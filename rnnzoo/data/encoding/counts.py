"""How often tokens occur in a text of any length, counted in bounded memory.

Source: Manku, Motwani, "Approximate Frequency Counts over Data Streams", VLDB 2002.
Differs: rare tokens are dropped when there are too many, and not after a fixed number of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

MOST = 2_000_000  # distinct tokens that are counted at a time: some 300 MB


class Counts:
    """Tokens and how often each occurs. Exact as long as there are `most` distinct ones or fewer.

    above that the rarest ones are dropped until half are left, and counted anew where they come again.
    most: None for any number. short: by how much a count may be too small, at most; 0 where all are exact.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most, self.short = most, 0
        self.of: dict[str, int] = {}

    def add(self, tokens: Iterable[str], counts: Iterable[int]) -> None:
        """Count each token so many times more."""
        of = self.of
        for token, count in zip(tokens, counts, strict=True):
            of[token] = of.get(token, 0) + count
        if self.most is not None and len(of) > self.most:
            self._drop()

    def _drop(self) -> None:
        assert self.most is not None
        numbers = np.fromiter(self.of.values(), np.int64, len(self.of))
        least = int(np.partition(numbers, len(numbers) - self.most // 2)[len(numbers) - self.most // 2])
        self.short += least
        self.of = {token: count for token, count in self.of.items() if count > least}
