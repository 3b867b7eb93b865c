"""A part of the data encoded chunk by chunk: what a store on the disk keeps of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from rnnzoo.data.encoding.text import Ragged

Kept = np.ndarray | Ragged | Sequence[str]  # numbers, rows of numbers, or texts


class Packing:
    """Encodes a part's chunks in order. `encode` gives of each what is kept, by name: always the same names.

    truncated, notes: of all chunks so far, as `Examples` has them.
    """

    truncated: int = 0
    notes: Mapping[str, object] = MappingProxyType({})

    def __init__(self, encode: Callable[[dict[str, list[Any]]], dict[str, Kept]]) -> None:
        self._encode = encode

    def add(self, columns: dict[str, list[Any]]) -> dict[str, Kept]:
        """What is kept of the next chunk, to follow what was kept before. Raises: DataError, naming the chunk's row."""
        return self._encode(columns)

    def end(self) -> dict[str, Kept]:
        """What is kept beside that, of the part as a whole."""
        return {}
