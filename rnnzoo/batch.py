"""What data hands to models and tasks: one batch of sequences, and the plain description of the data it is from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

PAD, UNK, BOS, EOS = range(4)
SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")  # the first ids of every vocabulary
IGNORE = -100  # a target that no loss and no metric counts


@dataclass(frozen=True)
class Field:
    """One input or target: what it holds, and what its numbers mean.

    kind: "tokens" (names = the vocabulary, in id order), "label", "labels" or "tags" (names = the labels), "values"
    (size = features a step, or numbers in a target), "characters" (names = the letters), "case" (names = the shapes).
    options: JSON settings of the encoder that made the ids, so that it can be made again. counts: how often each of
    the names occurs in training, where a part asks for it.
    """

    kind: str
    names: tuple[str, ...] = ()
    size: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.names:
            object.__setattr__(self, "size", len(self.names))


@dataclass(frozen=True)
class DataSpec:
    """The data as a model sees it: the form of an example, its named inputs and its target. Plain JSON."""

    form: str
    inputs: dict[str, Field]
    target: Field

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the target's classes."""
        return self.target.names

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DataSpec:
        """Raises: KeyError, TypeError for what `to_json` does not give."""

        def make(item: dict[str, Any]) -> Field:
            field = Field(
                item["kind"], tuple(item["names"]), item["size"], item["options"], tuple(item.get("counts", ()))
            )
            if not all(isinstance(name, str) for name in field.names):
                raise TypeError("a name is not a text")
            if not all(type(number) is int for number in (field.size, *field.counts)):
                raise TypeError("a size or a count is not a whole number")
            return field

        return cls(data["form"], {name: make(item) for name, item in data["inputs"].items()}, make(data["target"]))


@dataclass
class Batch:
    """Sequences of one batch, padded at the end.

    inputs: by name, "tokens" (batch, time) int64, "values" (batch, time, features), "characters" (batch, time, letters)
    int64 or "case" (batch, time) int64.
    lengths: (batch,) int64, on the CPU whatever the device of the rest; 0 <= length <= time.
    target: what the task asks for: (batch,) or (batch, time) int64, IGNORE where nothing is asked, or numbers (batch,
    targets).
    target_lengths: (batch,) int64 on the CPU, where the target is a sequence of its own.
    index: (batch,) int64 on the CPU, the examples' row numbers.
    fresh: False if every row continues the same row of the batch before (carried state).
    references: one text a row, the target as it was written, for a metric that compares texts.
    starts: (batch,) int64 on the CPU, where in a stream each row begins, in steps; None where rows are examples.
    """

    inputs: dict[str, Tensor]
    lengths: Tensor
    target: Tensor = None  # type: ignore[assignment]  # None where nothing is asked: in prediction
    target_lengths: Tensor = None  # type: ignore[assignment]
    index: Tensor | None = None
    fresh: bool = True
    references: list[str] | None = None
    starts: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        """Steps that are not padding."""
        return int(self.lengths.sum())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The batch with its tensors on `device`; lengths and row numbers stay on the CPU."""
        return Batch(
            {name: tensor.to(device, non_blocking=non_blocking) for name, tensor in self.inputs.items()},
            self.lengths,
            self.target if self.target is None else self.target.to(device, non_blocking=non_blocking),
            self.target_lengths,
            self.index,
            self.fresh,
            self.references,
            self.starts,
        )
