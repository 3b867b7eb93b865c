"""Small data sets that code makes: nothing to download, a second to make, the same for the same seed on any machine.

Each one is easy for a recurrent network and out of reach of a model that looks at single words or neighbours only, so
that a run of seconds shows whether a network remembers.
"""

from __future__ import annotations

import hashlib
import json
import math
from random import Random

from rnnzoo.data.base import Source
from rnnzoo.limits import Count, Seed, checked


class Embedded(Source):
    """A source that makes its examples: a training split, a dev split an eighth and a test split a quarter of its size.

    examples: of the training split (reviews, sentences, lines or pairs).
    seed: same seed, same examples, on every machine and version of Python.
    """

    @checked
    def __init__(self, examples: Count = 4000, seed: Seed = 0) -> None:
        self.examples, self.seed = examples, seed

    def sizes(self) -> dict[str, int]:
        """How many examples each split has."""
        return {"train": self.examples, "dev": math.ceil(self.examples / 8), "test": math.ceil(self.examples / 4)}

    def random(self, part: str) -> Random:
        """The split's own source of random numbers."""
        return Random(f"{type(self).__name__} {self.seed} {part}")

    def identity(self) -> dict[str, str | None]:
        """The name, and as the revision the checksum of every example."""
        content = hashlib.sha256(json.dumps(self.read()).encode()).hexdigest()
        return {"id": f"rnnzoo/{type(self).__name__}", "revision": content[:16]}


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())
