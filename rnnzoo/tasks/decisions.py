"""What a part of the data says of a task's classes: logits and targets for calibration, counts for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

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


class Counts:
    """How often each class is said and true, summed over batches: tp, fp and fn, each (classes,) int64."""

    def __init__(self, sums: Tensor | None = None) -> None:
        self.sums = sums

    def add(self, chosen: Tensor, target: Tensor, classes: int) -> None:
        """chosen, target: as `Decisions` has them."""
        if target.ndim == 1:
            named, true = (torch.arange(classes) == numbers.cpu()[:, None] for numbers in (chosen, target))
        else:
            named, true = (part.cpu().bool() for part in (chosen, target))
        counts = torch.stack([(named & true).sum(0), (named & ~true).sum(0), (true & ~named).sum(0)])
        self.sums = counts if self.sums is None else self.sums + counts

    @classmethod
    def merged(cls, several: Sequence[Counts]) -> Counts:
        sums = [counts.sums for counts in several if counts.sums is not None]
        return cls(torch.stack(sums).sum(0) if sums else None)

    def scores(self, names: Sequence[str]) -> dict[str, Any]:
        """JSON: precision, recall and F1 of each class, of all decisions (micro), and as means over the classes that
        are said or true (macro); support is how often a class is true. A quotient of nothing is 0.
        """
        if self.sums is None:
            return {}
        tp, fp, fn = self.sums.tolist()
        classes = {name: _scores(*counts) for name, *counts in zip(names, tp, fp, fn, strict=True)}
        seen = [own for own, *counts in zip(classes.values(), tp, fp, fn, strict=True) if sum(counts)]
        macro = {key: sum(own[key] for own in seen) / max(len(seen), 1) for key in ("precision", "recall", "f1")}
        return {"micro": _scores(sum(tp), sum(fp), sum(fn)), "macro": macro, "classes": classes}


def _scores(tp: int, fp: int, fn: int) -> dict[str, float]:
    return {
        "precision": tp / max(tp + fp, 1),
        "recall": tp / max(tp + fn, 1),
        "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "support": tp + fn,
    }


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
