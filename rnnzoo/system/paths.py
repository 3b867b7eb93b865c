"""Paths as a person types them, and the folder for what can be made or fetched again."""

import os
from pathlib import Path


def typed(text: str | Path) -> Path:
    """A path from a recipe or the command line: `~` is the home folder, if there is one."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


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
