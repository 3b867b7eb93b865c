"""The user's own running text, as a stream and as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rnnzoo.data.base import Columns
from rnnzoo.data.readers.encodings import decoded
from rnnzoo.data.readers.lines import text_lines
from rnnzoo.data.sources.own_files import FileSource
from rnnzoo.data.streaming.stream import bundled
from rnnzoo.limits import Fraction, checked


class TextLines(FileSource):
    """Your own running text: plain text files, read line by line. A line ends at a line feed only.

    train, dev, test: paths. Without dev, the last `dev_fraction` of the training lines are held out; without test,
    there is none. encoding: of all files.
    """

    form = "text_stream"

    @checked
    def __init__(
        self,
        train: str,
        dev: str | None = None,
        test: str | None = None,
        encoding: str = "utf-8",
        dev_fraction: Fraction = 0.1,
    ) -> None:
        super().__init__({"train": train, "dev": dev, "test": test}, encoding, dev_fraction)

    def columns(self, path: Path) -> Columns:
        text = decoded(path, self.encoding).removesuffix("\n")
        return {"text": [line.removesuffix("\r") for line in text.split("\n")]}

    def chunks(self, path: Path) -> Iterator[Columns]:
        lines = ((line.removesuffix("\r"),) for line in text_lines(path, self.encoding))
        return bundled(lines, ("text",))


class Sentences(TextLines):
    """Your own sentences: plain text files, one a line; see `TextLines`."""

    form = "masked_text"
