"""How far predicted tokens are from the true ones, in edits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


def edits(preds: Sequence[int], target: Sequence[int]) -> int:
    """The fewest insertions, deletions and substitutions of tokens that turn one into the other (Levenshtein, 1966)."""
    row = list(range(len(target) + 1))
    for number, token in enumerate(preds, start=1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(target, start=1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (token != other))
    return row[-1]


class TokenErrorRate(Metric):
    """Edits from predicted to true tokens, over the number of true ones; above 1 where many are predicted too much.

    NaN where there is no true token.
    """

    higher_is_better = False
    full_state_update = False
    statistic, columns = "ratio", ("edits", "tokens")
    edits: Tensor
    tokens: Tensor
    rows: Tensor  # (rows, 2) what each row of the last update added

    def __init__(self) -> None:
        super().__init__()
        self.add_state("edits", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("tokens", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Sequence[Sequence[int]], target: Sequence[Sequence[int]]) -> None:
        """preds, target: rows of tokens, (rows, tokens) of any lengths."""
        counts = [(edits(*pair), len(pair[1])) for pair in zip(preds, target, strict=True)]
        self.rows = torch.tensor(counts, dtype=torch.int64).reshape(-1, 2)
        self.edits += int(self.rows[:, 0].sum())
        self.tokens += int(self.rows[:, 1].sum())

    def compute(self) -> Tensor:
        return (self.edits / self.tokens).where(self.tokens > 0, torch.nan)
