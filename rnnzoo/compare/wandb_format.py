"""The format of W&B's `.wandb` files: protobuf messages in a log of 32 KiB blocks, as LevelDB's.

A file of a stranger, or one that a crash cut short, gives the records that are whole. Only what a comparison needs is
decoded, with the field numbers of W&B's public `wandb_internal.proto`; unknown fields are skipped.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = 32768
HEADER = b":W&B"
HEADER_SIZE = 7
CHUNK = struct.Struct("<IHB")  # check sum, bytes, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
Fields = list[tuple[int, int | bytes]]  # of a message: number and value, in their order


@dataclass
class Log:
    """The records of a `.wandb` file. damage: where it is not whole, as part of a sentence; else ""."""

    data: bytes
    damage: str = ""

    def records(self) -> Iterator[bytes]:
        """Whole records, up to the end or the first damage, which `damage` then tells.

        Raises: ValueError for what is no `.wandb` file.
        """
        if self.data[:4] != HEADER:
            raise ValueError("it is no .wandb file")
        position = HEADER_SIZE
        parts: list[bytes] = []
        while position + CHUNK.size <= len(self.data):
            room = BLOCK - position % BLOCK
            if room < CHUNK.size:
                position += room
                continue
            expected, size, kind = CHUNK.unpack_from(self.data, position)
            start, position = position + CHUNK.size, position + CHUNK.size + size
            chunk = self.data[start:position]
            if len(chunk) < size:
                break
            if zlib.crc32(chunk, zlib.crc32(bytes([kind]))) != expected or not FULL <= kind <= LAST:
                self.damage = f"it is damaged at byte {start - CHUNK.size:,}"
                return
            if kind in (FULL, FIRST):
                parts = []
            parts.append(chunk)
            if kind in (FULL, LAST):
                yield b"".join(parts)
                parts = []
        if position < len(self.data) or position > len(self.data) or parts:
            self.damage = "it is cut short"


def fields(message: bytes) -> Fields:
    """A protobuf message as numbers and values. Raises: ValueError for bytes that are none."""
    found: Fields = []
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(message, position)
            found.append((number, value))
            continue
        if wire == 2:
            size, position = _varint(message, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire}")
        if position + size > len(message):
            raise ValueError("a field is longer than its message")
        found.append((number, message[position : position + size]))
        position += size
    return found


def inner(message: Fields, number: int) -> list[bytes]:
    """The values of a field that holds messages or text."""
    return [value for key, value in message if key == number and isinstance(value, bytes)]


def text(message: Fields, number: int) -> str:
    """The last value of a text field; "" if it has none."""
    return b"".join(inner(message, number)[-1:]).decode("utf-8", "replace")


def integer(message: Fields, number: int) -> int:
    """The last value of a number field; 0 if it has none, as protobuf has it."""
    return next((value for key, value in reversed(message) if key == number and isinstance(value, int)), 0)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise ValueError("a number is cut short")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number is too long")
