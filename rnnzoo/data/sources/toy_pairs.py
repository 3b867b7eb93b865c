"""Toy pairs: strings of letters and their copies or reverses."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Annotated, Literal, get_args

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.embedded import Embedded
from rnnzoo.errors import unknown
from rnnzoo.limits import Count, Limit, Seed, checked

Operation = Literal["copy", "reverse"]


class ToyPairs(Embedded):
    """Strings of letters and their copies or reverses: "c a b" and "b a c". No string is there twice.

    operation: what the target is. longest: letters of the longest source; the shortest has 2, all lengths are alike
    frequent until the short strings are used up. letters: size of the alphabet.
    """

    form = "text_pairs"

    @checked
    def __init__(
        self,
        examples: Count = 4000,
        seed: Seed = 0,
        operation: Operation = "reverse",
        longest: Annotated[int, Limit(2, 1000)] = 8,
        letters: Annotated[int, Limit(2, len(ascii_lowercase))] = 10,
    ) -> None:
        super().__init__(examples, seed)
        if operation not in get_args(Operation):
            raise ValueError(unknown("no operation is named", str(operation), get_args(Operation)))
        wanted, most = sum(self.sizes().values()), letters**longest // 2
        if wanted > most:
            raise ValueError(
                f"{letters} letters in strings of up to {longest} give too few strings for examples={examples}.\n"
                f"  Wanted for the three parts: {wanted}; to be had: {most}. Raise letters or longest."
            )
        self.operation, self.longest, self.letters = operation, longest, letters

    def read(self) -> dict[str, Columns]:
        random, sizes = self.random("strings"), self.sizes()
        strings: dict[str, None] = {}  # a set in order
        while len(strings) < sum(sizes.values()):
            length = random.randint(2, self.longest)
            strings[" ".join(random.choices(ascii_lowercase[: self.letters], k=length))] = None
        drawn = list(strings)
        random.shuffle(drawn)  # short strings, used up early, come in all parts
        parts = {}
        for part, size in sizes.items():
            sources, drawn = drawn[:size], drawn[size:]
            reverse = self.operation == "reverse"
            parts[part] = {"source": sources, "target": [text[::-1] if reverse else text for text in sources]}
        return parts
