"""Files from anywhere, read within bounds; files of ours, written completely or not at all.

Reading raises what `open` raises, so that each caller says in its own words what was asked: OSError, whose `strerror`
also names a pipe, a device or a file that is too large; ValueError for content that cannot be read. `reason` makes one
line of either. Importing this module does not import torch.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, BinaryIO

from rnnzoo.errors import Unwritable
from rnnzoo.system.quantities import size

JsonObject = dict[str, Any]  # whatever a JSON file or a logger may hold, by keys that are texts
BLOCK = 2**20  # bytes
TEXT_LIMIT = 64 * 2**20  # bytes of a text or JSON file, unless the reader sets another
DATA_LIMIT = 4 * 2**30  # bytes of a file of examples
MAX_DEPTH = 100  # lists and mappings in each other
TEMPORARY = ".tmp-"  # begins the name of what is not complete yet; a crash may leave it behind
KINDS = {  # by what `stat` calls them
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
}
NO_FOLDER_SYNC = {  # answers of systems that cannot sync a folder: network mounts, FUSE, one without read permission
    *(errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EBADF)
}
_waits: ContextVar[bool] = ContextVar("waits", default=True)  # for the disk, until it has what was written
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # in JSON: half of a character, perhaps without its other half

# -- reading --------------------------------------------------------------------------------------------------------


def opened(path: str | Path, limit: int | None = None, links: bool = True) -> BinaryIO:
    """A regular file, opened for reading; anything else is refused at once, and is not waited for.

    limit: the most bytes that it may have; None for a file that is read piece by piece. links: whether a link is
    followed. Raises: OSError.
    """
    path = os.fspath(path)
    _check(path, os.stat(path, follow_symlinks=links), None)  # before it is opened, which a device may notice
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with contextlib.ExitStack() as on_failure:
        descriptor = os.open(path, flags | (0 if links else getattr(os, "O_NOFOLLOW", 0)))
        on_failure.callback(os.close, descriptor)
        _check(path, os.fstat(descriptor), limit)  # again, of what was opened
        file = os.fdopen(descriptor, "rb")
        on_failure.pop_all()
    return file


def _check(path: str, status: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        code = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
        raise OSError(code, f"it is {kind}, not a file", path)
    if limit is not None and status.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: str | Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {size(limit)}, the most that is read of such a file", str(path))


def read_bytes(path: str | Path, limit: int, links: bool = True) -> bytes:
    """The content of a file of at most `limit` bytes. Raises: OSError."""
    with opened(path, limit, links) as file:
        content = file.read(limit + 1) or b""  # it may have grown since
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


def read_text(path: str | Path, limit: int = TEXT_LIMIT, links: bool = True) -> str:
    """The text of a UTF-8 file, a byte order mark left out. Raises: OSError; ValueError, naming line and byte."""
    return utf8(read_bytes(path, limit, links))


def utf8(content: bytes) -> str:
    """Bytes as text, a byte order mark left out. Raises: ValueError, naming line and byte."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        line = content.count(b"\n", 0, start) + 1
        raise ValueError(f"line {line}: byte 0x{content[start]:02x} at offset {start} is not UTF-8") from None


def read_json(path: str | Path, limit: int = TEXT_LIMIT, links: bool = True) -> Any:
    """The value in a JSON file, see `json_value`. Raises: OSError, ValueError."""
    return json_value(read_text(path, limit, links))


def json_value(text: str, nan: bool = False) -> Any:
    """The value of a JSON text that every later step can work with.

    Refused are what strict JSON lacks (NaN, Infinity), numbers beyond those of a float, half characters (lone
    surrogates), and lists and mappings nested more than `MAX_DEPTH` deep. nan: whether NaN and Infinity are read, which
    other programs write, for a caller that says what is wrong in its own words. Raises: ValueError.
    """
    try:
        value = json.loads(text, parse_constant=float if nan else _no_constant, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"not JSON: {error.msg} at {at}") from None
    if text.count("[") + text.count("{") > MAX_DEPTH or SURROGATE.search(text) or not _whole_characters(text):
        _check_nested(value)
    return value


_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is beyond the numbers of a float")
    return value


def _whole(digits: str) -> int:
    _finite(digits)  # before the digits are read, which takes the square of their number
    return int(digits)


def _whole_characters(text: str) -> bool:
    try:
        text.encode()
        return True
    except UnicodeEncodeError:
        return False


def _check_nested(value: Any) -> None:
    """Raises: ValueError for a value nested too deep, or with a half character in a text of it."""
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not item.isascii() and not _whole_characters(item):
                raise ValueError("a text holds half of a character (a lone surrogate)")
        if depth == MAX_DEPTH and any(isinstance(item, (dict, list)) for item in level):
            raise ValueError(_TOO_DEEP)
        level, depth = below, depth + 1


def sha256(path: str | Path, links: bool = True) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises: OSError."""
    total = hashlib.sha256()
    with opened(path, links=links) as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def reason(error: BaseException) -> str:
    """Why a file could not be read or written, in one line without a full stop."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return (text.splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


# -- writing --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A name to write a file under, beside `path`; it takes the place of `path` at the end of the block, at once.

    Readers, and whoever comes after a crash, see the old file or the new one. Where the block fails, the old one stays
    and nothing else. The name ends as `path` does. Raises: OSError.
    """
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{path.suffix[-16:]}")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # it is there only where the block, or one of these, has failed
            temporary.unlink()
    sync_folder(path.parent)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file, or replace it, completely or not at all. Raises: Unwritable."""
    try:
        with replacing(path) as temporary, open(temporary, "xb") as file:
            file.write(content)
    except OSError as error:
        raise unwritable(path, error) from error


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, or replace it, completely or not at all. Raises: Unwritable."""
    write_bytes(path, text.encode("utf-8", "surrogatepass"))


def unwritable(path: str | Path, error: OSError) -> Unwritable:
    """The message for a file that the system does not let us write."""
    folder = Path(path).absolute().parent
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
    remedy = f"Free some space in {folder}" if full else f"Permit writing in {folder}"
    if not folder.is_dir():
        remedy = f"Make the folder {folder}"
    return Unwritable(
        f"cannot write {path}: {reason(error)}.\n  What was there before is untouched.\n"
        f"  {remedy}, or choose another place."
    )


def appending(path: str | Path) -> BinaryIO:
    """A file to add to, or to begin; a link is not followed, and a pipe not waited for. Raises: OSError."""
    with contextlib.ExitStack() as on_failure:
        file = on_failure.enter_context(open(path, "ab", opener=_open_to_write))
        _check(os.fspath(path), os.fstat(file.fileno()), None)
        on_failure.pop_all()
    return file


def append_text(path: str | Path, text: str) -> None:
    """Add to a text file, or begin it, see `appending`. Raises: OSError."""
    with appending(path) as file:
        file.write(text.encode())


def truncate(path: str | Path, size: int) -> None:
    """Cut a file to so many bytes, where it has more; a link is not followed. Raises: OSError."""
    with open(path, "rb+", opener=_open_to_write) as file:
        status = os.fstat(file.fileno())
        _check(os.fspath(path), status, None)
        if status.st_size > size:
            file.truncate(size)


def _open_to_write(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


@contextlib.contextmanager
def short_lived() -> Iterator[None]:
    """Within the block nothing waits for the disk: its files are gone soon after, and need not survive a power cut."""
    token = _waits.set(False)
    try:
        yield
    finally:
        _waits.reset(token)


def sync(path: str | Path) -> None:
    """Have a file's content on the disk. Raises: OSError."""
    if _waits.get():
        with open(path, "rb+") as file:
            sync_open(file)


def sync_open(file: IO[Any]) -> None:
    """Have an open file's content on the disk, once it is flushed. Raises: OSError."""
    if _waits.get():
        os.fsync(file.fileno())


def sync_folder(folder: str | Path) -> None:
    """Make renames in a folder survive a power cut, where the system can. Raises: OSError."""
    if not hasattr(os, "O_DIRECTORY") or not _waits.get():  # Windows
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
