"""Batches to measure a layer with: known sizes, sequences of equal or of ragged lengths."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

import torch

from rnnzoo.errors import ZooError, nearest


class Size(NamedTuple):
    """time: steps of equal sequences. median, longest: steps of ragged ones."""

    time: int
    batch: int
    input_size: int
    hidden_size: int
    median: int
    longest: int


SIZES = {
    "A": Size(200, 32, 128, 64, 174, 500),  # reviews
    "B200": Size(35, 20, 200, 200, 12, 35),  # language models
    "B650": Size(35, 20, 650, 650, 12, 35),
    "C": Size(32, 32, 128, 128, 12, 32),  # tagged sentences
}
SIGMA = math.sqrt(2 * math.log(234 / 174))  # of log-lengths: IMDB's mean is 234 words, its median 174


@dataclass(frozen=True)
class Case:
    """A batch for one layer. lengths: (batch,) steps of each sequence; all are padded to the longest."""

    size: str
    input_size: int
    hidden_size: int
    lengths: tuple[int, ...]
    bidirectional: bool

    @property
    def time(self) -> int:
        return max(self.lengths)

    @property
    def ragged(self) -> bool:
        return min(self.lengths) < self.time

    @property
    def valid(self) -> float:
        """The share of the padded batch that is not padding."""
        return sum(self.lengths) / (len(self.lengths) * self.time)


def make_case(size: str, ragged: bool, bidirectional: bool | None = None) -> Case:
    """A batch of a size; in both directions where ragged, if `bidirectional` is None. Raises: ZooError."""
    known = find_size(size)
    lengths = draw_lengths(known.batch, known.median, known.longest) if ragged else [known.time] * known.batch
    both = ragged if bidirectional is None else bidirectional
    return Case(size, known.input_size, known.hidden_size, tuple(lengths), both)


def find_size(text: str) -> Size:
    """A known size, or one given as TIMExBATCHxINPUTxHIDDEN. Raises: ZooError."""
    if text in SIZES:
        return SIZES[text]
    if re.fullmatch(r"[1-9]\d*(x[1-9]\d*){3}", text):
        time, batch, input_size, hidden_size = map(int, text.split("x"))
        return Size(time, batch, input_size, hidden_size, math.ceil(0.35 * time), time)
    match = nearest(text, SIZES)
    hint = f"\n  Did you mean '{match}'?" if match else ""
    raise ZooError(
        f"no size is named '{text}'.{hint}\n  Known: {', '.join(SIZES)}; or steps, batch, input and hidden size, as in "
        "50x8x16x32."
    )


def draw_lengths(batch: int, median: int, longest: int, seed: int = 0) -> list[int]:
    """Lognormal lengths as IMDB's are, at most `longest` and at least a fiftieth of that. The same for a seed."""
    normal = torch.randn(batch, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (median * torch.exp(SIGMA * normal)).round().long().clamp(max(1, longest // 50), longest).tolist()
