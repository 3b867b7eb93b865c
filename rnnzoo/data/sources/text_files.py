"""The user's own labelled texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from rnnzoo.data.base import Columns
from rnnzoo.data.readers import tables
from rnnzoo.data.readers.delimited import check_delimiter
from rnnzoo.data.readers.labels import read_label_sets, read_labels
from rnnzoo.data.readers.table import Keys
from rnnzoo.data.sources.own_files import FileSource, unreadable
from rnnzoo.errors import DataError
from rnnzoo.limits import Fraction, checked


class TextFiles(FileSource):
    """Your own labelled texts: CSV, TSV, JSON lines or Parquet, as each file's ending says.

    Each has one label or, for the task multilabel, any number.

    CSV has a header, commas, and double quotes round what holds a comma, a quote or a line feed. TSV has a header,
    tabs, and no quotes. JSON lines (.jsonl, .json) has one object a line. Lines end at a line feed. Labels may be
    numbers, truth values and dates; blanks at the ends of a label are cut.

    train, dev, test: paths. Without dev, the last `dev_fraction` of each label's training rows are held out; without
    test, there is none. encoding: of CSV, TSV and JSON lines; UTF-16 is recognised by its byte order mark.
    missing_label: the label of rows without one, which are refused if it is not given. delimiter: what separates the
    values of CSV and TSV; if not given, semicolons, tabs, commas or vertical bars are found in the header.
    separator: what stands between the labels of one text, | if not given; a list, as JSON has it, needs none.
    """

    form = "labelled_text"
    forms: ClassVar[tuple[str, ...]] = ("labelled_text", "multilabelled_text")
    keys: ClassVar[Keys] = ("text_column", "label_column")  # the options that name the columns

    @checked
    def __init__(
        self,
        train: str,
        dev: str | None = None,
        test: str | None = None,
        text_column: str = "text",
        label_column: str = "label",
        encoding: str = "utf-8",
        dev_fraction: Fraction = 0.1,
        missing_label: str | None = None,
        delimiter: str | None = None,
        separator: str | None = None,
    ) -> None:
        super().__init__({"train": train, "dev": dev, "test": test}, encoding, dev_fraction)
        check_delimiter(delimiter)
        self.delimiter, self.separator = delimiter, "|" if separator is None else separator
        if not self.separator:
            raise ValueError("separator must not be empty")
        self.text_column, self.label_column, self.missing_label = text_column, label_column, missing_label

    def unreadable(self, part: str, path: Path) -> str | None:
        return unreadable(part, path)

    def columns(self, path: Path) -> Columns:
        named = (self.text_column, self.label_column)
        table = tables.read_columns(path, named, self.encoding, self.keys, self.delimiter)
        return self._converted(path, table)

    def chunks(self, path: Path) -> Iterator[Columns]:
        named, first = (self.text_column, self.label_column), 1
        for table in tables.chunks(path, named, self.encoding, self.keys, self.delimiter):
            yield self._converted(path, table, first)
            first += len(table[self.text_column])

    def _converted(self, path: Path, table: Columns, first: int = 1) -> Columns:
        """The columns of the form, of a table's. first: the number of its first row in the file."""
        texts, labels = table[self.text_column], table[self.label_column]
        for row, text in enumerate(texts, start=first):
            if not isinstance(text, str):
                raise DataError(f"{path}, row {row}: '{self.text_column}' is {text!r:.80}, not text.")
        of = (str(path), self.label_column, labels)
        if self.form == "multilabelled_text":
            return {"text": texts, "labels": read_label_sets(*of, self.separator, first)}
        return {"text": texts, "label": read_labels(*of, self.missing_label, first)}
