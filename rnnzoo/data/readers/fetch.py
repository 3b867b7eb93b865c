"""Files that are not on the Hub: from a path, or from an https address with the digest that the file must have."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from rnnzoo.errors import DataError, Unavailable, nearest
from rnnzoo.system import files
from rnnzoo.system.paths import cache_folder, typed
from rnnzoo.system.quantities import size
from rnnzoo.system.redaction import without_secrets

MAX_BYTES = 4 * 2**30  # of a download
BLOCK = 2**20  # bytes
PIN = "#sha256="
TIMEOUT = 30.0  # seconds without a byte
PATIENCE = 60.0  # seconds for an answer to begin, and that a download may be slow for
LEAST_RATE = 2**15  # bytes a second, from then on

SERVER_ERRORS = (OSError, ValueError, http.client.HTTPException)  # of a request that fails
Clock = Callable[[], float]
Open = Callable[..., Any]  # as urllib.request.urlopen


def fetch(location: str | Path, sha256: str | None = None) -> Path:
    """The local file of a path or of an https address, which is downloaded once and kept.

    sha256: of the file, in hexadecimal; an address needs it. It may stand at the end of `location`, as pip has it:
    "#sha256=0a1b...". A kept download is checked at each call, and replaced if it has changed. Two processes may fetch
    the same file: each writes its own, and the last one stays.
    Raises: DataError if there is no such file, it cannot be downloaded, or it has another digest.
    """
    location, mark, pinned = str(location).partition(PIN)
    sha256 = pinned if mark else sha256
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DataError(f"a SHA-256 has 64 hexadecimal digits, got {sha256!r:.80}.")
    scheme, colon, _ = location.partition("://")
    if not colon:
        return _local(typed(location), sha256)
    if scheme.lower() != "https":
        raise DataError(
            f"cannot fetch '{without_secrets(location)}': its scheme is {scheme}.\n"
            "  Give the path of a file, or an https:// address."
        )
    if sha256 is None:
        raise DataError(
            f"'{without_secrets(location)}' is given without its SHA-256, so nobody could tell what came.\n"
            f"  Download it once, look at it, and give what `sha256sum FILE` prints, as ADDRESS{PIN}DIGEST."
        )
    kept = _cache() / sha256.lower() / _name(location)
    if not kept.is_file() or digest(kept) != sha256.lower():
        download(location, kept, sha256.lower())
    return kept


def _local(path: Path, sha256: str | None) -> Path:
    if not os.path.isfile(path):
        if os.path.exists(path):
            raise DataError(f"'{path}' is not a file.")
        near = nearest(path.name, [file.name for file in path.parent.iterdir()] if os.path.isdir(path.parent) else [])
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


def download(
    url: str, path: Path, sha256: str, opened: Open | None = None, max_bytes: int = MAX_BYTES, clock: Clock = monotonic
) -> None:
    """Download a file to `path`, complete and with the expected digest, or not at all.

    clock: seconds. Raises: DataError; a server is waited for `PATIENCE` seconds and as long as it keeps `LEAST_RATE`.
    """
    shown = without_secrets(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        total = hashlib.sha256()
        with files.replacing(path) as temporary:
            with temporary.open("xb") as file:
                for block in _blocks(url, opened or _https().open, max_bytes, clock):
                    total.update(block)
                    file.write(block)
            if total.hexdigest() != sha256:
                raise DataError(_differs(f"what came from '{shown}'", sha256, total.hexdigest()))
    except OSError as cause:
        raise DataError(
            f"cannot keep '{shown}' in {path.parent}: {files.reason(cause)}.\n"
            "  The variable RNNZOO_CACHE names another folder for downloads."
        ) from cause


def _blocks(url: str, opened: Open, max_bytes: int, clock: Clock) -> Iterator[bytes]:
    """The bytes of an answer, block by block."""
    shown, began = without_secrets(url), clock()
    try:
        with _answer(url, opened) as answer:
            announced, read = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read1(BLOCK):  # what is there: not waiting for a whole block
                read += len(block)
                if max(read, announced) > max_bytes:
                    raise DataError(f"'{shown}' is larger than {max_bytes} bytes, which is the most that is fetched.")
                if clock() - began > PATIENCE + read / LEAST_RATE:
                    raise TimeoutError(f"the server sends less than {size(LEAST_RATE)} a second")
                yield block
        if read < announced:
            raise DataError(f"'{shown}' ended after {read} of {announced} bytes.\n  Try again.")
    except urllib.error.HTTPError as cause:
        raise Unavailable(f"cannot download '{shown}': the server answers {cause.code} {cause.reason}.") from cause
    except SERVER_ERRORS as cause:
        why = without_secrets(str(getattr(cause, "reason", None) or cause))
        raise Unavailable(
            f"cannot download '{shown}': {why}.\n  Without a network, give the path of a copy instead of the address."
        ) from cause


def _answer(url: str, opened: Open) -> Any:
    """The server's answer, once its headers are there, which may come slowly as well. Raises: SERVER_ERRORS."""
    answers: list[Any] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(opened(url, timeout=TIMEOUT))
        except SERVER_ERRORS as error:
            errors.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer within {PATIENCE:g} seconds")
    return answers[0]


class _StayWithHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"the server points to '{newurl}', which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _https() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_StayWithHttps)


def _cache() -> Path:
    """The folder of downloads; the temporary folder for a user without a home."""
    try:
        return cache_folder("downloads")
    except OSError:
        return Path(tempfile.gettempdir(), "rnnzoo", "downloads")


def _name(url: str) -> str:
    """The last word of an address, as the name of a file: readers tell a format by its ending."""
    name = re.sub(r"[^\w.-]", "_", PurePosixPath(unquote(urlsplit(url).path)).name)[-100:].lstrip(".")
    return name or "file"


def _differs(what: str, expected: str, found: str) -> str:
    return (
        f"{what} has another SHA-256 than expected.\n  Expected {expected}\n  found    {found}.\n"
        "  The file has changed, or the download is not the file: look at it before you trust its digest."
    )
