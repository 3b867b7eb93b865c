"""From C++ source to a loaded library: on-disk cache by source, compiler, flags and processor.

The cache folder must belong to the user and be writable by nobody else, since its files are loaded into the
process. A library is built under a temporary name and renamed when it is complete, with its hash beside it. So several
processes may build the same one at once, and a damaged file is built again.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from rnnzoo.system import paths

FLAGS = (
    "-O3",
    "-march=native",
    "-std=c++17",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fopenmp-simd",
    "-fPIC",
    "-shared",
)
SECONDS = 120  # for one compilation


class Unbuildable(Exception):
    """Why no library could be made."""


@lru_cache(maxsize=1)
def compiler() -> str:
    """The path of a C++ compiler: $CXX, or g++, clang++, c++. Raises: Unbuildable."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        if name and (path := shutil.which(name)):
            return path
    raise Unbuildable("no C++ compiler was found (g++ or clang++; $CXX names another)")


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """The compiler, its flags, and the processor features that -march=native means here. Raises: Unbuildable."""
    command = [compiler(), *FLAGS[:2], "-dM", "-E", "-x", "c++", os.devnull]
    try:
        macros = subprocess.run(command, check=True, capture_output=True, timeout=SECONDS).stdout
    except (OSError, subprocess.SubprocessError) as cause:
        raise Unbuildable(f"{compiler()} does not run: {_first_line(cause)}") from cause
    return hashlib.sha256(macros + " ".join((compiler(), *FLAGS)).encode()).hexdigest()


def cache_folder() -> Path:
    """The folder of libraries, in $RNNZOO_CACHE or the user's cache. Raises: Unbuildable if others may write to it."""
    try:
        folder = paths.cache_folder("native")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as cause:
        raise Unbuildable(f"there is no cache folder: {cause.strerror} {cause.filename or ''}".strip()) from cause
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        raise Unbuildable(f"the cache folder {folder} must belong to you and be writable by you alone")
    return folder


def load(source: str) -> ctypes.CDLL:
    """The library of a source, built if it is not in the cache. Raises: Unbuildable."""
    folder = cache_folder()
    name = hashlib.sha256(f"{fingerprint()}{source}".encode()).hexdigest()[:24]
    path, seal = folder / f"{name}.so", folder / f"{name}.sha256"
    if not _sealed(path, seal):
        _build(source, path, seal)
    try:
        return ctypes.CDLL(str(path))
    except OSError as cause:
        raise Unbuildable(f"the library {path} does not load: {_first_line(cause)}") from cause


def _sealed(path: Path, seal: Path) -> bool:
    """Whether a library is complete and undamaged: its hash is the one beside it."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == seal.read_text().strip()
    except OSError:
        return False


def _build(source: str, path: Path, seal: Path) -> None:
    """Raises: Unbuildable, with the compiler's first error."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-") as scratch:
            code, built = Path(scratch) / "cell.cpp", Path(scratch) / "cell.so"
            code.write_text(source)
            subprocess.run(
                [compiler(), *FLAGS, str(code), "-o", str(built)], check=True, capture_output=True, timeout=SECONDS
            )
            sealed = Path(scratch) / "seal"
            sealed.write_text(hashlib.sha256(built.read_bytes()).hexdigest())
            os.replace(built, path)
            os.replace(sealed, seal)
    except (OSError, subprocess.SubprocessError) as cause:
        raise Unbuildable(f"{compiler()} could not build the cell: {_first_line(cause)}") from cause


def _first_line(cause: BaseException) -> str:
    output: bytes = getattr(cause, "stderr", None) or b""
    errors = [line for line in output.decode("utf-8", "replace").splitlines() if "error" in line]
    return (errors or str(cause).splitlines() or [type(cause).__name__])[0]
