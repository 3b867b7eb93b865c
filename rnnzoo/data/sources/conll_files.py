"""The user's own tagged words, in columns."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from rnnzoo.data.base import Columns
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.sources.own_files import FileSource
from rnnzoo.errors import DataError
from rnnzoo.limits import Count, Fraction, checked

log = logging.getLogger("rnnzoo")
COLUMNS = {".conllu": (2, 4)}  # of words and tags, by ending: CoNLL-U's FORM and UPOS


def cut(line: str) -> list[str]:
    """The columns of a line: separated by tabs, if it has one, else by blanks."""
    return [value.strip(" ") for value in (line.split("\t") if "\t" in line else re.split(" +", line.strip(" ")))]


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
        self._lines: dict[Path, list[int]] = {}  # of each sentence's first word, counted from 1

    def columns(self, path: Path) -> Columns:
        is_conllu = path.suffix.lower() == ".conllu"
        sentences: list[list[int]] = [[]]  # indices into `lines`
        lines: list[tuple[int, list[str]]] = []  # each word's line, counted from 1, and its columns
        text = [line.removesuffix("\r") for line in decoded(path, self.encoding).split("\n")]
        comments = self._comments(path, text)
        for number, line in enumerate(text, start=1):
            if not line.strip(" \t") or line.startswith("-DOCSTART-"):
                sentences.append([])
                continue
            if number in comments or (is_conllu and re.match(r"\d+[-.]\d+\t", line)):
                continue
            values = cut(line)
            lines.append((number, values))
            if len(values) != len(lines[0][1]):
                raise DataError(
                    f"{path}, line {number}: {len(values)} columns, where line {lines[0][0]} has {len(lines[0][1])}.\n"
                    f"  Found: {line:.80}\n"
                    "  A blank line ends a sentence; a word with blanks in it needs columns separated by tabs."
                )
            sentences[-1].append(len(lines) - 1)
        if not lines:
            raise DataError(f"{path} has no words.\n  Give a line for each word, and a blank one after each sentence.")
        columns = dict(zip(("words", "tags"), self._places(path, len(lines[0][1])), strict=True))
        for name, column in columns.items():
            blank = next((number for number, values in lines if not values[column]), None)
            if blank is not None:
                raise DataError(
                    f"{path}, line {blank}: column {column + 1} is empty, where {name} stand.\n"
                    "  Give each word one tag; a blank line ends a sentence."
                )
        rows = [row for row in sentences if row]
        self._lines[path] = [lines[row[0]][0] for row in rows]
        return {name: [[lines[word][1][column] for word in row] for row in rows] for name, column in columns.items()}

    def _comments(self, path: Path, text: Sequence[str]) -> set[int]:
        """The lines, counted from 1, that are comments. Those that are found to be, unasked, are reported."""
        asked = self.comment or ("#" if path.suffix.lower() == ".conllu" else None)
        if asked:
            return {number for number, line in enumerate(text, start=1) if line.startswith(asked)}
        before_words, words = [], []
        at_start = True
        for number, line in enumerate(text, start=1):
            if not line.strip(" \t") or line.startswith("-DOCSTART-"):
                at_start = True
            elif at_start and re.match(r"#[ \t]", line):
                before_words.append((number, line))
            else:
                at_start = False
                words.append(line)
        if not before_words or not words:
            return set()
        width, tabs = len(cut(words[0])), "\t" in words[0]
        comments = {number for number, line in before_words if len(cut(line)) != width or (tabs and line[1] == " ")}
        if comments:
            first = text[min(comments) - 1]
            log.warning("%s: %d lines such as '%.60s' are skipped as comments.", path, len(comments), first)
        read_as_words = [(number, line) for number, line in before_words if number not in comments]
        if read_as_words:
            log.warning(
                "%s, line %d: '%.60s' is read as a word (%d such lines); `comment: \"#\"` skips them.",
                path,
                *read_as_words[0],
                len(read_as_words),
            )
        return comments

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
