"""The examples of a stream: encoded once into a store, and mapped from there by every process and run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import regex

import rnnzoo
from rnnzoo.batch import DataSpec
from rnnzoo.data.base import PARTS, Examples, Form, RowError, Source
from rnnzoo.data.encoding.known_words import with_words_of
from rnnzoo.data.encoding.text import Ragged
from rnnzoo.data.store import Store, Writer, cached, key, plain
from rnnzoo.data.streaming.packing import Kept
from rnnzoo.data.streaming.stream import Chunk, Stream
from rnnzoo.errors import DataError
from rnnzoo.system.files import JsonObject

log = logging.getLogger("rnnzoo")
WINDOW = 100_000  # rows that are shuffled together, if nobody says otherwise
NUMBERS, ROWS, TEXTS = "numbers", "rows", "texts"  # how a value is kept
Result = TypeVar("Result")


class Encoded(NamedTuple):
    """What `ZooData` needs of its data. scored_rows: the digest of the rows that a run is scored on.

    new: whether the store was written now.
    """

    store: Store
    new: bool
    parts: dict[str, Examples]
    spec: DataSpec
    scored_rows: str
    identity: dict[str, str | None]


def encoded(
    source: Source, form: Form, window: int | None = None, spec: DataSpec | None = None, known: DataSpec | None = None
) -> Encoded:
    """The examples of a source's stream, as its rows in memory would give them, mapped from a store.

    The store is in the user's cache, and is written where it is not there yet. Rows that have not changed, with the
    same settings, are not read again. window: rows that are shuffled together. spec, known: see `ZooData`.
    Raises: DataError, Unwritable; nothing half-written stays.
    """
    if form.unstreamable is not None:
        raise DataError(f"data.streaming: data of the form {form.name} cannot stream: {form.unstreamable}.")
    stream = source.stream()
    for part in PARTS:
        if part not in stream.parts and part != "test":
            raise DataError(f"{type(source).__name__} gives no {part} split.\n  Found: {', '.join(stream.parts)}.")
    made_from = {
        "stream": stream.key(),
        "form": {"name": form.name, **{name: value for name, value in vars(form).items() if name not in form.free}},
        "spec": None if spec is None else key(spec.to_json()),
        "known": None if known is None else key(known.to_json()),
        "versions": [rnnzoo.__version__, unicodedata.unidata_version, regex.__version__],
    }
    made_from = plain(made_from)
    folder = _folder(made_from)
    new = not folder.exists()
    with _each_once():
        store = Store.made(folder, made_from, lambda writer: _write(writer, stream, source, form, spec, known))
    return _opened(store, new, form, WINDOW if window is None else window)


@contextlib.contextmanager
def _each_once() -> Iterator[None]:
    """Within the block no message of ours is repeated: rows are read several times."""
    said: set[str] = set()

    def new(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        fresh = message not in said
        said.add(message)
        return fresh

    log.addFilter(new)
    try:
        yield
    finally:
        log.removeFilter(new)


def _folder(made_from: JsonObject) -> Path:
    try:
        return cached(made_from)
    except OSError:  # a user without a home folder
        return Path(tempfile.gettempdir(), "rnnzoo", "data", key(made_from))


class _Reading:
    """Readings of a stream's parts, each held against the part's first one; errors name the row.

    start: the number of the first row of the chunk that was read last.
    """

    def __init__(self, stream: Stream, source: Source) -> None:
        self.stream, self.source = stream, source
        self.start, self.part = 0, "train"
        self._first: dict[str, tuple[int, str]] = {}

    def chunks(self, part: str) -> Iterator[Chunk]:
        """Raises: DataError where the part ends earlier, goes on longer or has other rows than before."""
        digest, rows = hashlib.sha256(), 0
        for chunk in self.stream.chunks(part):
            self.start, self.part = rows, part
            for name in sorted(chunk):
                digest.update(repr(chunk[name]).encode("utf-8", "surrogatepass"))
            yield chunk
            rows += len(next(iter(chunk.values())))
        now = (rows, digest.hexdigest())
        before = self._first.setdefault(part, now)
        if not rows:
            raise DataError(
                f"the {part} split of {self.source.identity()['id']} is empty.\n  Give it at least one row."
            )
        if now != before:
            raise DataError(
                f"{self.source.part_name(part)}: it had other rows when it was read again.\n"
                f"  At first: {before[0]:,} rows, SHA-256 {before[1][:12]}...\n"
                f"  Now: {rows:,} rows, SHA-256 {now[1][:12]}...\n"
                "  A stream has to give the same rows at each reading, all of them."
            )

    def naming(self, function: Callable[[], Result]) -> Result:
        """Call a function that reads; its errors name the part, or the row."""
        try:
            return function()
        except RowError as error:
            row = self.source.row_name(self.part, self.start + error.row)
            raise DataError(f"{row}: {error.text}") from error


def _write(
    writer: Writer, stream: Stream, source: Source, form: Form, spec: DataSpec | None, known: DataSpec | None
) -> None:
    """Make the vocabulary, if there is none, and encode every part."""
    stream.begin()
    reading = _Reading(stream, source)
    try:
        if spec is None:
            made = reading.naming(lambda: form.fit_chunks(lambda: reading.chunks("train")))
            spec = made if known is None else with_words_of(made, known)
        facts: JsonObject = {}
        for part in stream.parts:
            facts[part] = reading.naming(partial(_encode, writer, part, reading.chunks(part), form, spec))
        scored = "test" if "test" in stream.parts else "dev"
        digest = _rows_digest(reading, scored, facts[scored]["rows"])
    except DataError:
        stream.check()  # rows that changed between two readings may be wrong in any way
        raise
    stream.check()
    writer.facts = {
        "spec": spec.to_json(),
        "parts": facts,
        "scored_rows": digest,
        "identity": source.identity(),
    }


def _encode(writer: Writer, part: str, chunks: Iterator[Chunk], form: Form, spec: DataSpec) -> JsonObject:
    """Encode the rows of a part, and note how what is kept of them is to be read."""
    packing = form.packing(spec)
    ends: dict[str, int] = {}
    kinds: dict[str, str] = {}
    rows = 0
    for chunk in chunks:
        kept = packing.add(chunk)
        kinds = {name: _append(writer, f"{part}_{name}", value, ends) for name, value in kept.items()}
        rows += len(next(iter(chunk.values())))
    for name, value in packing.end().items():
        kinds[name] = _append(writer, f"{part}_{name}", value, ends)
    return {"rows": rows, "kinds": kinds, "truncated": packing.truncated, "notes": dict(packing.notes)}


def _append(writer: Writer, name: str, value: Kept, ends: dict[str, int]) -> str:
    """Write a value after those before it. ends: how many numbers each ragged array has so far. Returns its kind."""
    if isinstance(value, np.ndarray):
        writer.append(name, value)
        return NUMBERS
    kind = ROWS if isinstance(value, Ragged) else TEXTS
    if isinstance(value, Ragged):
        flat, offsets = value.flat, value.offsets
    else:
        raw = [text.encode("utf-8", "surrogatepass") for text in value]
        flat = np.frombuffer(b"".join(raw), dtype=np.uint8)
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in raw], dtype=np.int64)])
    if name not in ends:
        writer.append(f"{name}_ends", np.zeros(1, dtype=np.int64))
    start = ends.get(name, 0)
    writer.append(name, flat)
    writer.append(f"{name}_ends", (offsets[1:] + start).astype(np.int64, copy=False))
    ends[name] = start + len(flat)
    return kind


def _rows_digest(reading: _Reading, part: str, rows: int) -> str:
    """What `base.rows_digest` gives of all rows of a part: it is of one column after the other."""
    digest = hashlib.sha256()
    first = next(iter(reading.stream.chunks(part)))
    for name in sorted(first):
        digest.update(f"{name} {rows} ".encode())
        for chunk in reading.chunks(part):
            digest.update("".join(f"{value!r} " for value in chunk[name]).encode())
    return digest.hexdigest()


class Texts(Sequence[str]):
    """Texts in files, each read when it is asked for. ends: (texts + 1,) bytes, from 0."""

    def __init__(self, flat: np.ndarray, ends: np.ndarray) -> None:
        self.flat, self.ends = flat, ends

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: Any) -> Any:
        start, stop = int(self.ends[row]), int(self.ends[row + 1])
        return bytes(self.flat[start:stop]).decode("utf-8", "surrogatepass")


def _opened(store: Store, new: bool, form: Form, window: int) -> Encoded:
    try:
        facts = store.facts
        spec = DataSpec.from_json(facts["spec"])
        parts: dict[str, Examples] = {}
        for part, of_part in facts["parts"].items():
            examples = form.unpack(_kept(store, part, of_part["kinds"]), spec)
            examples.truncated, examples.notes = of_part["truncated"], of_part["notes"]
            examples.window = window
            parts[part] = examples
        identity = {name: facts["identity"][name] for name in ("id", "revision")}
        return Encoded(store, new, parts, spec, str(facts["scored_rows"]), identity)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise DataError(
            f"the encoded data in {store.folder} cannot be read: {error!r:.200}.\n"
            "  Remove the folder; the next run encodes the data again."
        ) from error


def _kept(store: Store, part: str, kinds: Mapping[str, str]) -> dict[str, Kept]:
    kept: dict[str, Kept] = {}
    for name, kind in kinds.items():
        flat = store[f"{part}_{name}"]
        if kind == NUMBERS:
            kept[name] = flat
        else:
            ends = store[f"{part}_{name}_ends"]
            kept[name] = Ragged(flat, ends) if kind == ROWS else Texts(flat, ends)
    return kept
