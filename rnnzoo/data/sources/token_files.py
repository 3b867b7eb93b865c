"""Token files: text that was encoded once, by `rnnzoo prepare`, and is mapped into memory where it is read."""

from __future__ import annotations

from rnnzoo.data.base import Columns, Source
from rnnzoo.data.prepared import Prepared
from rnnzoo.data.store import Store
from rnnzoo.errors import DataError
from rnnzoo.system.paths import typed


class TokenFiles(Source):
    """A folder of `rnnzoo prepare RECIPE --out FOLDER`: a language model's text as numbers, with its vocabulary.

    All processes and runs on a machine read one copy, a batch at a time; none holds it in memory. The vocabulary, and
    how the text was cut, are those of the folder: `vocab_size`, `min_freq`, `unit` and `lowercase` change nothing.

    folder: of the files; it may be read-only.
    """

    form = "text_stream"

    def __init__(self, folder: str) -> None:
        self.folder = typed(folder)
        self._store: Store | None = None

    def store(self) -> Store:
        if self._store is None:
            self._store = Store.at(self.folder)
        return self._store

    def read(self) -> dict[str, Columns]:
        raise DataError(
            f"{self.folder} holds numbers, not the text that they were made from.\n"
            "  Name the data set of the text where rows are asked for."
        )

    def part_name(self, part: str) -> str:
        return f"{self.folder}, {part} split"

    def identity(self) -> dict[str, str | None]:
        """Those of the data that the files were made from."""
        try:
            return Prepared(self.store()).identity
        except DataError:
            return {"id": self.folder.name, "revision": None}
