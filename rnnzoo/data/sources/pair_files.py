"""The user's own pairs of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from rnnzoo.data.base import Columns
from rnnzoo.data.readers import tables
from rnnzoo.data.readers.delimited import check_delimiter
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.lines import text_lines
from rnnzoo.data.sources.own_files import FileSource
from rnnzoo.data.streaming.stream import bundled
from rnnzoo.errors import DataError
from rnnzoo.limits import Fraction, checked


class PairFiles(FileSource):
    """Your own pairs of texts: two parallel files, or two columns of one table.

    `train: data/train, source: en, target: de` reads data/train.en and data/train.de, one text a line, in the same
    order. `train: data/train.tsv` reads the columns en and de of a table: CSV, TSV, JSON lines or Parquet, as its
    ending says (see `TextFiles`).

    train, dev, test: paths. Without dev, the last `dev_fraction` of the training pairs is held out; without test, there
    is none. encoding: of all but Parquet. delimiter: of CSV and TSV, see `TextFiles`.
    """

    form = "text_pairs"

    @checked
    def __init__(
        self,
        train: str,
        dev: str | None = None,
        test: str | None = None,
        source: str = "source",
        target: str = "target",
        encoding: str = "utf-8",
        dev_fraction: Fraction = 0.1,
        delimiter: str | None = None,
    ) -> None:
        super().__init__({"train": train, "dev": dev, "test": test}, encoding, dev_fraction)
        check_delimiter(delimiter)
        self.delimiter = delimiter
        if source == target:
            raise ValueError(f"source and target are both '{source}'")
        self.names = (source, target)
        for key, name in {"source": source, "target": target}.items():
            if set("/\\") & set(name) and not all(map(tables.is_table, self.paths.values())):
                raise ValueError(f"{key} is the ending of a file's name, as in data/train.en, got '{name}'")

    def files(self, path: Path) -> list[Path]:
        """The table itself, or the two parallel files."""
        return [path] if tables.is_table(path) else [path.parent / f"{path.name}.{name}" for name in self.names]

    def columns(self, path: Path) -> Columns:
        files = self.files(path)
        if files == [path]:
            table = tables.read_columns(path, self.names, self.encoding, ("source", "target"), self.delimiter)
            sides = [table[name] for name in self.names]
        else:
            sides = [lines(file, self.encoding) for file in files]
        if len(sides[0]) != len(sides[1]):
            raise _unequal(files, [len(side) for side in sides])
        return self._checked(path, *sides)

    def chunks(self, path: Path) -> Iterator[Columns]:
        files, first = self.files(path), 1
        if files == [path]:
            parts = tables.chunks(path, self.names, self.encoding, ("source", "target"), self.delimiter)
        else:
            parts = bundled(self._parallel(files), self.names)
        for part in parts:
            sides = [part[name] for name in self.names]
            yield self._checked(path, *sides, first=first)
            first += len(sides[0])

    def _parallel(self, files: Sequence[Path]) -> Iterator[tuple[str, str]]:
        """The lines of two files, side by side. Raises: DataError where one has more."""
        ends = [0, 0]
        one, two = (text_lines(file, self.encoding) for file in files)
        for source, target in zip_longest(one, two):
            ends = [end + (line is not None) for end, line in zip(ends, (source, target), strict=True)]
            if None not in (source, target):
                yield source.removesuffix("\r"), target.removesuffix("\r")
        if ends[0] != ends[1]:
            raise _unequal(files, ends)

    def _checked(self, path: Path, *sides: list[str], first: int = 1) -> Columns:
        """The columns of the form. first: the number of the first row. Raises: DataError for a row without a text."""
        for row, pair in enumerate(zip(*sides, strict=True), start=first):
            for name, text in zip(self.names, pair, strict=True):
                if not isinstance(text, str) or not text.strip():
                    what = "empty" if text is None or isinstance(text, str) else f"{text!r:.80}, not text"
                    raise DataError(f"{path}, row {row}: '{name}' is {what}.\n  Give each row both texts.")
        return {"source": sides[0], "target": sides[1]}


def _unequal(files: Sequence[Path], counts: Sequence[int]) -> DataError:
    return DataError(
        f"{files[0]} has {counts[0]} lines and {files[1]} has {counts[1]}.\n"
        "  Line n of one file is the translation of line n of the other."
    )


def lines(path: Path, encoding: str) -> list[str]:
    """The lines of a text file. Raises: DataError."""
    return [line.removesuffix("\r") for line in decoded(path, encoding).removesuffix("\n").split("\n")]
