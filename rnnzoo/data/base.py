"""What every data set is made of: a source of raw columns, and the form that turns them into batches."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from rnnzoo.batch import Batch, DataSpec
from rnnzoo.data.batching import Batches
from rnnzoo.data.encoding.counts import MOST
from rnnzoo.data.encoding.text import Encoder, Ragged
from rnnzoo.data.store import Store
from rnnzoo.data.streaming.packing import Kept, Packing
from rnnzoo.data.streaming.stream import Stream, Whole
from rnnzoo.errors import DataError

log = logging.getLogger("rnnzoo")
Columns = dict[str, list[Any]]  # column name -> one value per row
Chunks = Callable[[], Iterable[Columns]]
PARTS = ("train", "dev", "test")


def rows_digest(columns: Columns) -> str:
    """SHA-256, in hexadecimal, of raw rows: equal for equal values in equal order, whatever encodes them."""
    digest = hashlib.sha256()
    for name in sorted(columns):
        digest.update(f"{name} {len(columns[name])} ".encode())
        for value in columns[name]:
            add_value(digest, value)
    return digest.hexdigest()


def add_value(digest: hashlib._Hash, value: object) -> None:
    """Add a value of a row to a digest of rows."""
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        digest.update(f"{value.dtype.str} {value.shape} ".encode())
        digest.update(value.tobytes())
    else:
        digest.update(f"{value!r} ".encode())


class RowError(DataError):
    """A mistake in one row of some columns. row: counted from 0. text: what is wrong, in which column.

    `ZooData`, which knows the source of the columns, puts `Source.row_name` before the text: users count a file's rows.
    """

    def __init__(self, row: int, column: str | None, text: str) -> None:
        super().__init__(f"column '{column}', row {row + 1}: {text}" if column else f"row {row + 1}: {text}")
        self.row, self.text = row, f"column '{column}': {text}" if column else text


class Source(ABC):
    """Where examples come from: files, the Hub, or the code itself. A plugin's data set is one of these.

    form: the kind of examples, a name in `rnnzoo.data.forms.FORMS`, which also fixes the columns:

        labelled_text   text: list[str]           label: list[str]
        multilabelled_text  text: list[str]       labels: list[list[str]], none or several a row
        tagged_text     words: list[list[str]]    tags: list[list[str]], one tag a word
        text_stream     text: list[str], the lines in order
        masked_text     text: list[str], a line a row
        text_pairs      source: list[str]         target: list[str]
        labelled_series values: one array (time, features) a row    label: list[str]
        labelled_sound  sound: one array (samples,) a row    rate: list[int], in Hz    label: list[str]
        windowed_series values: one array (variables,) a step, or a structured one with their names
                        own: bool a step, False for steps of the split before, which windows may read
        panel_series    values: one structured array (time,) a row, a field a channel to be forecast
                        past: the same of covariates known so far    known: of those known in advance, or None
                        static: one mapping a row    own: int a row, first steps that windows may read alone
                        units: one mapping a row, by channel
        measured_series values: one array (time, features) a row    target: one number, or an array (targets,), a row
        labelled_channels values: one structured array (time,) a row, a field a channel, NaN where there is no value
                        static: one mapping a row, by name a number or a text    label: list[str]
        measured_channels values: as before    static: as before    target: one mapping a row, by name a number
        tagged_channels values: as before    static: as before    tags: list[list[str]], one label a step
        described_series values: one array (time, features) a row    text: list[str]
        transcribed_series values: one array (time, features) a row    text: list[str]
        transcribed_sound sound: one array (samples,) a row    rate: list[int], in Hz    text: list[str]

    forms: all kinds that it can give, where there are several; `form` is then the first, until `give` chooses another,
    and `read` gives the columns of `form`. Which one is read is decided by the task, see `rnnzoo.data.forms.chosen`.
    """

    form: str
    forms: ClassVar[tuple[str, ...]] = ()

    def give(self, form: str) -> None:
        """Read the data in this form, one of its `forms`, from now on. Raises: ValueError for another."""
        if form not in (self.forms or (self.form,)):
            raise ValueError(f"{type(self).__name__} gives {', '.join(self.forms) or self.form}, not {form}")
        self.form = form

    @classmethod
    def mistakes(cls, form: str, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What is wrong with a recipe's settings for rows of this form: the name of each setting, and the message."""
        return []

    @abstractmethod
    def read(self) -> dict[str, Columns]:
        """The raw rows of "train" and "dev", and of "test" if there is one. Raises: DataError."""

    def store(self) -> Store | None:
        """The examples, where they are encoded already; rows are then not read. Raises: DataError."""
        return None

    def stream(self) -> Stream:
        """The rows of `read`, some at a time. The default reads them all, so that they have to fit into memory."""
        log.warning("%s is read as a whole, and has to fit into memory.", type(self).__name__)
        columns = self.read()
        digests = [f"{part} {rows_digest(columns[part])}" for part in sorted(columns)]
        return Whole(columns, hashlib.sha256(" ".join(digests).encode()).hexdigest())

    def identity(self) -> dict[str, str | None]:
        """Which data this was: an id and a revision, None where unknown. Asked after `read`; never fails."""
        return {"id": type(self).__name__, "revision": None}

    def part_name(self, part: str) -> str:
        """What a message calls a split: the file that it is from, where there is one."""
        return f"{part} split"

    def row_name(self, part: str, row: int) -> str:
        """What a message calls a row of a split, counted from 0: the row of its file, if it has one."""
        return f"{self.part_name(part)}, row {row + 1}"


class Examples(ABC):
    """Encoded rows, as flat arrays. `examples[window]` is a batch, for a window that the form's batches name.

    truncated: how many rows were cut to the form's `max_length`. notes: further counts and facts of encoding, JSON, for
    the run's summary; "empty" is how many rows have no token, and became one <unk>.
    """

    truncated: int = 0
    notes: Mapping[str, object] = MappingProxyType({})
    window: int | None = None  # rows that batches are sorted and shuffled among; None for all

    @property
    @abstractmethod
    def lengths(self) -> np.ndarray:
        """(rows,) int64, the steps of each row."""

    @property
    def widths(self) -> np.ndarray:
        """(rows,) int64, the steps that a row takes in a batch."""
        return self.lengths

    @property
    def label_ids(self) -> np.ndarray:
        """The numbers of the labels that rows, or their steps, have: for counting. Empty where they have none."""
        return np.empty(0, dtype=np.int64)

    @abstractmethod
    def arrays(self) -> list[np.ndarray]:
        """Everything the examples are made of, ids first."""

    def echoed(self, row: int) -> dict[str, object]:
        """What a prediction for a row repeats of the row: JSON."""
        return {}

    @abstractmethod
    def collate(self, window: Any) -> Batch:
        """The batch of one window: of row numbers, unless the form says otherwise."""

    @property
    @abstractmethod
    def unknown_share(self) -> float:
        """The share of input tokens that are not in the vocabulary, 0 to 1."""

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, window: Any) -> Batch:
        return self.collate(window)


class Arriving(ABC):
    """The parts of one sequence, in order. A part is encoded as far as nothing that follows can change it.

    continues: whether the examples are one row, which continues that of the part before; if not, each row is an example
    that is complete in itself. empty_line_ends: whether a line without text ends a sequence, where lines are its parts.
    """

    continues: ClassVar[bool] = True
    empty_line_ends: ClassVar[bool] = True
    sample: object  # a part that has a step

    @abstractmethod
    def take(self, x: Any) -> Iterator[Examples]:
        """The steps that a part completes. Raises: DataError for a part that is none; what came before stays."""

    @abstractmethod
    def line(self, text: str) -> Any:
        """The part that a line of standard input is, without its line end. Raises: DataError."""

    def rest(self, final: bool = False) -> Examples | None:
        """The steps of what is kept back, as if the sequence ended here. final: it does, and nothing is kept."""
        return None

    def state(self) -> dict[str, np.ndarray]:
        """What is kept back, for `restore`."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Raises: ValueError for what `state` does not give."""
        if state:
            raise ValueError(f"it keeps nothing back, got {', '.join(state)}")


class Form(ABC):
    """A kind of examples: makes the vocabulary, encodes rows, and cuts them into batches.

    name: the form's name. columns: what it reads. target: the one column of these that prediction does without.
    free: the parameters that a trained model leaves free; it was built for the others. stands_for: further forms whose
    tasks take it, as its batches have a target of the same kind. asks: what `ask` takes: "text", "series" (numbers, as
    lists or as JSON), or "sound" (WAV files). hub_task: what the Hugging Face Hub calls models of
    such data, if anything. unstreamable: why `data.streaming` cannot be had; None where it can, by `fit_chunks`.
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    target: ClassVar[str | None] = None
    stands_for: ClassVar[tuple[str, ...]] = ()
    in_order: ClassVar[bool] = False  # whether rows continue each other, so that none can be taken out
    free: ClassVar[frozenset[str]] = frozenset({"batch_size", "batch_tokens", "eval_batch_size", "sampler"})
    asks: ClassVar[str] = "text"
    hub_task: ClassVar[str | None] = None
    unstreamable: ClassVar[str | None] = "its rows are arrays of numbers, which are kept in memory as a whole"

    @abstractmethod
    def fit(self, train: Columns) -> DataSpec:
        """The vocabulary and the labels of the training rows, and the settings to encode others alike."""

    def fit_chunks(self, chunks: Chunks, most: int | None = MOST) -> DataSpec:
        """As `fit` of all chunks together, with one of them in memory at a time.

        chunks: gives the training rows, some at a time, each time it is called. most: distinct tokens that are counted.
        """
        raise NotImplementedError(f"{self.name}: {self.unstreamable}")

    @abstractmethod
    def encode(self, columns: Columns, spec: DataSpec) -> Examples:
        """Rows as ids; without a target if its column is missing. Raises: DataError, naming the row."""

    def packing(self, spec: DataSpec) -> Packing:
        """What encodes a part some rows at a time, for a store on the disk."""
        raise NotImplementedError(f"{self.name}: {self.unstreamable}")

    def unpack(self, kept: Mapping[str, Kept], spec: DataSpec) -> Examples:
        """The examples of a part that `packing` has encoded, as `encode` gives them for all rows at once."""
        raise NotImplementedError(f"{self.name}: {self.unstreamable}")

    @abstractmethod
    def batches(
        self, examples: Examples, *, training: bool, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> Batches[object]:
        """How to walk through `examples`: shuffled each epoch for training, each row once for evaluation."""

    def shards(self, examples: Examples, window: Any) -> list[Any]:
        """A window of training as `rnnzoo.data.shards.SHARDS` windows, None for one without rows: the same for the
        same window. Raises: DataError for a form that has no such cut.
        """
        raise DataError(f"trainer.exact: batches of {self.name} cannot be cut into shards.")

    @abstractmethod
    def ask(self, texts: Sequence[str], spec: DataSpec) -> Examples:
        """Typed texts as rows to predict for: one row each, without a target."""

    def pieces(self, text: str, spec: DataSpec) -> list[str]:
        """The tokens of a typed text as they are written, one for each step that `ask` makes of it."""
        encoder = Encoder.from_field(spec.inputs["tokens"])
        (tokens,) = encoder.tokens([text])
        places = Ragged.of(np.arange(len(tokens)), [len(tokens)]).truncated(encoder.max_length, encoder.truncate)
        return [tokens[place] for place in places.flat]

    @classmethod
    def fields(cls, settings: Mapping[str, Any]) -> dict[str, str]:
        """The inputs of data encoded with these settings, by name, and the kind of each (`rnnzoo.batch.Field`).

        The same as `fit(train).inputs` gives, known without any data.
        """
        return {"tokens": "tokens"}

    def read_file(self, path: Path, spec: DataSpec, settings: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
        """The rows for `ask` that a file, or a folder, of this form's own kind holds, each with a name.

        settings: of the run's data set. None where a file holds texts, a line or a row of a table each.
        Raises: DataError.
        """
        return None

    def arriving(self, spec: DataSpec) -> Arriving:
        """What encodes a sequence that arrives in parts. Raises: DataError where it is to be read as a whole."""
        raise DataError(f"data of the form {self.name} are read as a whole")

    @classmethod
    def from_spec(cls, spec: DataSpec) -> Form:
        """The form as it was when it made `spec`, as far as encoding goes."""
        return cls(**spec.inputs["tokens"].options)

    def rows(self, columns: Columns, *, need_target: bool = False) -> int:
        """The number of rows. Raises: DataError for missing columns, or columns of unequal length."""
        need = [name for name in self.columns if need_target or name != self.target]
        missing = [name for name in need if name not in columns]
        if missing:
            raise DataError(
                f"column '{missing[0]}' is missing.\n"
                f"  Expected: {', '.join(self.columns)} ({self.name}).\n"
                f"  Found: {', '.join(columns) or 'none'}."
            )
        counts = {name: len(columns[name]) for name in self.columns if name in columns}
        if len(set(counts.values())) > 1:
            sizes = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise DataError(
                f"the columns have unequal numbers of rows: {sizes}.\n  Give each row a value in each column."
            )
        return counts[need[0]]


def check_type(column: str, values: Iterable[object], kind: type, called: str) -> None:
    """Raises: RowError for the first value that is not a `kind`."""
    for row, value in enumerate(values):
        if not isinstance(value, kind):
            raise RowError(row, column, f"expected {called}, got {value!r:.80}.")


def label_ids(
    column: str, values: Iterable[str], names: tuple[str, ...], row_of: Callable[[int], int] | None = None
) -> np.ndarray:
    """int64 label numbers. row_of: the row of each value, if there are several in a row.

    Raises: RowError for a label that is not among `names`.
    """
    ids = {name: number for number, name in enumerate(names)}
    values = list(values)
    numbers = [ids.get(value, -1) for value in values]
    if -1 in numbers:
        index = numbers.index(-1)
        row = index if row_of is None else int(row_of(index))
        many = f", ... ({len(names)} in all)" if len(names) > 20 else ""
        raise RowError(
            row,
            column,
            f"the training split has no label {values[index]!r}.\n  Known labels: {', '.join(names[:20])}{many}.",
        )
    return np.array(numbers, dtype=np.int64)


def named_labels(column: str, values: Iterable[str] | Counter[str]) -> tuple[str, ...]:
    """The labels that occur, in alphabetical order; those that look like slips are reported with their counts.

    values: the labels, or how often each occurs.

    Raises: DataError for fewer than two.
    """
    counts = Counter(values)
    names = tuple(sorted(counts))
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault("".join(name.casefold().split()), []).append(name)
    same = [", ".join(f"{name!r} ({counts[name]})" for name in group) for group in alike.values() if len(group) > 1]
    if same:
        log.warning("labels that differ only by case or blanks are different labels: %s.", "; ".join(same[:10]))
    unsure = [f"{name!r} ({counts[name]})" for name in names if name.casefold() in ("nan", "null", "none", "n/a", "na")]
    if unsure:
        log.warning("%s is a label like any other; where it means none, leave its rows out.", ", ".join(unsure))
    if len(names) < 2:
        raise DataError(
            f"column '{column}': the training split has one label only, {names[0]!r}.\n"
            "  There is nothing to learn from it; give rows of at least two labels."
        )
    return names
