"""Any data set of the Hugging Face Hub, by its id."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rnnzoo.data.base import PARTS, Columns
from rnnzoo.data.encoding.text import PAIR
from rnnzoo.data.forms import FORMS
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.sources.hub_columns import READERS, flat
from rnnzoo.data.sources.hub_names import full_id
from rnnzoo.data.splits import held_out, strata, taken
from rnnzoo.errors import DataError, nearest
from rnnzoo.limits import Fraction, checked

log = logging.getLogger("rnnzoo")
ID = re.compile(r"([A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)
USUAL = {"train": ("train",), "dev": ("validation", "dev", "valid", "val"), "test": ("test",)}
ALSO = {"labelled_text": ("text_pair",)}  # columns that a form can do without


class HubData(HubSource):
    """Any data set of the Hugging Face Hub that is text: `{name: hub, id: fancyzhx/ag_news, text: text, label: label}`.

    The task says what is read, and each column's setting names the column of the data set: text and label, and
    text_pair for a second text (sentiment); text and labels, a list a row (multilabel); words and tags (tagging); text
    (next_word, masked_word); source and target (translation). A dot leads into a column of several fields:
    `source: translation.en`. Names of labels are the data set's own. Two texts of a row are read as one, with |||
    between them. No script of a repository is run.

    id: owner/name. config: the configuration, where there are several. splits: the data set's split for train, dev and
    test; if not given, train, validation and test, as far as they are there. Without dev, the last `dev_fraction` of
    the training rows are held out, of those of each label where rows have one. drop_missing: leave out rows that lack
    one of the columns, or a label (-1); they are refused if it is false. revision: the Hub's commit, branch or tag;
    the newest if not given.
    """

    form = "labelled_text"
    forms: ClassVar[tuple[str, ...]] = (
        "labelled_text",
        "multilabelled_text",
        "tagged_text",
        "text_pairs",
        "text_stream",
        "masked_text",
    )

    @checked
    def __init__(
        self,
        id: str,
        text: str | None = None,
        label: str | None = None,
        labels: str | None = None,
        text_pair: str | None = None,
        words: str | None = None,
        tags: str | None = None,
        source: str | None = None,
        target: str | None = None,
        config: str | None = None,
        splits: dict[str, str] | None = None,
        dev_fraction: Fraction = 0.1,
        drop_missing: bool = False,
        revision: str | None = None,
    ) -> None:
        super().__init__(revision)
        self.hub_id, self.config, self.splits = id, config, splits
        self.dev_fraction, self.drop_missing = dev_fraction, drop_missing
        named = {"text": text, "label": label, "labels": labels, "text_pair": text_pair, "words": words, "tags": tags}
        self.named = {**named, "source": source, "target": target}
        self._rows: dict[str, tuple[str, Sequence[int]]] = {}  # of each part: its split, and its rows there

    @classmethod
    def mistakes(cls, form: str, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
        found = []
        if (name := settings.get("id")) is not None and not ID.fullmatch(name):
            found.append(("id", f"must be owner/name, as in fancyzhx/ag_news, got {name!r:.80}."))
        needed = FORMS[form].columns
        for column in needed:
            if settings.get(column) is None:
                fix = f"Write the data set's own name of it: {column}: NAME."
                found.append((column, f"missing; the task reads {' and '.join(needed)}.\n  {fix}"))
        strange = READERS.keys() - {*needed, *ALSO.get(form, ())}
        for column in sorted(name for name in strange if settings.get(name) is not None):
            found.append((column, f"the task does not read it, but {' and '.join(needed)}.\n  Leave it out."))
        return found + _wrong_splits(settings.get("splits"))

    def read(self) -> dict[str, Columns]:
        self.hub_id = full_id(self.hub_id)
        return super().read()

    def parts(self, parts: Any) -> dict[str, Columns]:
        splits = self._chosen(list(parts))
        read = {part: self._columns(part, split, parts[split]) for part, split in splits.items()}
        found = {part: columns for part, columns in read.items() if columns is not None}
        if "dev" not in found:
            train = found["train"]
            split, rows = self._rows["train"]
            kept, dev = held_out(strata(train, len(rows)), self.dev_fraction)
            if not dev:
                raise DataError(
                    f"{self.part_name('train')} has no two rows to hold one out for dev.\n"
                    f"  Name a split for it: splits: {{train: {split}, dev: ...}}. Found: {', '.join(parts)}."
                )
            found |= {"train": taken(train, kept), "dev": taken(train, dev)}
            self._rows |= {part: (split, [rows[row] for row in own]) for part, own in (("train", kept), ("dev", dev))}
        return {part: found[part] for part in PARTS if part in found}

    def _chosen(self, there: list[str]) -> dict[str, str]:
        """The split of each part. Raises: DataError for one that the data set does not have."""
        usual = {part: next((name for name in names if name in there), "") for part, names in USUAL.items()}
        splits = self.splits or {part: split for part, split in usual.items() if split}
        for part, split in ({"train": "train"} | splits).items():
            if split not in there:
                near = nearest(split, there)
                raise DataError(
                    f"data.splits.{part}: {self.hub_id} has no split '{split}'."
                    + (f"\n  Did you mean '{near}'?" if near else "")
                    + f"\n  Found: {', '.join(there)}.\n  Name them as in splits: {{train: {there[0]}}}; without dev, "
                    "rows of train are held out."
                )
        return splits

    def _columns(self, part: str, split: str, rows: Any) -> Columns | None:
        """The columns of a split; None for a test split of which no row has a label, where it was not asked for."""
        features, columns = flat(rows.features), {}
        self._rows[part] = (split, range(len(rows)))
        for column in (*FORMS[self.form].columns, *ALSO.get(self.form, ())):
            if (name := self.named[column]) is None:
                continue
            if name not in features:
                near = nearest(name, features)
                raise DataError(
                    f"data.{column}: {self.part_name(part)} has no column '{name}'."
                    + (f"\n  Did you mean '{near}'?" if near else "")
                    + f"\n  Found: {', '.join(features)}."
                )
            columns[column] = READERS[column](self.part_name(part), name, features[name], rows)
        missing = {row for values in columns.values() for row, value in enumerate(values) if value is None}
        if part == "test" and not self.splits and missing and not any(columns.get("label", [True])):
            log.warning("%s: its rows have no labels; it is not read.", self.part_name(part))
            del self._rows[part]
            return None
        if missing and not self.drop_missing:
            row = min(missing)
            lacking = next(self.named[name] for name, values in columns.items() if values[row] is None)
            raise DataError(
                f"{self.row_name(part, row)}: '{lacking}' is missing ({len(missing)} of {len(rows)} rows lack one).\n"
                "  `drop_missing: true` leaves these rows out."
            )
        if missing:
            log.warning(
                "%s: %d of %d rows lack a value and are left out.", self.part_name(part), len(missing), len(rows)
            )
            kept = [row for row in range(len(rows)) if row not in missing]
            columns, self._rows[part] = taken(columns, kept), (split, kept)
        if second := columns.pop("text_pair", None):
            columns["text"] = [f"{a}{PAIR}{b}" for a, b in zip(columns["text"], second, strict=True)]
        return columns

    def part_name(self, part: str) -> str:
        return f"{self.hub_id}, {self._rows[part][0]} split" if part in self._rows else super().part_name(part)

    def row_name(self, part: str, row: int) -> str:
        return f"{self.part_name(part)}, row {self._rows[part][1][row] + 1}"


def _wrong_splits(splits: Mapping[str, str] | None) -> list[tuple[str, str]]:
    if splits is None:
        return []
    example = "As in splits: {train: train, dev: validation, test: test}."
    if strange := [part for part in splits if part not in PARTS]:
        return [("splits", f"unknown part '{strange[0]}'; the parts are {', '.join(PARTS)}.\n  {example}")]
    if "train" not in splits:
        return [("splits", f"names no split to train on.\n  {example}")]
    if len(set(splits.values())) < len(splits):
        return [("splits", f"one split is named for two parts, which need rows of their own.\n  {example}")]
    return []
