"""Strings of spoken digits, joined from recordings."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import numpy as np

from rnnzoo.data.base import PARTS, Columns
from rnnzoo.data.sources.spoken_digits import SpokenDigits
from rnnzoo.limits import Count, Fraction, Seed, checked

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class DigitStrings(SpokenDigits):
    """Strings of spoken digits, joined from recordings, and the words that they say: "seven three nine".

    A string has one speaker, 3 to 7 digits that are drawn alike, and a pause of 0 to 200 ms of silence between two. The
    strings of a split are made of its own recordings alone, so that nothing of the test split is heard before. The
    recordings and their splits: see `SpokenDigits`.

    examples: strings of the training split; the dev split has an eighth and the test split a quarter of their number.
    seed: same seed, same strings, on every machine.
    """

    form = "transcribed_sound"
    digits = (3, 7)
    pause = 0.2  # seconds, at most

    @checked
    def __init__(
        self, revision: str | None = None, dev_fraction: Fraction = 0.1, examples: Count = 4000, seed: Seed = 0
    ) -> None:
        super().__init__(revision, dev_fraction)
        self.examples, self.seed = examples, seed

    def parts(self, parts: Any) -> dict[str, Columns]:
        share = {"train": 1, "dev": 8, "test": 4}
        recordings = self.recordings(parts)
        return {part: self.strings(part, recordings[part], -(-self.examples // share[part])) for part in PARTS}

    def strings(self, part: str, recordings: Columns, count: int) -> Columns:
        """`count` strings of the given recordings."""
        digest = hashlib.sha256(f"DigitStrings {self.seed} {part}".encode()).digest()
        random = np.random.RandomState(np.frombuffer(digest, dtype="<u4"))
        said: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row, (speaker, label) in enumerate(zip(recordings["speaker"], recordings["label"], strict=True)):
            said[speaker][int(label)].append(row)
        found: Columns = {"sound": [], "rate": [], "text": []}
        for _ in range(count):
            own = said[sorted(said)[random.randint(len(said))]]
            length = random.randint(self.digits[0], self.digits[1] + 1)
            digits = [sorted(own)[random.randint(len(own))] for _ in range(length)]
            rows = [own[digit][random.randint(len(own[digit]))] for digit in digits]
            rate = recordings["rate"][rows[0]]
            pieces: list[np.ndarray] = []
            for row in rows:
                pause = random.randint(int(self.pause * rate) + 1) if pieces else 0
                pieces += [np.zeros(pause, dtype=np.float32), recordings["sound"][row]]
            found["sound"].append(np.concatenate(pieces))
            found["rate"].append(rate)
            found["text"].append(" ".join(WORDS[digit] for digit in digits))
        return found
