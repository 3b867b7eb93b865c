"""Weights as text of a C file: five characters for every four bytes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rnnzoo.export.rounding import Rounded

ALPHABET = bytes(code for code in range(0x21, 0x7F) if chr(code) not in '"\\?%&<>/')[:85]  # no trigraph, no escape
PIECE = 800  # words of four bytes a literal: 4,000 characters, of which every C99 compiler takes 4,095


class Weights:
    """Tensors in the order in which they were added, by number; each is stored once.

    rounded: what is stored in 8 bits, by the tensor's place in memory.
    """

    def __init__(self, rounded: Rounded | None = None) -> None:
        self.shapes: list[tuple[int, int, int]] = []  # rows, columns, bits
        self.rounded = rounded or {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self._alive: list[Tensor] = []
        self._pieces: list[bytes] = []

    def add(self, tensor: Tensor, embedding: bool = False) -> int:
        """The number of a tensor. embedding: of no matter here."""
        tensor = tensor.detach()
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.storage_offset())
        if key in self._numbers:
            return self._numbers[key]
        rows = tensor.shape[0] if tensor.dim() else 1
        columns = tensor.numel() // max(rows, 1)
        whole = self.rounded.get(tensor.data_ptr()) if tensor.dim() > 1 else None
        if whole is None:
            self.shapes.append((rows, columns, 32))
            self._pieces.append(tensor.float().contiguous().numpy().astype("<f4").tobytes())
        else:
            self.shapes.append((rows, columns, 8))
            shifted = (whole.whole.to(torch.int16) + 128).to(torch.uint8).numpy().tobytes()
            self._pieces.append(whole.scale.float().numpy().astype("<f4").tobytes() + _filled(shifted))
        self._alive.append(tensor)
        self._numbers[key] = len(self.shapes) - 1
        return self._numbers[key]

    def literals(self) -> list[str]:
        """The text of all tensors, in pieces."""
        words = np.frombuffer(b"".join(self._pieces), dtype="<u4").astype(np.int64)
        letters = np.frombuffer(ALPHABET, dtype=np.uint8)
        text = np.stack([letters[words // 85**k % 85] for k in (4, 3, 2, 1, 0)], 1)
        return [text[start : start + PIECE].tobytes().decode("ascii") for start in range(0, len(text), PIECE)]


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
