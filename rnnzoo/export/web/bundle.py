"""Weights and their description as text of a page: float32, float16 or int8, compressed, in 91 characters."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rnnzoo.export.rounding import SMALL, eight_bits

Precision = Literal["float32", "float16", "float16, int8 embeddings", "int8"]
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "float16, int8 embeddings", "int8")
ALPHABET = bytes(code for code in range(0x21, 0x7F) if chr(code) not in "<>&")  # 91, of which HTML reads none as markup
BITS = 13  # in two characters: 91 * 91 is at least 2 ** 13


class Bundle:
    """Tensors in the order in which they were added, each rounded to the precision that is stored.

    `add` rounds the tensor that it is given in place, so that the model it belongs to computes what the page does.
    """

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.tensors: list[dict[str, Any]] = []
        self.stored: dict[str, int] = {}  # numbers by how they are stored
        self.rounds = False  # whether a tensor was not stored as it is
        self._pieces: list[bytes] = []
        self._numbers: dict[tuple[int, tuple[int, ...]], int] = {}
        self._size = 0
        self._alive: list[Tensor] = []

    @torch.no_grad()
    def add(self, tensor: Tensor, embedding: bool = False) -> int:
        """The number of a tensor in the bundle. embedding: whether only a few of its rows are read for a text."""
        key = (tensor.data_ptr(), tuple(tensor.shape))
        if key in self._numbers:
            return self._numbers[key]
        small = tensor.dim() < 2 or tensor.numel() < SMALL
        if (self.precision == "int8" or (embedding and "int8" in self.precision)) and not small:
            kind, data, rounded = _int8(tensor)
        else:
            half = tensor.half().float()
            exact = bool((half == tensor).all())
            if exact or (self.precision != "float32" and not small and bool(half.isfinite().all())):
                kind, data, rounded = "float16", _planes(tensor.half().cpu().numpy().view(np.uint8), 2), half
            else:
                kind, rounded = "float32", tensor.float()
                data = _planes(rounded.cpu().contiguous().numpy().view(np.uint8), 4)
        self.rounds |= not torch.equal(rounded, tensor)
        tensor.copy_(rounded)
        self.stored[kind] = self.stored.get(kind, 0) + tensor.numel()
        self.tensors.append({"type": kind, "shape": list(tensor.shape), "at": self._size})
        self._pieces.append(data)
        self._size += len(data)
        self._alive.append(tensor)
        self._numbers[key] = len(self.tensors) - 1
        return self._numbers[key]

    @property
    def least(self) -> float:
        """About how many characters its numbers take at least: learned ones are hardly compressed."""
        return 0.7 * self._size * 16 / BITS

    def text(self, description: dict[str, Any]) -> str:
        """The description, with its tensors, as one text."""
        head = json.dumps({**description, "tensors": self.tensors}, separators=(",", ":"), allow_nan=False).encode()
        whole = len(head).to_bytes(4, "little") + head + b"".join(self._pieces)
        return encoded(zlib.compress(whole, 6))


def _planes(data: np.ndarray, width: int) -> bytes:
    """Numbers of `width` bytes as all their highest bytes, then all the next ones: it compresses better."""
    return bytes(np.ascontiguousarray(data.reshape(-1, width)[:, ::-1].T))


def _int8(tensor: Tensor) -> tuple[str, bytes, Tensor]:
    """The scales of the rows, then the rows as whole numbers."""
    found = eight_bits(tensor)
    scales = _planes(found.scale.cpu().numpy().view(np.uint8), 4)
    return "int8", scales + found.whole.cpu().numpy().tobytes(), found.value


def encoded(data: bytes) -> str:
    """Bytes as characters of ALPHABET, 13 bits in two of them; the number of bytes stands before, with a blank."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    padded = np.zeros(math.ceil(len(bits) / BITS) * BITS, dtype=np.uint8)
    padded[: len(bits)] = bits
    numbers = padded.reshape(-1, BITS) @ (1 << np.arange(BITS))
    letters = np.frombuffer(ALPHABET, dtype=np.uint8)
    pairs = np.stack([letters[numbers % len(ALPHABET)], letters[numbers // len(ALPHABET)]], 1)
    return f"{len(data)} {pairs.tobytes().decode('ascii')}"
