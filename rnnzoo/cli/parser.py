"""The parser of one verb: `argparse`, with our error messages, a recipe's keys, and texts that begin with a dash."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

from rnnzoo.errors import ZooError

__all__ = ["Namespace", "Parser", "Verb"]


class Verb(Protocol):
    """What the module of a verb holds. Its imports are light: the heavy ones stand inside `run`."""

    EXAMPLE: str

    def add_arguments(self, parser: Parser) -> None:
        """Add the arguments that follow the verb."""

    def run(self, arguments: Namespace) -> int:
        """Run the command and return its exit code. Raises: ZooError for a mistake of the caller."""


class Parser(argparse.ArgumentParser):
    """Arguments of a verb, or of a verb within a verb, as `rnnzoo bench cell`.

    takes_keys: set it where a recipe's keys may stand among the arguments, as `--a.b value`, `--a.b=value` or
    `--seed 2`; the namespace has them as `overrides`, a list of words. text_flags: those whose value may begin with a
    dash, `--text -bad`, unless it is another flag. A flag of two words may be written with a dash or an underscore.
    """

    takes_keys = False
    text_flags: tuple[str, ...] = ()

    def __init__(self, **keywords: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **keywords)

    def error(self, message: str) -> NoReturn:
        """Raises: ZooError."""
        raise ZooError(f"{self.prog}: {message}.\n  See `{self.prog} --help`.")

    # argparse's has an overload for each kind of namespace, and here there is one kind
    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """As argparse does, after the recipe's keys are taken out. Raises: ZooError."""
        words = self._with_texts([self._spelled(word) for word in args or ()])
        words, overrides = self._without_keys(words) if self.takes_keys else (words, [])
        namespace, rest = super().parse_known_args(words, namespace)
        if self.takes_keys:
            namespace.overrides = overrides
        return namespace, rest

    def _own(self, word: str) -> argparse.Action | None:
        """The flag of this parser that a word is, alone or with its value: `--json`, `--run_dir=x`."""
        flag = word.partition("=")[0]
        return None if "." in flag else self._option_string_actions.get(flag)

    def _spelled(self, word: str) -> str:
        """`--run-dir=x` as `--run_dir=x`, where that is a flag of this parser."""
        flag, equals, value = word.partition("=")
        other = flag.replace("-", "_").replace("__", "--", 1)
        return f"{other}{equals}{value}" if not self._own(flag) and self._own(other) else word

    def _with_texts(self, words: list[str]) -> list[str]:
        """`--text -bad` as `--text=-bad`."""
        joined: list[str] = []
        for word in words:
            if joined and joined[-1] in self.text_flags and word.startswith("-") and not self._own(word):
                joined[-1] += f"={word}"
            else:
                joined.append(word)
        return joined

    def _without_keys(self, words: list[str]) -> tuple[list[str], list[str]]:
        """The words that are this parser's, and the recipe's keys with their values."""
        own: list[str] = []
        overrides: list[str] = []
        waiting = words[::-1]
        while waiting:
            word = waiting.pop()
            action = self._own(word)
            if not word.startswith("--") or action:
                own.append(word)
                if action and action.nargs is None and "=" not in word and waiting:
                    own.append(waiting.pop())
                continue
            overrides.append(word)
            if "=" not in word and waiting and not waiting[-1].startswith("--"):
                overrides.append(waiting.pop())
        return own, overrides
