"""What the corpus is made of: files that mean harm, or are broken, and what stands in the place of a file."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rnnzoo.runs import pretrained_models

QUICKSTART = pretrained_models.FOLDER / "quickstart"
EVIL = "\x1b[2J\x9b31m\u202eevil\r"
Make = Callable[[], object]


class Entry(NamedTuple):
    """make: the files, in the current folder. command: what reads them. leaves: whether it may write.

    code: its exit code; None for 0 or 2.
    """

    make: Make
    command: Sequence[str]
    code: int | None = 2
    leaves: bool = False


class _Executes:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


PICKLE = pickle.dumps(_Executes())
DEEP = b"[" * 100_000
NESTED = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
HUGE_INT = b"9" * 100_000
YAML_BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def writes(name: str, content: bytes | str) -> Make:
    def make() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)

    return make


def makes(*steps: Make) -> Make:
    def make() -> None:
        for step in steps:
            step()

    return make


def sparse(name: str, size: int = 2**40) -> Make:
    """A file that says it has a terabyte and takes no space."""

    def make() -> None:
        with open(name, "wb") as file:
            file.truncate(size)

    return make


def special(name: str) -> dict[str, Make]:
    """What is no regular file in the place of one."""
    return {
        "a pipe": lambda: os.mkfifo(name),
        "a device": lambda: os.symlink("/dev/zero", name),
        "a terminal": lambda: os.symlink("/dev/tty", name),
        "a folder": lambda: os.mkdir(name),
        "a link to itself": lambda: os.symlink(name, name),
        "a link to a pipe": lambda: (os.mkfifo("pipe"), os.symlink("pipe", name)),
    }


def zipped(name: str, member: str, content: bytes) -> Make:
    def make() -> None:
        with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(member, content)

    return make


def tarred(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def packed_bomb(name: str, piece: bytes, times: int) -> Make:
    """A small gzip file of a vector and of one piece many times."""

    def make() -> None:
        with open(name, "wb") as file:
            file.write(gzip.compress(b"a 1 2\n"))
            file.write(gzip.compress(piece, 9) * times)

    return make


def run_with(*steps: Make, without: str | None = None) -> Make:
    """The shipped model as a run in `run`, and steps in there."""

    def make() -> None:
        shutil.copytree(QUICKSTART, "run")
        os.chdir("run")
        if without is not None:
            Path(without).unlink(missing_ok=True)
        makes(*steps)()
        os.chdir("..")

    return make


def inside(folder: str, make: Make) -> Make:
    def step() -> None:
        before = os.getcwd()
        os.chdir(folder)
        make()
        os.chdir(before)

    return step


def sealed(files: Sequence[str]) -> None:
    """Write a manifest that agrees with the files in the current folder."""
    listed = {}
    for name in files:
        is_file = os.path.isfile(name) and not os.path.islink(name) and os.path.getsize(name) < 2**30
        content = Path(name).read_bytes() if is_file else b""
        listed[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    Path("MANIFEST.json").write_text(json.dumps({"format_version": 1, "files": listed}))
