"""What a tested batch says of each of its units: the counts that they add to each metric, and texts to show them by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnzoo.batch import Batch, DataSpec


class Counted(NamedTuple):
    """What each unit adds to one metric.

    statistic: a name in `rnnzoo.runs.statistics.STATISTICS`: how the value follows from the sums. columns: what is
    counted, as "correct". values: (units, columns).
    """

    statistic: str
    columns: tuple[str, ...]
    values: Tensor


class Update(NamedTuple):
    """A metric of torchmetrics, and the arguments of its last `update`."""

    metric: Any
    arguments: tuple[Any, ...]


SHOWN = 20  # numbers of a row that are told
Updates = Mapping[str, Update]  # by the metric's name


@dataclass
class Units:
    """The units of one batch: examples, sentences, or stretches of a stream.

    ids: (units,) int64 on the CPU, each unit's place in the part of the data, whatever batch it came in. One may be
    there twice, where a batch ends within it: then what is counted is added. confidence: (units,), 0 to 1. history,
    low, high: of a forecast, the numbers before it, and the ends of the interval that it tells. glue: what stands
    between the texts of two pieces of one unit.
    """

    ids: Tensor
    metrics: dict[str, Counted] = field(default_factory=dict)
    input: list[str] | None = None
    truth: list[str] | None = None
    prediction: list[str] | None = None
    history: list[str] | None = None
    low: list[str] | None = None
    high: list[str] | None = None
    confidence: Tensor | None = None
    glue: str = " "


def ratio(totals: Tensor, numbers: Tensor, what: tuple[str, str], statistic: str = "ratio") -> Counted:
    """A total over a number. totals, numbers: (units,)."""
    return Counted(statistic, what, torch.stack([totals.float(), numbers.to(totals.device).float()], 1))


def vocabulary(spec: DataSpec) -> str:
    """Which tokens a likelihood is of, for the signature of a metric: "vocabulary 1f2e3d4c, 10,000 tokens"."""
    names = spec.target.names
    return f"vocabulary {hashlib.sha256(json.dumps(names).encode()).hexdigest()[:8]}, {len(names):,} tokens"


def numbers(rows: Tensor) -> list[str]:
    """The numbers of each row as a text, the first few of many."""
    return [" ".join(f"{number:.4g}" for number in row) for row in rows.float().flatten(1)[:, :SHOWN].tolist()]


def row_sums(values: Tensor, asked: Tensor) -> Tensor:
    """The sum of each row. values: one for each True of `asked`, (batch, time) bool, row after row."""
    places = torch.zeros(asked.shape, dtype=torch.float32, device=values.device)
    return places.masked_scatter(asked.to(values.device), values.float()).sum(1)


class Stretches:
    """The tokens of a stream's batch by the stretch of the stream that they are in, so many tokens each.

    ids: (stretches,) int64, those that the batch has tokens of.
    """

    def __init__(self, batch: Batch, tokens: int) -> None:
        starts = torch.zeros(len(batch), dtype=torch.int64) if batch.starts is None else batch.starts
        places = starts[:, None] + torch.arange(batch.target.shape[1])
        self.real = torch.arange(batch.target.shape[1]) < batch.lengths[:, None]  # (batch, time)
        self.ids, self.of = (places[self.real] // tokens).unique(return_inverse=True)

    def sums(self, values: Tensor) -> Tensor:
        """values: (batch, time). Returns (stretches,) on the CPU."""
        return torch.zeros(len(self.ids)).index_add(0, self.of, values.float().cpu()[self.real])

    def texts(self, tokens: Tensor) -> list[list[int]]:
        """tokens: (batch, time). Returns those of each stretch, in order."""
        order = self.of.argsort(stable=True)
        sizes = self.of.bincount(minlength=len(self.ids)).tolist()
        return [part.tolist() for part in tokens.cpu()[self.real][order].split(sizes)]
