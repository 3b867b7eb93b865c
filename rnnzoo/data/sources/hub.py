"""Where examples come from: the Hub, and the user's own files."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from rnnzoo.data.base import Columns, Source
from rnnzoo.data.readers import tables
from rnnzoo.data.readers.encodings import check_encoding
from rnnzoo.data.readers.labels import read_labels
from rnnzoo.errors import DataError, Unavailable, nearest
from rnnzoo.limits import Fraction, Seed, checked
from rnnzoo.system import files
from rnnzoo.system.network import answers
from rnnzoo.system.paths import typed


def held_out(labels: Sequence[Any], fraction: float, gap: int = 0) -> tuple[list[int], list[int]]:
    """The rows to train on, and the rows held out: the last `fraction` of each label's rows, at least one of two.

    gap: rows of each label before the held-out ones that belong to neither, so that neighbours are not split.
    """
    rows = defaultdict(list)
    for row, label in enumerate(labels):
        rows[label].append(row)
    train, dev = [], []
    for own in rows.values():
        count = min(max(1, round(len(own) * fraction)), len(own) - 1)
        train += own[: max(1, len(own) - count - gap)]
        dev += own[len(own) - count :]
    return sorted(train), sorted(dev)


def drawn(rows: int, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """The rows to train on, and the `fraction` of all that are held out, drawn at random; each in order."""
    order = np.random.default_rng(seed).permutation(rows)
    count = max(1, round(rows * fraction))
    return sorted(order[count:].tolist()), sorted(order[:count].tolist())


def taken(columns: Columns, rows: Sequence[int]) -> Columns:
    """The given rows of each column."""
    return {name: [values[row] for row in rows] for name, values in columns.items()}


class HubSource(Source):
    """A data set of the Hub. A subclass says which, and turns its rows into columns.

    hub_id, config: the repository, and the configuration where it has several. default_revision: the branch to read,
    for repositories whose main branch holds a loading script, which `datasets` does not run.
    revision: the Hub's commit, branch or tag; the newest if not given.
    """

    hub_id: ClassVar[str]
    config: ClassVar[str | None] = None
    default_revision: ClassVar[str | None] = None

    def __init__(self, revision: str | None = None) -> None:
        self.revision = revision or self.default_revision
        self._commit: str | None = None

    def read(self) -> dict[str, Columns]:
        parts = load_hub(self.hub_id, self.revision, self.config)
        self._commit = commit_of(next(iter(parts.values())))
        return self.parts(parts)

    @abstractmethod
    def parts(self, parts: Any) -> dict[str, Columns]:
        """The columns of "train", "dev" and perhaps "test", of a `datasets.DatasetDict`."""

    def identity(self) -> dict[str, str | None]:
        return {"id": self.hub_id, "revision": self._commit or self.revision}


class Imdb(HubSource):
    """50,000 film reviews, half of them positive: 25,000 for training, 25,000 for testing.

    Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011; `stanfordnlp/imdb` on the Hub.

    dev_split: "films" makes the dev part of the training part's end, after a gap: reviews of one film stand together.
    "random" draws it with `split_seed`, as many tutorials do: it shares films with what is trained on, and reads about
    three points of accuracy high. "test", as other tutorials have it, trains on all of the training part and takes the
    test part as dev part; there is no test part then, since a checkpoint chosen on it is not tested on it.
    dev_fraction: of the training part, for "films" and "random". revision: the Hub's commit, branch or tag; the newest
    if not given.
    """

    form = "labelled_text"
    hub_id = "stanfordnlp/imdb"
    gap = 30  # reviews of each label; no film has more
    expected_failures: ClassVar[dict[str, str]] = {"no_overlap": "some reviews stand in it twice, as published"}

    @checked
    def __init__(
        self,
        revision: str | None = None,
        dev_split: Literal["films", "random", "test"] = "films",
        dev_fraction: Fraction = 0.1,
        split_seed: Seed = 123,
    ) -> None:
        super().__init__(revision)
        self.dev_split, self.dev_fraction, self.split_seed = dev_split, dev_fraction, split_seed

    def parts(self, parts: Any) -> dict[str, Columns]:
        train, test = (self._columns(parts[name]) for name in ("train", "test"))
        if self.dev_split == "test":
            return {"train": train, "dev": test}
        if self.dev_split == "films":
            kept, dev = held_out(train["label"], self.dev_fraction, self.gap)
        else:
            kept, dev = drawn(len(train["label"]), self.dev_fraction, self.split_seed)
        return {"train": taken(train, kept), "dev": taken(train, dev), "test": test}

    def identity(self) -> dict[str, str | None]:
        return super().identity() | ({"dev": "the test part"} if self.dev_split == "test" else {})

    @staticmethod
    def _columns(rows: Any) -> Columns:
        names = rows.features["label"].names
        table = rows.data
        return {
            "text": [text.replace("<br />", " ") for text in table.column("text").to_pylist()],
            "label": [names[label] for label in table.column("label").to_pylist()],
        }


def load_hub(hub_id: str, revision: str | None = None, config_name: str | None = None) -> Any:
    """The `datasets.DatasetDict` of a repository of the Hub, or of one of its configurations.

    A Hub that does not answer is not waited for.

    Raises: DataError if it can neither be fetched nor was fetched before.
    """
    if Path(hub_id).exists():  # `datasets` would read that, and run on other data in silence
        raise DataError(
            f"'{hub_id}' in {Path.cwd()} has the name of a data set of the Hub, and would be read in its place.\n"
            "  Rename it, or start from another folder."
        )
    from datasets import config, disable_progress_bars, load_dataset

    disable_progress_bars()
    was_offline = config.HF_HUB_OFFLINE
    reached = was_offline or answers(config.HF_ENDPOINT)
    try:
        config.HF_HUB_OFFLINE = was_offline or not reached  # or its clients retry, each of them for half a minute
        parts = load_dataset(hub_id, config_name, revision=revision)
    except Exception as cause:  # the Hub's clients raise of many kinds: no network, no such revision, no disk space
        first = f"{type(cause).__name__}: {(str(cause).splitlines() or [''])[0].rstrip('.'):.200}"
        why = first if reached else f"{config.HF_ENDPOINT} does not answer"
        raise Unavailable(
            f"cannot read the data set '{hub_id}, revision {revision or 'main'}' from the Hub: {why}.\n"
            f"  Check the network and the revision. Earlier downloads are kept in {config.HF_DATASETS_CACHE}.\n"
            "  Without a network: `name: text_files` reads your own files, and `rnnzoo fit quickstart` needs none."
        ) from cause
    finally:
        config.HF_HUB_OFFLINE = was_offline
    found = commit_of(next(iter(parts.values())))
    if not reached and re.fullmatch(r"[0-9a-f]{40}", revision or "") and found != revision:
        raise DataError(
            f"the data set '{hub_id}' was fetched before, but not in revision {revision}: found {found}.\n"
            f"  {config.HF_ENDPOINT} does not answer; try again when it does, or leave the revision out."
        )
    return parts


def commit_of(rows: Any) -> str | None:
    """The Hub's commit that a loaded `datasets.Dataset` is from, as its cache folder is named; None if it is not."""
    for file in rows.cache_files:
        name = Path(file["filename"]).parent.name
        if re.fullmatch(r"[0-9a-f]{40}", name):
            return name
    return None


class FileSource(Source):
    """The user's own files, one for each part. A subclass says how one is read.

    paths: by part, None where there is none. Without "dev", the last `dev_fraction` of the training rows are held out,
    of those of each label where rows have one.
    """

    @checked
    def __init__(self, paths: Mapping[str, str | None], encoding: str, dev_fraction: Fraction) -> None:
        check_encoding(encoding)
        self.paths = {part: typed(path) for part, path in paths.items() if path}
        self.encoding, self.dev_fraction = encoding, dev_fraction
        self._digest: str | None = None
        self._rows: dict[str, list[int]] = {}  # of the training file, that each part of it has

    def read(self) -> dict[str, Columns]:
        named = [(part, file) for part, path in self.paths.items() for file in self.files(path)]
        wrong = [message for part, file in named if (message := self.unreadable(part, file))]
        if wrong:
            raise DataError(*wrong)
        try:
            parts = {part: self.columns(path) for part, path in self.paths.items()}
            contents = b"".join(files.read_bytes(file, files.DATA_LIMIT) for _, file in named)
        except OSError as cause:
            raise DataError(f"cannot read {cause.filename}: {cause.strerror or cause}.") from cause
        self._digest = hashlib.sha256(contents).hexdigest()
        if "dev" not in parts:
            train = parts["train"]
            rows = len(next(iter(train.values())))
            kept, dev = held_out(train.get("label", [None] * rows), self.dev_fraction)
            if not dev:
                alike = " of one label" if "label" in train else ""
                raise DataError(
                    f"{self.paths['train']} has no two rows{alike}, so none can be held out.\n"
                    "  Give more rows, or a dev file."
                )
            parts |= {"train": taken(train, kept), "dev": taken(train, dev)}
            self._rows = {"train": kept, "dev": dev}
        return parts

    def files(self, path: Path) -> list[Path]:
        """The files that a part's path stands for."""
        return [path]

    def unreadable(self, part: str, path: Path) -> str | None:
        """What keeps a file from being read; None if nothing does."""
        return missing(part, path)

    @abstractmethod
    def columns(self, path: Path) -> Columns:
        """The rows of one file. Raises: DataError, naming the file and the line or row; OSError."""

    def place(self, part: str) -> str:
        if part in self.paths:
            return str(self.paths[part])
        return f"{self.paths['train']}, {part} part" if part in self._rows else super().place(part)

    def row(self, part: str, row: int) -> str:
        if part in self._rows:
            part, row = "train", self._rows[part][row]
        return f"{self.place(part)}, {self.row_name(self.paths[part], row)}"

    def row_name(self, path: Path, row: int) -> str:
        """What a message calls a row of a file, counted from 0."""
        return f"row {row + 1}"

    def identity(self) -> dict[str, str | None]:
        """The file names, and the SHA-256 of their contents."""
        return {"id": ", ".join(path.name for path in self.paths.values()), "revision": self._digest}


class TextFiles(FileSource):
    """Your own labelled texts: CSV, TSV, JSON lines or Parquet, as each file's ending says.

    CSV has a header, commas, and double quotes round what holds a comma, a quote or a line feed. TSV has a header,
    tabs, and no quotes. JSON lines (.jsonl, .json) has one object a line. Lines end at a line feed. Labels may be
    numbers, truth values and dates; blanks at the ends of a label are cut.

    train, dev, test: paths. Without dev, the last `dev_fraction` of each label's training rows are held out; without
    test, there is none. encoding: of CSV, TSV and JSON lines; UTF-16 with its byte order mark is told by that.
    missing_label: the label of rows without one, which are refused if it is not given. delimiter: what separates the
    values of CSV and TSV; if not given, semicolons, tabs, commas or vertical bars are found in the header.
    """

    form = "labelled_text"
    keys: ClassVar[tables.Keys] = ("text_column", "label_column")  # the options that name the columns

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
    ) -> None:
        super().__init__({"train": train, "dev": dev, "test": test}, encoding, dev_fraction)
        tables.check_delimiter(delimiter)
        self.delimiter = delimiter
        self.text_column, self.label_column, self.missing_label = text_column, label_column, missing_label

    def unreadable(self, part: str, path: Path) -> str | None:
        return unreadable(part, path)

    def columns(self, path: Path) -> Columns:
        named = (self.text_column, self.label_column)
        table = tables.read_columns(path, named, self.encoding, self.keys, self.delimiter)
        texts, labels = table[self.text_column], table[self.label_column]
        for row, text in enumerate(texts, start=1):
            if not isinstance(text, str):
                raise DataError(f"{path}, row {row}: '{self.text_column}' is {text!r:.80}, not text.")
        return {"text": texts, "label": read_labels(str(path), self.label_column, labels, self.missing_label)}


def missing(name: str, path: Path) -> str | None:
    """What a message says of `path`, the value of the option `name`, if no file is there; None if one is."""
    if path.is_file():
        return None
    if path.exists():
        return f"data.{name}: '{path}' is not a file."
    if re.match(r"[a-z]+:[/\\]", str(path)) and not path.drive:
        return f"data.{name}: '{path}' is an address, and files are read from this machine alone.\n  Download it first."
    if set(path.name) & set("*?["):
        return f"data.{name}: '{path}' is a pattern, and one file is read.\n  Join the files, or name one of them."
    near = nearest(path.name, [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else [])
    hint = f"\n  Did you mean '{path.parent / near}'?" if near else ""
    return f"data.{name}: there is no file '{path}'.{hint}\n  Looked in {path.parent.resolve()}."


def unreadable(name: str, path: Path) -> str | None:
    """What keeps `path`, the value of the option `name`, from being read; None if nothing does."""
    if wrong := missing(name, path):
        return wrong
    if not tables.is_table(path):
        known = ", ".join(tables.READERS)
        return f"data.{name}: cannot tell the format of '{path}' by its ending.\n  Known endings: {known}."
    return None
