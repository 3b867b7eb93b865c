"""Arrays on the disk, written once and mapped by every process that reads them: data that need not fit into memory.

A store is a folder: a file of raw little-endian numbers for each array, and `index.json`, which says what the arrays
are, what they were made from, and the SHA-256 of each. It appears under its name when it is whole, and not before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from rnnzoo.errors import DataError
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject
from rnnzoo.system.lock import Lock
from rnnzoo.system.paths import cache_folder

FORMAT = 1  # of the folder; another number is another key of the cache
INDEX = "index.json"
INDEX_LIMIT = 256 * 2**20  # bytes: a vocabulary of 10^6 words takes some 20 MiB
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # of an array; its file has the ending .bin
TYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
MOST_ARRAYS, MOST_AXES, MOST_NUMBERS = 64, 8, 2**56


class Layout(NamedTuple):
    """One array as its file holds it: numpy's name of the type, the shape, and the SHA-256 of the file."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes."""
        total = np.dtype(self.dtype).itemsize
        for axis in self.shape:
            total *= axis
        return total


class Mapped(np.memmap):  # type: ignore[type-arg]
    """A read-only array in a file. Pickled whole it is the file's name, so that a worker process maps the same copy."""

    origin: tuple[str, str, tuple[int, ...]] | None = None

    def __reduce__(self) -> Any:
        return super().__reduce__() if self.origin is None else (mapped, self.origin)


def mapped(path: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The file's numbers, read when they are touched. Raises: OSError; ValueError if the file is too short."""
    if not all(shape):
        empty = np.empty(shape, dtype=dtype)
        empty.flags.writeable = False
        return empty
    with files.opened(path) as file:
        array = Mapped(file, dtype=dtype, mode="r", shape=shape)  # type: ignore[call-overload]
    array.origin = (path, dtype, shape)
    return cast(np.ndarray, array)


class Store(Mapping[str, np.ndarray]):
    """Arrays by name, each mapped read-only from its file when it is first asked for; see `Store.at`.

    made_from: what the arrays were made from, JSON. facts: what their maker noted about them, JSON.
    """

    def __init__(self, folder: Path, made_from: JsonObject, facts: JsonObject, layouts: dict[str, Layout]) -> None:
        self.folder, self.made_from, self.facts, self.layouts = folder, made_from, facts, layouts
        self._arrays: dict[str, np.ndarray] = {}

    @classmethod
    def at(cls, folder: str | Path, made_from: JsonObject | None = None) -> Store:
        """The store in a folder, the sizes of its files checked. A folder that nobody can write to is fine.

        made_from: what the arrays are to be made from; None for any. Raises: DataError where there is no such store, it
        is not whole, or it was made from something else: then the first difference is named, with both sides.
        """
        folder = Path(folder)
        try:
            index = files.read_json(folder / INDEX, INDEX_LIMIT)
        except FileNotFoundError:
            raise DataError(
                f"there are no prepared data in {folder}: it has no {INDEX}.\n  `rnnzoo prepare RECIPE` makes them."
            ) from None
        except (OSError, ValueError) as error:
            raise _damaged(folder, f"{INDEX}: {files.reason(error)}") from None
        made, facts, layouts = _parsed(folder, index)
        if made_from is not None:
            _compare(folder, made, plain(made_from))
        for name, layout in layouts.items():
            _check_size(folder, name, layout)
        return cls(folder, made, facts, layouts)

    @classmethod
    def made(cls, folder: str | Path, made_from: JsonObject, write: Callable[[Writer], None]) -> Store:
        """The store in a folder, opened, or else made by `write`: by one process, while others wait to read it.

        Raises: DataError as `at`, but for a folder that is not there; Unwritable; what `write` raises.
        """
        folder = Path(folder)
        if _is_there(folder):
            return cls.at(folder, made_from)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder.parent, f".{folder.name}.lock", wait=True)
        except OSError as error:
            raise files.unwritable(folder, error) from error
        with lock:
            if not _is_there(folder):  # nobody has made it in the meantime
                if lock.held:
                    _remove_leftovers(folder)
                with Writer(folder, made_from) as writer:
                    write(writer)
        return cls.at(folder, made_from)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            layout = self.layouts[name]
            try:
                self._arrays[name] = mapped(os.fspath(self._path(name)), layout.dtype, layout.shape)
            except (OSError, ValueError) as error:  # it has changed since it was opened
                raise _damaged(self.folder, f"{name}.bin: {files.reason(error)}") from None
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layouts)

    def __len__(self) -> int:
        return len(self.layouts)

    @property
    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(layout.size for layout in self.layouts.values())

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"

    def check(self) -> None:
        """Read every file, and compare it with its SHA-256. Raises: DataError naming the first that differs."""
        for name, layout in self.layouts.items():
            _check_size(self.folder, name, layout)
            try:
                same = files.sha256(self._path(name)) == layout.sha256
            except OSError as error:
                raise _damaged(self.folder, f"{name}.bin: {files.reason(error)}") from None
            if not same:
                raise _damaged(self.folder, f"{name}.bin is not what was written: its SHA-256 differs from {INDEX}")


class Writer:
    """A store in the making: `with Writer(folder, made_from) as writer: writer.append("ids", chunk)`.

    It is written beside `folder`, and takes its name at the end of the block. Where the block fails nothing is left;
    where another process was faster, its store stays. Memory does not grow with what is written.
    facts: JSON to note in the index, set within the block. Raises: Unwritable.
    """

    def __init__(self, folder: str | Path, made_from: JsonObject) -> None:
        self.folder, self.made_from = Path(folder), plain(made_from)
        self.facts: JsonObject = {}
        self._growing: dict[str, _Growing] = {}
        self._temporary = self.folder.with_name(f"{_leftover(self.folder)}{secrets.token_hex(8)}")

    def __enter__(self) -> Writer:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.mkdir()
        except OSError as error:
            raise files.unwritable(self.folder, error) from error
        return self

    def append(self, name: str, array: np.ndarray) -> None:
        """Add rows to an array along its first axis; the first ones fix its type and its other axes.

        Raises: Unwritable; ValueError for rows of another type or shape, and for what no store can hold.
        """
        array = np.asarray(array)
        try:
            if name not in self._growing:
                self._growing[name] = _Growing.begun(self._temporary, name, array, len(self._growing))
            self._growing[name].add(array)
        except OSError as error:
            raise files.unwritable(self.folder, error) from error

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            arrays = {name: growing.ended() for name, growing in self._growing.items()}
            if kind is None:
                self._finish(arrays)
        except OSError as error:
            if kind is None:
                raise files.unwritable(self.folder, error) from error
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)  # there only where something has failed

    def _finish(self, arrays: dict[str, Layout]) -> None:
        index = {"format": FORMAT, "made_from": self.made_from, "facts": plain(self.facts)}
        index["arrays"] = {name: layout._asdict() for name, layout in arrays.items()}
        files.write_text(self._temporary / INDEX, json.dumps(index, indent=1) + "\n")
        files.sync_folder(self._temporary)
        try:
            os.rename(self._temporary, self.folder)
        except OSError:
            if not _is_there(self.folder):
                raise
        files.sync_folder(self.folder.parent)


class _Growing:
    """The file of one array while it is written."""

    def __init__(self, file: BinaryIO, dtype: np.dtype[Any], axes: tuple[int, ...]) -> None:
        self.file, self.dtype, self.axes, self.rows, self.digest = file, dtype, axes, 0, hashlib.sha256()

    @classmethod
    def begun(cls, folder: Path, name: str, array: np.ndarray, before: int) -> _Growing:
        dtype = array.dtype.newbyteorder("<")
        if not NAME.fullmatch(name) or dtype.str not in TYPES or not 0 < array.ndim <= MOST_AXES:
            raise ValueError(f"{name!r} of type {array.dtype} and shape {array.shape} is no array of a store")
        if before >= MOST_ARRAYS:
            raise ValueError(f"a store has {MOST_ARRAYS} arrays at most")
        return cls(open(folder / f"{name}.bin", "xb", files.BLOCK), dtype, array.shape[1:])

    def add(self, array: np.ndarray) -> None:
        if array.dtype.newbyteorder("<") != self.dtype or array.shape[1:] != self.axes:
            raise ValueError(f"rows of {array.dtype} {array.shape[1:]} after some of {self.dtype} {self.axes}")
        content = np.ascontiguousarray(array, dtype=self.dtype).reshape(-1).view(np.uint8).data
        self.digest.update(content)
        self.file.write(content)
        self.rows += len(array)

    def ended(self) -> Layout:
        try:
            self.file.flush()
            files.sync_open(self.file)
        finally:
            with contextlib.suppress(OSError):  # told by the flush before
                self.file.close()
        return Layout(self.dtype.str, (self.rows, *self.axes), self.digest.hexdigest())


def cached(made_from: JsonObject) -> Path:
    """The folder in the user's cache for the store made from this. Raises: OSError where the user has no cache."""
    return cache_folder("data") / key(made_from)


def key(made_from: JsonObject) -> str:
    """32 hexadecimal digits: equal for equal JSON, and for this version of the format."""
    text = json.dumps([FORMAT, plain(made_from)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def plain(value: JsonObject) -> JsonObject:
    """The value as a JSON file gives it back: tuples are lists, keys are texts."""
    return cast(JsonObject, json.loads(json.dumps(value)))


def _is_there(folder: Path) -> bool:
    return os.path.lexists(folder)


def _leftover(folder: Path) -> str:
    """How the names begin that a store has until it is whole."""
    return f"{files.TEMPORARY}{folder.name}-"


def _remove_leftovers(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote this store. The caller has its lock."""
    for entry in os.scandir(folder.parent):
        if entry.name.startswith(_leftover(folder)) and entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)


def _damaged(folder: Path, what: str) -> DataError:
    return DataError(
        f"the prepared data in {folder} cannot be read: {what}.\n  Remove the folder, and prepare the data again."
    )


def _check_size(folder: Path, name: str, layout: Layout) -> None:
    try:
        with files.opened(folder / f"{name}.bin") as file:
            found = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise _damaged(folder, f"{name}.bin: {files.reason(error)}") from None
    if found != layout.size:
        raise _damaged(folder, f"{name}.bin has {found:,} bytes, where {INDEX} says {layout.size:,}")


def _parsed(folder: Path, index: Any) -> tuple[JsonObject, JsonObject, dict[str, Layout]]:
    """What the value in an index says. Raises: DataError for a value that is no index."""
    if not isinstance(index, dict) or type(index.get("format")) is not int:
        raise _damaged(folder, f"{INDEX} is not the index of prepared data")
    if index["format"] != FORMAT:
        raise _damaged(folder, f"their format is number {index['format']}, and this version reads {FORMAT}")
    made, facts, arrays = (index.get(name) for name in ("made_from", "facts", "arrays"))
    if not (isinstance(made, dict) and isinstance(facts, dict) and isinstance(arrays, dict)):
        raise _damaged(folder, f"{INDEX} lacks made_from, facts or arrays")
    if len(arrays) > MOST_ARRAYS:
        raise _damaged(folder, f"{INDEX} has more than {MOST_ARRAYS} arrays")
    layouts = {}
    for name, item in arrays.items():
        layout = _layout(item) if NAME.fullmatch(name) else None
        if layout is None:
            raise _damaged(folder, f"{INDEX} does not say what the array {name!r:.80} is")
        layouts[name] = layout
    return made, facts, layouts


def _layout(item: Any) -> Layout | None:
    """The layout that a value in an index is, None for one that is none."""
    if not isinstance(item, dict):
        return None
    dtype, shape, digest = (item.get(name) for name in Layout._fields)
    if dtype not in TYPES or not isinstance(shape, list) or not 0 < len(shape) <= MOST_AXES:
        return None
    numbers = 1
    for axis in shape:
        if type(axis) is not int or not 0 <= axis <= MOST_NUMBERS:
            return None
        numbers *= max(axis, 1)
    if numbers > MOST_NUMBERS or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        return None
    return Layout(dtype, tuple(shape), digest)


def _compare(folder: Path, theirs: JsonObject, ours: JsonObject) -> None:
    """Raises: DataError where a store was made from something else than asked."""
    difference = first_difference(theirs, ours)
    if difference is None:
        return
    place, there, here = difference
    raise DataError(
        f"the prepared data in {folder} were made from something else: {place}.\n"
        f"  There: {_said(there)}.\n  Asked: {_said(here)}.\n"
        "  Name another folder, or remove this one and prepare the data again."
    )


def first_difference(one: Any, other: Any, place: str = "") -> tuple[str, Any, Any] | None:
    """Where two JSON values differ first, its keys joined by points, and both sides; None if they are equal.

    A side that lacks the key is None.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(name, one.get(name), other.get(name)) for name in sorted({*one, *other})]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(number), *pair) for number, pair in enumerate(zip(one, other, strict=True))]
    else:
        return None if one == other and type(one) is type(other) else (place, one, other)
    found = (first_difference(left, right, f"{place}.{name}" if place else name) for name, left, right in pairs)
    return next((difference for difference in found if difference is not None), None)


def _said(value: Any) -> str:
    return "nothing" if value is None else f"{json.dumps(value):.200}"
