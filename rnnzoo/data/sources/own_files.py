"""Data sets that are the user's own files, one for each split."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rnnzoo.data.base import Columns, Source
from rnnzoo.data.readers import tables
from rnnzoo.data.readers.encodings import check_encoding
from rnnzoo.data.splits import held_out, strata, taken
from rnnzoo.data.streaming.files import FileStream, no_two_rows
from rnnzoo.data.streaming.stream import Stream, cut
from rnnzoo.errors import DataError, nearest
from rnnzoo.limits import Fraction, checked
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject
from rnnzoo.system.paths import typed

log = logging.getLogger("rnnzoo")


class FileSource(Source):
    """The user's own files, one for each split. A subclass says how one is read.

    paths: by split, None where there is none. Without "dev", the last `dev_fraction` of the training rows are held out,
    of those of each label where rows have one.
    """

    @checked
    def __init__(self, paths: Mapping[str, str | None], encoding: str, dev_fraction: Fraction) -> None:
        check_encoding(encoding)
        self.paths = {part: typed(path) for part, path in paths.items() if path}
        self.encoding, self.dev_fraction = encoding, dev_fraction
        self._digest: str | None = None
        self._rows: dict[str, Sequence[int]] = {}  # of the training file, that each part of it has

    def named(self) -> list[tuple[str, Path]]:
        """Every file, with the part that it is of. Raises: DataError for those that are not there."""
        named = [(part, file) for part, path in self.paths.items() for file in self.files(path)]
        wrong = [message for part, file in named if (message := self.unreadable(part, file))]
        if wrong:
            raise DataError(*wrong)
        return named

    def read(self) -> dict[str, Columns]:
        named = self.named()
        try:
            parts = {part: self.columns(path) for part, path in self.paths.items()}
            contents = b"".join(files.read_bytes(file, files.DATA_LIMIT) for _, file in named)
        except OSError as cause:
            raise DataError(f"cannot read {cause.filename}: {cause.strerror or cause}.") from cause
        self._digest = hashlib.sha256(contents).hexdigest()
        return self.cut(parts)

    def cut(self, parts: dict[str, Columns]) -> dict[str, Columns]:
        """The parts that were read, and those that are cut from them where they have no file. Raises: DataError."""
        if "dev" in parts:
            return parts
        train = parts["train"]
        rows = len(next(iter(train.values())))
        kept, dev = held_out(strata(train, rows), self.dev_fraction)
        if not dev:
            raise no_two_rows(self.paths["train"], "label" in train)
        self._rows = {"train": kept, "dev": dev}
        return parts | {"train": taken(train, kept), "dev": taken(train, dev)}

    def files(self, path: Path) -> list[Path]:
        """The files that the path of a split names."""
        return [path]

    def unreadable(self, part: str, path: Path) -> str | None:
        """What keeps a file from being read; None if nothing does."""
        return missing(part, path)

    @abstractmethod
    def columns(self, path: Path) -> Columns:
        """The rows of one file. Raises: DataError, naming the file and the line or row; OSError."""

    def stream(self) -> Stream:
        return FileStream(self)

    def chunks(self, path: Path) -> Iterator[Columns]:
        """The rows of `columns` of a file of any size, some at a time; here of one that is read as a whole."""
        log.warning("%s: a file of this kind is read as a whole, and has to fit into memory.", path)
        return cut(self.columns(path))

    def settings(self) -> JsonObject:
        """What decides how the files are read, apart from which they are."""
        own = {name: value for name, value in vars(self).items() if not name.startswith("_") and name != "paths"}
        return {"source": type(self).__name__, "parts": sorted(self.paths), **own}

    def read_as(self, digest: str, rows: Mapping[str, Sequence[int]]) -> None:
        """Take over what a stream has found out: the digest of the files, and the rows of parts that were cut."""
        self._digest, self._rows = digest, dict(rows)

    def part_name(self, part: str) -> str:
        if part in self.paths:
            return str(self.paths[part])
        return f"{self.paths['train']}, {part} split" if part in self._rows else super().part_name(part)

    def row_name(self, part: str, row: int) -> str:
        if part in self._rows:
            part, row = "train", self._rows[part][row]
        return f"{self.part_name(part)}, {self.row_in_file(self.paths[part], row)}"

    def row_in_file(self, path: Path, row: int) -> str:
        """What a message calls a row of a file, counted from 0."""
        return f"row {row + 1}"

    def identity(self) -> dict[str, str | None]:
        """The file names, and the SHA-256 of their contents."""
        return {"id": ", ".join(path.name for path in self.paths.values()), "revision": self._digest}


def missing(name: str, path: Path) -> str | None:
    """What a message says of `path`, the value of the option `name`, if no file is there; None if one is."""
    if os.path.isfile(path):
        return None
    if os.path.exists(path):
        return f"data.{name}: '{path}' is not a file."
    if re.match(r"[a-z]+:[/\\]", str(path)) and not path.drive:
        return f"data.{name}: '{path}' is an address, and files are read from this machine alone.\n  Download it first."
    if set(path.name) & set("*?["):
        return f"data.{name}: '{path}' is a pattern, and one file is read.\n  Join the files, or name one of them."
    near = nearest(path.name, [file.name for file in path.parent.iterdir()] if os.path.isdir(path.parent) else [])
    hint = f"\n  Did you mean '{path.parent / near}'?" if near else ""
    return f"data.{name}: there is no file '{path}'.{hint}\n  Looked in {path.parent.resolve()}."


def unreadable(name: str, path: Path) -> str | None:
    """What keeps `path`, the value of the option `name`, from being read; None if nothing does."""
    if wrong := missing(name, path):
        return wrong
    if not tables.is_table(path):
        known = ", ".join(tables.READERS)
        return f"data.{name}: cannot tell the format of '{path}' by its ending.\n  Known endings: {known}."
    return None
