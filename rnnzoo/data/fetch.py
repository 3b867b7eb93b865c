"""Files that are not on the Hub: from a path, or from an https address with the digest of what must come."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from rnnzoo.errors import DataError, Unavailable, nearest
from rnnzoo.system import files

MAX_BYTES = 4 * 2**30  # of a download
BLOCK = 2**20  # bytes
PIN = "#sha256="
TIMEOUT = 30.0  # seconds without a byte

Open = Callable[..., Any]  # as urllib.request.urlopen


def fetch(place: str | Path, sha256: str | None = None) -> Path:
    """The local file of a path or of an https address, which is downloaded once and kept.

    sha256: of the file, in hexadecimal; an address needs it. It may stand at the end of `place`, as pip has it:
    "#sha256=0a1b...". A kept download is checked at each call, and replaced if it has changed. Two processes may fetch
    the same file: each writes its own, and the last one stays.
    Raises: DataError if there is no such file, it cannot be downloaded, or it has another digest.
    """
    place, mark, pinned = str(place).partition(PIN)
    sha256 = pinned if mark else sha256
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DataError(f"a SHA-256 has 64 hexadecimal digits, got {sha256!r:.80}.")
    scheme, colon, _ = place.partition("://")
    if not colon:
        return _local(Path(place), sha256)
    if scheme.lower() != "https":
        raise DataError(
            f"cannot fetch '{place}': its scheme is {scheme}.\n  Give the path of a file, or an https:// address."
        )
    if sha256 is None:
        raise DataError(
            f"'{place}' is given without its SHA-256, so nobody could tell what came.\n"
            f"  Download it once, look at it, and give what `sha256sum FILE` prints, as ADDRESS{PIN}DIGEST."
        )
    kept = _cache() / sha256.lower() / _name(place)
    if not kept.is_file() or digest(kept) != sha256.lower():
        download(place, kept, sha256.lower())
    return kept


def _local(path: Path, sha256: str | None) -> Path:
    if not path.is_file():
        if path.exists():
            raise DataError(f"'{path}' is not a file.")
        near = nearest(path.name, [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else [])
        hint = f"\n  Did you mean '{path.parent / near}'?" if near else ""
        raise DataError(f"there is no file '{path}'.{hint}\n  Looked in {path.parent.resolve()}.")
    if sha256 is not None and (found := digest(path)) != sha256.lower():
        raise DataError(_differs(f"'{path}'", sha256.lower(), found))
    return path


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises: DataError if it cannot be read."""
    try:
        return files.sha256(path)
    except OSError as cause:
        raise DataError(f"cannot read {path}: {files.reason(cause)}.") from cause


def download(url: str, path: Path, sha256: str, opened: Open | None = None, max_bytes: int = MAX_BYTES) -> None:
    """Write what the address gives to `path`, complete and with the digest expected, or not at all.

    Raises: DataError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
        try:
            total = hashlib.sha256()
            with temporary.open("xb") as file:
                for block in _blocks(url, opened or _https().open, max_bytes):
                    total.update(block)
                    file.write(block)
            if total.hexdigest() != sha256:
                raise DataError(_differs(f"what came from '{url}'", sha256, total.hexdigest()))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as cause:
        raise DataError(
            f"cannot keep '{url}' in {path.parent}: {cause.strerror or cause}.\n"
            "  The variable RNNZOO_CACHE names another folder for downloads."
        ) from cause


def _blocks(url: str, opened: Open, max_bytes: int) -> Iterator[bytes]:
    """The bytes of an answer, block by block."""
    try:
        with opened(url, timeout=TIMEOUT) as answer:
            told, read = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read(BLOCK):
                read += len(block)
                if max(read, told) > max_bytes:
                    raise DataError(f"'{url}' is larger than {max_bytes} bytes, which is the most that is fetched.")
                yield block
        if read < told:
            raise DataError(f"'{url}' ended after {read} of {told} bytes.\n  Try again.")
    except urllib.error.HTTPError as cause:
        raise Unavailable(f"cannot download '{url}': the server answers {cause.code} {cause.reason}.") from cause
    except (OSError, ValueError, http.client.HTTPException) as cause:
        why = getattr(cause, "reason", None) or cause
        raise Unavailable(
            f"cannot download '{url}': {why}.\n  Without a network, give the path of a copy instead of the address."
        ) from cause


class _StayWithHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"the server points to '{newurl}', which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _https() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_StayWithHttps)


def _cache() -> Path:
    """The folder of downloads: in $RNNZOO_CACHE, or in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("RNNZOO_CACHE") or Path(home) / "rnnzoo") / "downloads"


def _name(url: str) -> str:
    """The last word of an address, as the name of a file: readers tell a format by its ending."""
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name)[-100:].lstrip(".")
    return name or "file"


def _differs(what: str, expected: str, found: str) -> str:
    return (
        f"{what} has another SHA-256 than expected.\n  Expected {expected}\n  found    {found}.\n"
        "  The file has changed, or the download is not the file: look at it before you trust its digest."
    )
