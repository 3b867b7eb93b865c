"""The user's own tagged words, in columns."""

from __future__ import annotations

import logging
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rnnzoo.data.base import Columns
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.lines import text_lines
from rnnzoo.data.sources.own_files import FileSource
from rnnzoo.data.streaming.stream import bundled
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, Fraction, checked

log = logging.getLogger("rnnzoo")
COLUMNS = {".conllu": (2, 4)}  # of words and tags, by ending: CoNLL-U's FORM and UPOS


def cut(line: str) -> list[str]:
    """The columns of a line: separated by tabs, if it has one, else by blanks."""
    return [value.strip(" ") for value in (line.split("\t") if "\t" in line else re.split(" +", line.strip(" ")))]


AT_START = re.compile(r"#[ \t]")  # begins a line before a sentence's first word that may be a comment


class _Comments:
    """Which lines are comments: those that begin with `asked`, or, unasked, those that cannot be a word's.

    width, tabs: how many columns words have, and whether tabs separate them; 0 where there is no word.
    """

    def __init__(self, asked: str | None, width: int = 0, tabs: bool = False) -> None:
        self.asked, self.width, self.tabs = asked, width, tabs
        self.at_start = True
        self.skipped: list[tuple[int, str]] = []  # the first one
        self.read: list[tuple[int, str]] = []  # the first that looks like one, and is read as a word
        self.counts = [0, 0]

    def ended(self) -> None:
        """A sentence has ended before the next line."""
        self.at_start = True

    def has(self, number: int, line: str) -> bool:
        """Whether the line is a comment."""
        if self.asked:
            return line.startswith(self.asked)
        if not self.at_start or not AT_START.match(line):
            self.at_start = False
            return False
        comment = bool(self.width) and (len(cut(line)) != self.width or (self.tabs and line[1] == " "))
        kind = 0 if comment else 1
        self.counts[kind] += 1
        if self.counts[kind] == 1:
            (self.skipped if comment else self.read).append((number, line))
        return comment

    def report(self, path: Path) -> None:
        """Say what was skipped unasked, and what was not."""
        if self.skipped:
            log.warning(
                "%s: %d lines such as '%.60s' are skipped as comments.", path, self.counts[0], self.skipped[0][1]
            )
        if self.read and self.width:
            log.warning(
                "%s, line %d: '%.60s' is read as a word (%d such lines); `comment: \"#\"` skips them.",
                path,
                *self.read[0],
                self.counts[1],
            )


class ConllFiles(FileSource):
    """Your own tagged words in columns: a line for each word, a blank line after each sentence.

    Columns are separated by tabs, if the line has one, else by blanks. Lines end at a line feed only. Lines of
    -DOCSTART- belong to no sentence. Comments are skipped: in .conllu each line that begins with #; in other files
    those before a sentence's first word that begin with "# " and cannot be a word's, since they have another number of
    columns than words have, or a blank in a column of a file of tabs. In .conllu, words that stand for several (1-2) or
    for none (1.1) are skipped too.

    train, dev, test: paths. Without dev, the last `dev_fraction` of the training sentences are held out; without test,
    there is none. word_column, tag_column: counted from 1; the first and the last if not given, in .conllu the word and
    its universal part of speech. comment: each line that begins with this is a comment, as in `comment: "#"`.
    """

    form = "tagged_text"

    @checked
    def __init__(
        self,
        train: str,
        dev: str | None = None,
        test: str | None = None,
        word_column: Count | None = None,
        tag_column: Count | None = None,
        comment: str | None = None,
        encoding: str = "utf-8",
        dev_fraction: Fraction = 0.1,
    ) -> None:
        super().__init__({"train": train, "dev": dev, "test": test}, encoding, dev_fraction)
        if comment == "":
            raise ValueError("comment must be what comments begin with, as in '#', got ''")
        self.word_column, self.tag_column, self.comment = word_column, tag_column, comment
        self._lines: dict[Path, array[int]] = {}  # of each sentence's first word, counted from 1

    def columns(self, path: Path) -> Columns:
        text = [line.removesuffix("\r") for line in decoded(path, self.encoding).split("\n")]
        words, tags = zip(*self._sentences(path, lambda: text), strict=True)
        return {"words": list(words), "tags": list(tags)}

    def chunks(self, path: Path) -> Iterator[Columns]:
        def text() -> Iterator[str]:
            return (line.removesuffix("\r") for line in text_lines(path, self.encoding))

        return bundled(self._sentences(path, text), ("words", "tags"))

    def _sentences(self, path: Path, text: Callable[[], Iterable[str]]) -> Iterator[tuple[list[str], list[str]]]:
        """The words and the tags of each sentence. text: gives the lines, each time it is called."""
        is_conllu = path.suffix.lower() == ".conllu"
        comments = self._comments(path, text())
        self._lines[path] = begins = array("q")
        words: list[str] = []
        tags: list[str] = []
        places, first = (0, 0), (0, 0)  # of the first word: its line, and how many columns it has
        for number, line in enumerate(text(), start=1):
            if not line.strip(" \t") or line.startswith("-DOCSTART-"):
                comments.ended()
                if words:
                    yield words, tags
                words, tags = [], []
                continue
            if comments.has(number, line) or (is_conllu and re.match(r"\d+[-.]\d+\t", line)):
                continue
            values = cut(line)
            if not first[1]:
                first, places = (number, len(values)), self._places(path, len(values))
            if len(values) != first[1]:
                raise DataError(
                    f"{path}, line {number}: {len(values)} columns, where line {first[0]} has {first[1]}.\n"
                    f"  Found: {line:.80}\n"
                    "  A blank line ends a sentence; a word with blanks in it needs columns separated by tabs."
                )
            for name, place in zip(("words", "tags"), places, strict=True):
                if not values[place]:
                    raise DataError(
                        f"{path}, line {number}: column {place + 1} is empty, where {name} stand.\n"
                        "  Give each word one tag; a blank line ends a sentence."
                    )
            if not words:
                begins.append(number)
            words.append(values[places[0]])
            tags.append(values[places[1]])
        if words:
            yield words, tags
        if not first[1]:
            raise DataError(f"{path} has no words.\n  Give a line for each word, and a blank one after each sentence.")
        comments.report(path)

    def _comments(self, path: Path, text: Iterable[str]) -> _Comments:
        if asked := self.comment or ("#" if path.suffix.lower() == ".conllu" else None):
            return _Comments(asked)
        at_start = True
        for line in text:
            if not line.strip(" \t") or line.startswith("-DOCSTART-"):
                at_start = True
            elif not (at_start and AT_START.match(line)):
                return _Comments(None, len(cut(line)), "\t" in line)
        return _Comments(None)

    def row_in_file(self, path: Path, row: int) -> str:
        return f"sentence {row + 1} (line {self._lines[path][row]})"

    def _places(self, path: Path, count: int) -> tuple[int, int]:
        """Where the words and the tags stand, from 0. Raises: DataError if there are not so many columns."""
        usual = COLUMNS.get(path.suffix.lower(), (1, max(2, count)))
        asked = {"word_column": self.word_column or usual[0], "tag_column": self.tag_column or usual[1]}
        for name, column in asked.items():
            if column > count:
                raise DataError(
                    f"{path} has no column {column}: its lines have {count}.\n"
                    f"  {name} is counted from 1. Columns are separated by tabs or blanks."
                )
        return asked["word_column"] - 1, asked["tag_column"] - 1
