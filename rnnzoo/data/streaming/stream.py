"""The rows of a data set, some at a time, as often as they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from rnnzoo.system.files import JsonObject

ROWS, CHARACTERS = 10_000, 2**22  # of a chunk, at most, but for a single row that is longer
Chunk = dict[str, list[Any]]  # column name -> one value per row


class Stream(ABC):
    """Where the rows of each part come from. parts: of "train", "dev" and "test", those that there are.

    All chunks of a part are its rows in order, the same at each reading. Raises: DataError.
    """

    parts: tuple[str, ...]

    @abstractmethod
    def key(self) -> JsonObject:
        """Which rows these are, found without reading them: equal for equal rows."""

    def begin(self) -> None:
        """What is to be found out before the first chunk, where the rows are to be read."""
        return

    @abstractmethod
    def chunks(self, part: str) -> Iterator[Chunk]:
        """The rows of a part, in chunks of `ROWS` and about `CHARACTERS` at most."""

    def check(self) -> None:
        """Raises: DataError where the rows have changed since `begin`."""
        return


class Whole(Stream):
    """Rows that are in memory already. digest: of them."""

    def __init__(self, columns: dict[str, Chunk], digest: str) -> None:
        self.columns, self.parts, self.digest = columns, tuple(columns), digest

    def key(self) -> JsonObject:
        return {"rows": self.digest}

    def chunks(self, part: str) -> Iterator[Chunk]:
        return cut(self.columns[part])


def cut(columns: Chunk) -> Iterator[Chunk]:
    """Rows in memory as chunks."""
    for start in range(0, max(map(len, columns.values()), default=0), ROWS):
        yield {name: values[start : start + ROWS] for name, values in columns.items()}


def bundled(rows: Iterable[tuple[Any, ...]], names: tuple[str, ...]) -> Iterator[Chunk]:
    """Single rows as chunks of columns: a value of each row for each name."""
    bundle: list[tuple[Any, ...]] = []
    size = 0
    for row in rows:
        bundle.append(row)
        size += sum(len(value) for value in row if isinstance(value, (str, list)))
        if len(bundle) == ROWS or size >= CHARACTERS:
            yield _columns(bundle, names)
            bundle, size = [], 0
    if bundle:
        yield _columns(bundle, names)


def _columns(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> Chunk:
    return {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
