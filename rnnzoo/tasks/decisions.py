"""What a part of the data says of a task's classes: logits and targets for calibration, counts for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

MAX_NUMBERS = 2**23  # logits that are kept of a part of the data: 32 MiB


class Decisions(NamedTuple):
    """A batch's answers that choose among classes, each with the class that is true.

    rows: (answers,) int64, the row of the data that each is in. target: (answers,) class numbers; or (answers, classes)
    0 or 1 where each class is a yes or no of its own. logits: (answers, classes); None where answers have no
    probabilities of their own, as the tags of a CRF. chosen: what is answered, as `target`; None where it follows from
    the logits.
    """

    rows: Tensor
    target: Tensor
    logits: Tensor | None = None
    chosen: Tensor | None = None


class Kept:
    """Logits and targets of a part of the data, in bounded memory.

    Where there are too many, those of the rows whose numbers 2, 4, 8, ... divides are kept. Which these are depends on
    the number of logits alone, not on batches and not on their order.
    """

    def __init__(self) -> None:
        self.every = 1
        self.parts: list[Decisions] = []
        self._numbers = 0

    def add(self, decisions: Decisions) -> None:
        """Keep a batch's; nothing where it has no logits."""
        if decisions.logits is None:
            return
        part = _of_every(decisions, self.every)
        self._take(Decisions(part.rows, part.target.detach().cpu(), cast(Tensor, part.logits).detach().float().cpu()))
        while self._numbers > MAX_NUMBERS and self.every < 2**40:
            self._thin(2 * self.every)

    def _take(self, part: Decisions) -> None:
        self.parts.append(part)
        self._numbers += cast(Tensor, part.logits).numel()

    def _thin(self, every: int) -> None:
        parts, self.parts, self.every, self._numbers = self.parts, [], every, 0
        for part in parts:
            self._take(_of_every(part, every))

    @classmethod
    def merged(cls, several: Sequence[Kept]) -> Kept:
        """Those of several processes as one would have kept them."""
        merged = cls()
        merged.every = max(kept.every for kept in several)
        for kept in several:
            for part in kept.parts:
                merged.add(part)
        return merged

    def tensors(self) -> tuple[Tensor, Tensor] | None:
        """logits (answers, classes) and their target, in the order of rows; None where there are none."""
        if not self._numbers:
            return None
        order = torch.cat([part.rows for part in self.parts]).argsort(stable=True)
        logits = torch.cat([cast(Tensor, part.logits) for part in self.parts])
        return logits[order], torch.cat([part.target for part in self.parts])[order]


def _of_every(part: Decisions, every: int) -> Decisions:
    if every == 1:
        return part
    mine = part.rows % every == 0
    return Decisions(part.rows[mine], part.target[mine], cast(Tensor, part.logits)[mine])
