"""Rows that a program has in memory; `rnnzoo.fit(recipe, data=...)` names them.

A recipe holds their SHA-256 alone. The rows are here while they are trained on, and are not kept with the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from rnnzoo.data.base import Columns, Source, rows_digest
from rnnzoo.data.readers.frames import Rows
from rnnzoo.data.readers.labels import as_text, read_labels
from rnnzoo.data.splits import drawn, held_out, taken
from rnnzoo.errors import DataError
from rnnzoo.limits import Fraction, checked

IN_ORDER = ("text_stream",)  # forms whose neighbouring rows belong together, so that the last ones are held out
_held: dict[str, Mapping[str, Rows]] = {}


@contextmanager
def held(parts: Mapping[str, Rows]) -> Iterator[str]:
    """Within the block, data sets of this module can read these rows of "train", and perhaps "dev" and "test".

    Gives the `rows` by which a recipe names them: SHA-256, in hexadecimal, equal for equal rows.
    """
    digest = hashlib.sha256()
    for part in sorted(parts):
        digest.update(f"{part} {rows_digest(parts[part].columns)} ".encode())
    key = digest.hexdigest()
    before = _held.get(key)
    _held[key] = parts
    try:
        yield key
    finally:
        if before is None:
            _held.pop(key, None)


class InMemory(Source):
    """Rows that were given in Python, with the columns of their form: `text` and `label`, `words` and `tags`, ...

    rows: their SHA-256; the rows themselves are there while `held` has them. dev_fraction: where there is no dev split,
    this share of the training rows is held out, of those of each label where rows have one. missing_label: the label of
    rows without one, which are refused if it is not given.
    """

    form = "labelled_text"
    forms: ClassVar[tuple[str, ...]] = (
        "labelled_text",
        "tagged_text",
        "text_pairs",
        "text_stream",
        "masked_text",
        "labelled_series",
        "measured_series",
    )

    @checked
    def __init__(self, rows: str, dev_fraction: Fraction = 0.1, missing_label: str | None = None) -> None:
        self.rows, self.dev_fraction, self.missing_label = rows, dev_fraction, missing_label
        self._places: dict[str, list[int]] = {}  # of the training rows, that each part of them has

    def read(self) -> dict[str, Columns]:
        parts = {part: self._converted(part, rows.columns) for part, rows in self._parts().items()}
        if "dev" not in parts:
            train = parts["train"]
            kept, dev = self._held_out(train)
            if not kept or not dev:
                alike = " of one label" if "label" in train else ""
                raise DataError(
                    f"the train data have no two rows{alike}, so none can be held out.\n  Give a dev split."
                )
            parts |= {"train": taken(train, kept), "dev": taken(train, dev)}
            self._places = {"train": kept, "dev": dev}
        return parts

    def _parts(self) -> Mapping[str, Rows]:
        """Raises: DataError if the rows are not here."""
        if self.rows not in _held:
            raise DataError(
                "the data of this run were given in memory, and are not kept with it.\n"
                f"  Their SHA-256 is {self.rows[:12]}...\n"
                "  Give them again in Python: rnnzoo.fit('config.yaml', data=...), with the run's config.yaml."
            )
        return _held[self.rows]

    def _held_out(self, train: Columns) -> tuple[list[int], list[int]]:
        count = len(next(iter(train.values())))
        if "label" in train or self.form in IN_ORDER:
            return held_out(train.get("label", [None] * count), self.dev_fraction)
        return drawn(count, self.dev_fraction, seed=0)

    def _converted(self, part: str, columns: Columns) -> Columns:
        """New lists of the values, labels and tags as texts."""
        found = {name: list(values) for name, values in columns.items()}
        if "label" in found:
            found["label"] = read_labels(self._name(part), "label", found["label"], self.missing_label)
        if "tags" in found:
            found["tags"] = [self._tags(part, row, tags) for row, tags in enumerate(found["tags"])]
        return found

    def _tags(self, part: str, row: int, tags: Any) -> list[str]:
        texts = [as_text(tag) for tag in tags] if isinstance(tags, list) else [None]
        if not all(texts):
            raise DataError(
                f"{self.row_name(part, row)}: column 'tags': expected a tag for each word, got {tags!r:.80}."
            )
        return [text for text in texts if text]

    @staticmethod
    def _name(part: str) -> str:
        return f"the {part} data"

    def part_name(self, part: str) -> str:
        return f"the train data, {part} split" if part in self._places else self._name(part)

    def row_name(self, part: str, row: int) -> str:
        if part in self._places:
            part, row = "train", self._places[part][row]
        names = self._parts()[part].names
        return f"{self._name(part)}, row {row + 1}" + (f" (index {names[row]!r:.40})" if names is not None else "")

    def identity(self) -> dict[str, str | None]:
        """No id but that they were given in memory; the revision is the SHA-256 of the rows."""
        return {"id": "given in memory", "revision": self.rows}
