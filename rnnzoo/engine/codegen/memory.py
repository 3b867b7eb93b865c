"""What the memory of tensors holds while a step is traced: for each number its value, row and channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnzoo.engine.codegen.graph import Graph, Scalar, Value
from rnnzoo.engine.codegen.ir import Untraceable

MOST = 64  # vectors of a cell that its step may read
NOT_SUMMED, OVER_ROWS, OVER_ALL = 0, 1, 2


class Entry(NamedTuple):
    """What a block of memory holds. summed: over nothing, over rows, or over rows and channels.

    A sum over rows is left to the end: what follows it in a gradient is linear in it, and the same for all rows.
    """

    value: Scalar
    summed: int = NOT_SUMMED


class Blocks(NamedTuple):
    """A tensor as blocks of hidden_size numbers, or of one: in order, and which of its axes is that of the rows."""

    entries: list[Entry]
    axis: int | None


class Memory:
    """A label for each number of each storage, that of a view being the same label under other strides.

    A label is `entry * span + row * (size + 1) + channel`, rows and channels counted from 1, 0 where a number is the
    same for all of them. size: the cell's hidden_size. rows: of the example tensors.
    """

    def __init__(self, graph: Graph, size: int, rows: int) -> None:
        self.graph, self.size, self.rows = graph, size, rows
        self.differentiating = False  # then sums over rows are allowed
        self.owners: dict[int, str] = {}  # by storage: whose the tensor is that a step must not change
        self._entries: list[Entry] = []
        self._numbers: dict[Entry, int] = {}
        self._labels: dict[int, Tensor] = {}  # by storage
        self._alive: list[Tensor] = []  # no other tensor can come to lie in the place of these
        self._span = (rows + 1) * (size + 1)
        self._row_codes = torch.arange(1, rows + 1) * (size + 1)
        self._channel_codes = torch.arange(1, size + 1)

    # -- what is there before the step

    def adopt(self, name: str, tensor: Tensor) -> None:
        """A parameter or buffer of the cell: an input for each lane of it, unless it is of a kind that has none."""
        self._alive.append(tensor)
        self.owners[storage_of(tensor)] = f"'{name}' of the cell"
        count = tensor.numel()
        lanes = count == 1 or (count % self.size == 0 and count <= MOST * self.size)
        if tensor.dtype != torch.float32 or not lanes:
            return
        entries = [Entry(self.graph.value("input", f"{name}.{k}")) for k in range(max(1, count // self.size))]
        if count == 1:
            self._labels[storage_of(tensor)] = torch.full((1,), self.code(entries[0]))
        else:
            codes = torch.tensor([self.code(entry) for entry in entries])
            self._labels[storage_of(tensor)] = (codes[:, None] + self._channel_codes).flatten()

    def give(self, value: Value, tensor: Tensor) -> None:
        """An argument of the step, (rows, hidden_size)."""
        self.owners[storage_of(tensor)] = "what it is given"
        self.write(tensor, Blocks([Entry(value)], 0))

    # -- labels

    def code(self, entry: Entry) -> int:
        """The label of an entry that is the same for all rows and channels."""
        # a constant's text in the place of its value: as keys 0.0 and -0.0 are one, and NaN is none
        key = entry if isinstance(entry.value, Value) else Entry(repr(entry.value), entry.summed)  # type: ignore[arg-type]
        if key not in self._numbers:
            self._numbers[key] = len(self._entries)
            self._entries.append(entry)
        return self._numbers[key] * self._span

    def labels(self, tensor: Tensor, operator: str) -> Tensor:
        """The labels of a tensor's numbers, in its shape. Raises: Untraceable for a tensor of unknown origin."""
        storage = storage_of(tensor)
        if storage not in self._labels:
            owner = self.owners.get(storage, "a tensor that is neither a parameter nor a buffer of the cell")
            shape = f"{tensor.dtype} {tuple(tensor.shape)}".replace("torch.", "")
            raise Untraceable(f"update uses '{operator}' on {owner}, {shape}")
        return self._labels[storage].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def new_labels(self, tensor: Tensor) -> Tensor:
        """A view of the labels of a tensor's numbers, to write to; made if they are not there."""
        self._alive.append(tensor)
        storage = storage_of(tensor)
        if storage not in self._labels:
            self._labels[storage] = torch.zeros(_numbers_in(tensor), dtype=torch.int64)
        return self._labels[storage].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def fill_storage(self, tensor: Tensor, entry: Entry) -> None:
        """All memory of a new tensor holds this entry."""
        self._alive.append(tensor)
        self._labels[storage_of(tensor)] = torch.full((_numbers_in(tensor),), self.code(entry))

    # -- blocks

    def read(self, tensors: Sequence[Tensor], operator: str, shape: torch.Size) -> list[Blocks]:
        """Tensors, broadcast to a shape, as blocks. Raises: Untraceable where their rows or channels do not match."""
        labels = [self.labels(tensor, operator).expand(shape) for tensor in tensors]
        axes = {self._row_axis(one, operator) for one in labels} - {None}
        if len(axes) > 1:
            raise Untraceable(f"update uses '{operator}' across sequences")
        axis = next(iter(axes), None)
        if axis is None and self.differentiating and operator == "sum" and shape[:1] == (self.rows,):
            axis = 0  # the same number in every row
        return [self._blocks(one, axis, operator) for one in labels]

    def lanes(self, tensor: Tensor, name: str) -> list[Scalar]:
        """The values of a tensor, lane by lane."""
        return [entry.value for entry in self.read([tensor], name, tensor.shape)[0].entries]

    def write(self, tensor: Tensor, blocks: Blocks) -> None:
        """Fill a tensor, which may be a view, with blocks."""
        labels = self.new_labels(tensor)
        if not labels.numel():
            return
        lead = list(tensor.shape)
        if blocks.axis is not None:
            lead.pop(blocks.axis)
        last_is_rows = blocks.axis == tensor.dim() - 1
        width = lead[-1] if lead and not last_is_rows else 1
        codes = torch.tensor([self.code(entry) for entry in blocks.entries])
        if width % self.size == 0:
            filled = (codes[:, None] + self._channel_codes).reshape(lead)
        else:
            filled = codes[:, None].expand(-1, width).reshape(lead)
        if blocks.axis is not None:
            row_codes = self._row_codes.view(-1, *[1] * (tensor.dim() - 1 - blocks.axis))
            filled = filled.unsqueeze(blocks.axis) + row_codes
        labels.copy_(filled)

    def _row_axis(self, labels: Tensor, operator: str) -> int | None:
        """Which axis is that of the rows, if any is."""
        row = labels % self._span // (self.size + 1)
        if not bool(row.any()):
            return None
        for axis, length in enumerate(labels.shape):
            codes = torch.arange(1, length + 1).view(-1, *[1] * (labels.dim() - 1 - axis))
            if length == self.rows and bool(((row == codes) | (row == 0)).all()):
                return axis
        raise Untraceable(f"update uses '{operator}' across sequences")

    def _blocks(self, labels: Tensor, axis: int | None, operator: str) -> Blocks:
        number, channel = labels // self._span, labels % self._span % (self.size + 1)
        if axis is not None:
            if not bool((number == number.select(axis, 0).unsqueeze(axis)).all()):
                raise Untraceable(f"update uses '{operator}' across sequences")
            number, channel = number.select(axis, 0), channel.select(axis, 0)
        width = number.shape[-1] if number.dim() and axis != labels.dim() - 1 else 1
        if width % self.size == 0 and width:
            number, channel = number.reshape(-1, self.size), channel.reshape(-1, self.size)
            in_line = bool(((channel == self._channel_codes) | (channel == 0)).all())
            if not in_line or not bool((number == number[:, :1]).all()):
                raise Untraceable(f"update uses '{operator}' across channels")
        else:
            if bool(channel.any()):
                raise Untraceable(f"update uses '{operator}' across channels")
            number = number.reshape(-1, width)
            if not bool((number == number[:, :1]).all()):
                raise Untraceable(f"update uses '{operator}', which is not elementwise")
        return Blocks([self._entries[k] for k in number[:, 0].tolist()], axis)


def storage_of(tensor: Tensor) -> int:
    """What identifies the memory of a tensor."""
    return tensor.untyped_storage()._cdata


def _numbers_in(tensor: Tensor) -> int:
    """How many numbers the whole storage of a tensor holds."""
    return tensor.untyped_storage().nbytes() // tensor.itemsize
