"""Rows of files, which are as they were when they were read first, or refused."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from rnnzoo.data.streaming.strata import held_out_rows
from rnnzoo.data.streaming.stream import Chunk, Stream
from rnnzoo.errors import DataError
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject


class Status(NamedTuple):
    """What the system says of a file without reading it. modified: nanoseconds since 1970."""

    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> Status:
        """Raises: DataError."""
        try:
            found = os.stat(path)
        except OSError as error:
            raise DataError(f"cannot read {path}: {files.reason(error)}.") from error
        return cls(found.st_size, found.st_mtime_ns)

    def __str__(self) -> str:
        when = datetime.datetime.fromtimestamp(self.modified / 1e9, datetime.timezone.utc)
        return f"{self.size:,} bytes, modified {when:%Y-%m-%d %H:%M:%S.%f} UTC"


class Files(Protocol):
    """What a source of files tells its stream; see `rnnzoo.data.sources.own_files.FileSource`."""

    form: str
    paths: dict[str, Path]
    dev_fraction: float

    def named(self) -> list[tuple[str, Path]]: ...

    def chunks(self, path: Path) -> Iterator[Chunk]: ...

    def settings(self) -> JsonObject: ...

    def read_as(self, digest: str, rows: Mapping[str, Any]) -> None: ...


class FileStream(Stream):
    """The rows of the user's files. Where there is no file for dev, rows of train are held out, as in memory."""

    def __init__(self, source: Files) -> None:
        self.source = source
        self.parts = tuple(part for part in ("train", "dev", "test") if part == "dev" or part in source.paths)
        self.paths = list(dict.fromkeys(path for _, path in source.named()))
        self.status = {path: Status.of(path) for path in self.paths}
        self._digest = ""
        self._held: np.ndarray | None = None  # (rows,) of the training file: whether each is held out for dev

    def key(self) -> JsonObject:
        found = [[os.fspath(path.absolute()), *self.status[path]] for path in self.paths]
        return {**self.source.settings(), "form": self.source.form, "files": found}

    def begin(self) -> None:
        self._digest = self._contents()
        rows: dict[str, np.ndarray] = {}
        if "dev" not in self.source.paths:
            held = held_out_rows(self.source.chunks(self.source.paths["train"]), self.source.dev_fraction)
            rows = {"train": np.flatnonzero(~held), "dev": np.flatnonzero(held)}
            if not len(rows["dev"]):
                raise no_two_rows(self.source.paths["train"], self.source.form.startswith("labelled"))
            self._held = held
        self.source.read_as(self._digest, rows)

    def chunks(self, part: str) -> Iterator[Chunk]:
        if self._held is None or part == "test":
            yield from self.source.chunks(self.source.paths[part])
            return
        start = 0
        for chunk in self.source.chunks(self.source.paths["train"]):
            count = len(next(iter(chunk.values())))
            held = self._held[start : start + count]
            start += count
            kept = np.flatnonzero(held if part == "dev" else ~held[:count]).tolist()
            if kept:
                yield {name: [values[row] for row in kept] for name, values in chunk.items()}

    def check(self) -> None:
        for path, before in self.status.items():
            now = Status.of(path)
            if now != before:
                raise _changed(path, str(before), str(now))
        if (digest := self._contents()) != self._digest:
            names = ", ".join(map(str, self.paths))
            raise _changed(names, f"SHA-256 {self._digest[:12]}...", f"SHA-256 {digest[:12]}...")

    def _contents(self) -> str:
        """The SHA-256 of all files, one after the other, in hexadecimal."""
        digest = hashlib.sha256()
        for _, path in self.source.named():
            try:
                with files.opened(path) as file:
                    while block := file.read(files.BLOCK):
                        digest.update(block)
            except OSError as error:
                raise DataError(f"cannot read {path}: {files.reason(error)}.") from error
        return digest.hexdigest()


def no_two_rows(path: Path, labelled: bool) -> DataError:
    alike = " of one label" if labelled else ""
    return DataError(f"{path} has no two rows{alike}, so none can be held out.\n  Give more rows, or a dev file.")


def _changed(what: Path | str, before: str, now: str) -> DataError:
    return DataError(
        f"{what} has changed while it was read.\n  Before: {before}.\n  Now: {now}.\n"
        "  Start again once nothing writes to it."
    )
