"""Nested brackets of several kinds: a test of whether a network keeps a stack."""

from __future__ import annotations

from random import Random
from typing import Annotated

from rnnzoo import Columns, Count, Embedded, Limit, Seed, checked

PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))


class Dyck(Embedded):
    """Strings of the Dyck language of `kinds` brackets, nested at most `depth` deep; the tag says what may close next.

        words   (  [  ]  {  }  )
        tags    )  ]  )  }  )  none

    A tag is the top of the stack after its bracket: the words before it tell it for certain, and no fixed number of
    neighbours does. All even lengths up to `longest` are alike frequent; no string is there twice.
    Source: Hewitt et al., "RNNs can generate bounded hierarchical languages with optimal memory", arXiv:2010.07515,
    whose language is this one. Differs: brackets open with probability 1/2 wherever both are allowed.
    """

    form = "tagged_text"

    @checked
    def __init__(
        self,
        examples: Count = 2000,
        seed: Seed = 0,
        kinds: Annotated[int, Limit(2, len(PAIRS))] = 3,
        depth: Annotated[int, Limit(2, 100)] = 4,
        longest: Annotated[int, Limit(20, 1000)] = 40,
    ) -> None:
        super().__init__(examples, seed)
        self.kinds, self.depth, self.longest = kinds, depth, longest

    def identity(self) -> dict[str, str | None]:
        return {**super().identity(), "id": "rnnzoo-dyck/Dyck"}

    def read(self) -> dict[str, Columns]:
        seen: set[tuple[str, ...]] = set()
        parts: dict[str, Columns] = {}
        for part, size in self.sizes().items():
            random = self.random(part)
            parts[part] = {"words": [], "tags": []}
            while len(parts[part]["words"]) < size:
                words, tags = self.drawn(random, 2 * random.randint(6, self.longest // 2))
                if tuple(words) not in seen:
                    seen.add(tuple(words))
                    parts[part]["words"].append(words)
                    parts[part]["tags"].append(tags)
        return parts

    def drawn(self, random: Random, length: int) -> tuple[list[str], list[str]]:
        """A string of that length and its tags."""
        words: list[str] = []
        tags: list[str] = []
        stack: list[str] = []
        while len(words) < length:
            may_open = len(stack) < self.depth and len(stack) < length - len(words)
            if not stack or (may_open and random.random() < 0.5):
                opening, closing = random.choice(PAIRS[: self.kinds])
                words.append(opening)
                stack.append(closing)
            else:
                words.append(stack.pop())
            tags.append(stack[-1] if stack else "none")
        return words, tags
