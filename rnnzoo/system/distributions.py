"""Installed distributions and their entry points, as `importlib.metadata` has them, in a tenth of its time.

`importlib.metadata` takes longer to import than Python takes to start, and parses every distribution's whole metadata.
Here, the folders of `sys.path` are read, and of a distribution only its name, its version and the groups asked for.
What is installed while the program runs is seen at once: a file is read again when its times, its size or its place on
the disk have changed, and a folder each time.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

INFO = (".dist-info", ".egg-info")
METADATA = ("METADATA", "PKG-INFO")
POINTS = "entry_points.txt"


_contents: dict[str, tuple[tuple[int, ...], bytes]] = {}  # by path, of files as they were when last read


class EntryPoint(NamedTuple):
    """One line of a distribution's entry points: `name = value` in a group; value: `module:attribute`."""

    group: str
    name: str
    value: str
    distribution: str  # in the spelling that package indexes compare
    version: str


class Folder(NamedTuple):
    """A distribution's metadata: where they are, and how one of their files is read (None: there is no such file)."""

    path: str
    name: str  # as the folder has it
    read: Callable[[str], bytes | None]


def normal(distribution: str) -> str:
    """A distribution's name in the one spelling that package indexes compare."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def entry_points(prefix: str) -> tuple[list[EntryPoint], dict[str, str]]:
    """Every entry point in a group that begins with `prefix`, and by folder, why a distribution with such
    entry points cannot be read.

    Of several distributions with one name, the first on `sys.path` counts, as it does for imports.
    """
    points: list[EntryPoint] = []
    problems: dict[str, str] = {}
    seen: set[str] = set()
    for folder in _folders():
        try:
            own = _points(folder, prefix)
        except (OSError, ValueError) as error:
            problems[folder.path] = f"{type(error).__name__}: {error}"
            continue
        if folder.name not in seen:
            points += own
        seen.add(folder.name)
    return points, problems


def _points(folder: Folder, prefix: str) -> list[EntryPoint]:
    """Raises: OSError; ValueError for text that is not UTF-8, a line that is not metadata, no name or no version."""
    content = folder.read(POINTS)
    if content is None or prefix.encode() not in content:
        return []
    lines: list[tuple[str, str, str]] = []
    group = ""
    for line in map(str.strip, content.decode().split("\n")):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1]
        elif line and not line.startswith("#"):
            name, equals, value = (part.strip() for part in line.partition("="))
            if not equals:
                raise ValueError(f"'{line}' in {POINTS} is not 'name = module:attribute'")
            if group.startswith(prefix):
                lines.append((group, name, value))
    if not lines:
        return []
    headers = _headers(next((text for name in METADATA if (text := folder.read(name)) is not None), b""))
    if not headers.get("name") or not headers.get("version"):
        raise ValueError("no name or no version")
    return [EntryPoint(*line, normal(headers["name"]), headers["version"]) for line in lines]


def _headers(content: bytes) -> dict[str, str]:
    """The lines `Key: value` before the first empty one. Raises: ValueError."""
    headers: dict[str, str] = {}
    for line in content.splitlines():
        if not line.strip():
            break
        key, _, value = line.decode().partition(":")
        headers.setdefault(key.strip().lower(), value.strip())
    return headers


def _folders() -> Iterator[Folder]:
    """Every distribution's metadata, in the order of `sys.path`."""
    for path in dict.fromkeys(path or os.curdir for path in sys.path if isinstance(path, str)):
        if path.endswith(".egg") or os.path.isfile(path):
            yield from _by_importlib([path])
            continue
        try:
            names = sorted(os.listdir(path))
        except OSError:  # a path that is not there
            continue
        for name in names:
            if name.endswith(INFO):
                folder = os.path.join(path, name)
                yield Folder(folder, normal(name.removesuffix(INFO[0]).partition("-")[0]), _reader(folder))
    if any(hasattr(finder, "find_distributions") and not _standard(finder) for finder in sys.meta_path):
        yield from _by_importlib(None)


def _reader(folder: str) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        path = os.path.join(folder, name)
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
                raise OSError(f"{name} is not a file")
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev)
            known, content = _contents.get(path, ((), b""))
            if known != stamp:
                with open(path, "rb") as file:
                    content = file.read()
                _contents[path] = stamp, content
            return content
        except (FileNotFoundError, NotADirectoryError):
            return None

    return read


def _standard(finder: object) -> bool:
    return getattr(finder, "__module__", "") == "_frozen_importlib_external"


def _by_importlib(path: list[str] | None) -> Iterator[Folder]:
    """Distributions in a zip file or an egg; with None, also those of importers that have their own."""
    from importlib import metadata

    def reader(distribution: metadata.Distribution) -> Callable[[str], bytes | None]:
        def read(name: str) -> bytes | None:
            text = distribution.read_text(name)
            return None if text is None else text.encode()

        return read

    for distribution in metadata.distributions() if path is None else metadata.distributions(path=path):
        read = reader(distribution)
        name = _headers(read(METADATA[0]) or read(METADATA[1]) or b"").get("name", "")
        yield Folder(str(getattr(distribution, "_path", name)), normal(name), read)
