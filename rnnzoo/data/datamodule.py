"""ZooData: a source and a form, read and encoded once, as the loaders that a Trainer asks for."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import ParamSpec, TypeVar

import numpy as np
from lightning.pytorch import LightningDataModule

from rnnzoo.batch import DataSpec
from rnnzoo.data.base import PARTS, Columns, Examples, Form, RowError, Source, rows_digest
from rnnzoo.data.batching import Batches, Remaining
from rnnzoo.data.encoding.known_words import with_words_of
from rnnzoo.data.loading import Loader
from rnnzoo.data.prepared import IDS, Prepared
from rnnzoo.data.shards import ShardedBatches, ShardedExamples, own_shards
from rnnzoo.data.streaming.encoded import encoded
from rnnzoo.errors import DataError

log = logging.getLogger("rnnzoo")
P = ParamSpec("P")
Result = TypeVar("Result")
HASHED = 2**20  # rows of an array at a time


class ZooData(LightningDataModule):
    """Batches of a source's examples, in the order that `seed` fixes, whatever the number of ranks.

    spec: the vocabulary and settings of an earlier run, to encode alike; made from the training split if not given.
    known: the data of a trained model, whose words the vocabulary made then holds, too; see `with_words_of`.
    num_workers: processes for each part that make its batches ahead of their use, see `Loader`.
    streaming: rows are read some at a time and encoded into files, from which batches come: see
    `rnnzoo.data.streaming`. window: rows that are shuffled together then.
    exact: whether a batch of training is one over all ranks, cut into shards, see `rnnzoo.data.shards`; then each rank
    reads all of the dev split.
    The loaders share the work out between ranks by themselves: the Trainer is to have `use_distributed_sampler=False`.
    """

    def __init__(
        self,
        source: Source,
        form: Form,
        seed: int = 1,
        spec: DataSpec | None = None,
        known: DataSpec | None = None,
        num_workers: int = 0,
        streaming: bool = False,
        window: int | None = None,
        exact: bool = False,
    ) -> None:
        super().__init__()
        if source.form != form.name:
            raise DataError(f"{type(source).__name__} gives {source.form}, not {form.name}.")
        self.source, self.form, self.seed, self._spec, self._known = source, form, seed, spec, known
        self.num_workers, self.exact = num_workers, exact
        self.streaming, self.window = streaming, window
        self.repeat = False  # whether every epoch has the first one's batches in its order, to overfit some of them
        self.batches_done = 0  # of the training split's first epoch, which goes on after them
        self.parts: dict[str, Examples] = {}
        self.scored_rows = ""  # SHA-256 of the raw rows of the test split, or of dev where there is none

    def prepare(self, columns: dict[str, Columns] | None = None) -> None:
        """Read, make the vocabulary from the training split, encode. A second call does nothing. Raises: DataError.

        columns: what the source gave, where it was read already.
        """
        if self.parts:
            return
        if (store := self.source.store()) is not None:
            self._take(Prepared(store))
            return
        if self.streaming:
            self._stream()
            return
        columns = self.source.read() if columns is None else columns
        for part in PARTS:
            if part not in columns and part != "test":
                raise DataError(f"{type(self.source).__name__} gives no {part} split.\n  Found: {', '.join(columns)}.")
        rows = {part: self._naming_part(part, self.form.rows, columns[part]) for part in PARTS if part in columns}
        empty = [part for part, count in rows.items() if not count]
        if empty:
            raise DataError(f"the {empty[0]} split of {self.identity['id']} is empty.\n  Give it at least one row.")
        spec, fresh = self._spec, self._spec is None
        if spec is None:
            spec = self._naming_part("train", self.form.fit, columns["train"])
            spec = spec if self._known is None else with_words_of(spec, self._known)
        self._spec = spec
        self.parts = {part: self._naming_part(part, self.form.encode, columns[part], spec) for part in rows}
        self.scored_rows = rows_digest(columns["test" if "test" in rows else "dev"])
        self._finish(fresh)

    def _stream(self) -> None:
        """Take the examples from files, which are made where they are not there yet."""
        fresh = self._spec is None
        found = encoded(self.source, self.form, self.window, self._spec, self._known)
        self._spec, self.parts, self.scored_rows = found.spec, found.parts, found.scored_rows
        self.identity = found.identity
        self._finish(fresh)

    def _finish(self, fresh: bool) -> None:
        """Note how frequent the labels are, where the vocabulary was made now, and report what encoding has lost."""
        if fresh and self.labels:
            self._spec = replace(self.spec, target=replace(self.spec.target, counts=tuple(self.labels.values())))
        for line in self.losses():
            log.warning("%s", line)

    def _take(self, prepared: Prepared) -> None:
        """Use examples that were encoded before. Raises: DataError if a trained model's words are others."""
        for wanted in (self._spec, self._known):
            if wanted is not None:
                prepared.check_words(wanted)
        self._spec = prepared.spec
        self.parts = prepared.examples(self.form)
        self.scored_rows = prepared.scored_rows

    def losses(self) -> list[str]:
        """Sentences for the user about rows that were cut, and rows without a text."""
        sentences = []
        for part, examples in self.parts.items():
            if examples.truncated:
                cut, of = examples.truncated, len(examples)
                sentences.append(f"{part} split: {cut} of {of} rows are longer than max_length and were cut.")
            if empty := examples.notes.get("empty"):
                sentences.append(
                    f"{part} split: {empty} of {len(examples)} rows have no text, and are read as one <unk>."
                )
        return sentences

    def _naming_part(self, part: str, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Call a function on a part of the data; its errors name the part, and the row where there is one."""
        try:
            return function(*args, **kwargs)
        except RowError as error:
            raise DataError(f"{self.source.row_name(part, error.row)}: {error.text}") from error
        except DataError as error:
            raise DataError(*(f"{self.source.part_name(part)}: {message}" for message in error.messages)) from error

    def setup(self, stage: str) -> None:
        self.prepare()

    @property
    def spec(self) -> DataSpec:
        self.prepare()
        assert self._spec is not None
        return self._spec

    @cached_property
    def identity(self) -> dict[str, str | None]:
        """Which data this is: an id and a revision, None where unknown."""
        return self.source.identity()

    @property
    def sizes(self) -> dict[str, int]:
        """Examples in each part."""
        self.prepare()
        return {part: len(examples) for part, examples in self.parts.items()}

    @property
    def truncated(self) -> dict[str, int]:
        """Examples in each part that were cut to the form's `max_length`."""
        self.prepare()
        return {part: examples.truncated for part, examples in self.parts.items()}

    @property
    def unknown_share(self) -> dict[str, float]:
        """The share of each part's input tokens that are not in the vocabulary, 0 to 1."""
        self.prepare()
        return {part: examples.unknown_share for part, examples in self.parts.items()}

    @property
    def labels(self) -> dict[str, int]:
        """How often each label occurs in the training split, in their order; empty where the target is no label."""
        self.prepare()
        if self.spec.target.kind not in ("label", "labels", "tags"):
            return {}
        counts = np.bincount(self.parts["train"].label_ids, minlength=self.spec.target.size)
        return dict(zip(self.spec.labels, counts.tolist(), strict=True))

    @property
    def notes(self) -> dict[str, dict[str, object]]:
        """Further counts and facts of encoding, for each part; see `Examples.notes`."""
        self.prepare()
        return {part: dict(examples.notes) for part, examples in self.parts.items()}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of every part's ids and targets: equal for equal examples in equal order."""
        self.prepare()
        digest = hashlib.sha256()
        for part, examples in self.parts.items():
            for array in examples.arrays():
                dtype = np.dtype(np.int32) if array.dtype in IDS else array.dtype
                digest.update(f"{part} {dtype.str} {array.shape} ".encode())
                for start in range(0, len(array), HASHED):  # a mapped array need not fit into memory
                    digest.update(array[start : start + HASHED].astype(dtype, copy=False).tobytes())
        return digest.hexdigest()

    def check_enough_for(self, processes: int) -> None:
        """Raises: DataError if so many processes cannot have a row each to train on."""
        self.prepare()
        if (rows := len(self.parts["train"])) < processes:
            raise DataError(
                f"the train split has {rows} examples, too few to give each of {processes} processes some.\n"
                "  Use fewer devices."
            )

    def _loader(self, part: str) -> Loader:
        self.prepare()
        if part not in self.parts:
            raise DataError(f"{self.identity['id']} has no {part} split.\n  Found: {', '.join(self.parts)}.")
        examples, training = self.parts[part], part == "train"
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        if training:
            self.check_enough_for(world_size)

        sharing = 1 if self.exact and part != "test" else world_size  # ranks that have other batches each

        def batches_of(rank: int) -> Batches[object]:
            return self.form.batches(examples, training=training, seed=self.seed, rank=rank, world_size=sharing)

        batches: Batches[object] = batches_of(rank % sharing)
        readable: Examples | ShardedExamples = examples
        if training and self.exact:
            batches = ShardedBatches(batches, partial(self.form.shards, examples), own_shards(rank, world_size))
            readable = ShardedExamples(examples)
        if training:
            batches = Remaining(list(batches) if self.repeat else batches, self.batches_done)
        return Loader(readable, batches, self.num_workers, sized=len(batches_of(sharing - 1)) > 0)

    def train_dataloader(self) -> Loader:
        return self._loader("train")

    def val_dataloader(self) -> Loader:
        return self._loader("dev")

    def test_dataloader(self) -> Loader:
        return self._loader("test")
