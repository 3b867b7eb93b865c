"""Mistakes of a user, each as a message of a few lines: what was asked, what exists, how to fix it."""

from __future__ import annotations

from collections.abc import Iterable


class ZooError(Exception):
    """One or more mistakes of the caller. The command line prints the messages, without a traceback, and exits with 2.

    The first line of a message makes sense alone; the lines after it are indented and at most four.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class UnknownName(ZooError):
    """A name that is not in the registry, or is there twice."""


class PluginError(ZooError):
    """A registered part that cannot be imported or built."""


class CellError(ZooError, ValueError, TypeError):
    """Not a valid cell: it does not do what it declares. Raised when it is built, or at its first step."""


class RecipeError(ZooError):
    """A recipe, or an override on the command line, that cannot be run."""


class DataError(ZooError):
    """Data that are missing, or that cannot be read as they should."""


class Unavailable(DataError):
    """Data that cannot be reached here: there is no network, or the package that reads them is not installed."""


class RunError(ZooError):
    """A run's folder that cannot be written or read."""


class LostProcess(RunError):
    """A run of several processes, one of which is gone, does not answer or never came, as each of the others finds."""


class Unwritable(RunError):
    """A file that the system does not let us write: the disk is full, the folder is gone or read-only."""


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option closest in spelling to `word`, if one is close."""
    import difflib

    matches = difflib.get_close_matches(word, list(options), n=1, cutoff=0.6)
    return matches[0] if matches else None


def unknown(what: str, word: str, options: Iterable[str]) -> str:
    """The message for a word that is not one of `options`: with the nearest and all of them."""
    options = sorted(options)
    match = nearest(word, options)
    hint = f"\n  Did you mean '{match}'?" if match else ""
    return f"{what} '{word}'.{hint}\n  Known: {', '.join(options) or 'none'}."


SIGINT = 2  # Ctrl-C, on every system


class Stopped(KeyboardInterrupt):
    """A signal has asked the process to end. The command line exits with 128 + its number, as shells do."""

    def __init__(self, message: str = "", number: int = SIGINT) -> None:
        super().__init__(message)
        self.number = number
