"""Paths as a person types them, and the folder for what can be made or fetched again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_second: ContextVar[Path | None] = ContextVar("second", default=None)


@contextmanager
def also_from(folder: Path | None) -> Iterator[None]:
    """Within the block, a relative path that is not found here is looked for in this folder, too."""
    token = _second.set(folder)
    try:
        yield
    finally:
        _second.reset(token)


def typed(text: str | Path) -> Path:
    """A path from a recipe or the command line: `~` is the home folder, if there is one; see `also_from`."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        path = Path(text)
    folder = _second.get()
    if folder is not None and not path.is_absolute() and not _is_there(path) and _is_there(folder / path):
        return folder / path
    return path


def _is_there(path: Path) -> bool:
    """Whether a file is there, or files that begin with the path and have endings, as of pairs in two languages."""
    if os.path.exists(path):
        return True
    return os.path.isdir(path.parent) and any(file.stem == path.name for file in path.parent.iterdir())


def cache_folder(kind: str) -> Path:
    """The folder for what is kept between runs: $RNNZOO_CACHE, or rnnzoo in the user's cache folder.

    Raises: OSError where the user has no home folder, as a numbered user of a container.
    """
    if own := os.environ.get("RNNZOO_CACHE"):
        return typed(own) / kind
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return typed(shared) / "rnnzoo" / kind
    try:
        return Path.home() / ".cache" / "rnnzoo" / kind
    except RuntimeError:
        raise OSError(None, "this user has no home folder; $RNNZOO_CACHE names a place") from None
