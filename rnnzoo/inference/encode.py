"""Vectors of texts or series: what a trained network makes of each, before its task's last layer."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from rnnzoo.architectures.pooling import Pool, Pooling
from rnnzoo.data.batching import BucketBatches
from rnnzoo.errors import DataError, RunError, unknown
from rnnzoo.inference.predictor import AHEAD, BATCH_TOKENS, Predictor
from rnnzoo.system import files

POOLINGS = tuple(name for name in get_args(Pooling) if name != "attention")  # that need no weights
OWN = "mean"  # where the model has no pooling of its own
HEADER = 128  # bytes before the numbers of a file, see the format .npy, version 1.0


@torch.inference_mode()
def vectors(predictor: Predictor, texts: Sequence[Any], pooling: str | None = None, batch_size: int = 64) -> np.ndarray:
    """(rows, features) float32, a vector for each text or series, in order.

    pooling: over a sequence's steps, see `Pool`; if None the model's own, or the mean where each step has its answer.
    Beside what else a row stands in a batch, and the padding there, change it by no more than rounding does, 1e-5.
    Raises: DataError for what cannot be read; RunError for a pooling that does not exist.
    """
    examples = predictor.form.ask(texts, predictor.spec)
    pool = _pool(predictor, pooling)
    found: list[np.ndarray | None] = [None] * len(examples)
    lengths = examples.lengths
    for rows in BucketBatches(lengths, batch_size=batch_size, batch_tokens=BATCH_TOKENS, training=False):
        batch = examples.collate(rows)
        assert batch.index is not None
        model = predictor.model
        pooled: Tensor = pool(model.encode(predictor.task.preprocess(batch.to(predictor.device))))
        each = pooled.float().reshape(len(batch), -1).cpu().numpy()  # a row's variables, where they are read apart
        for row, vector in zip(batch.index.tolist(), each, strict=True):
            found[row] = vector
    return np.stack([vector for vector in found if vector is not None]) if found else np.empty((0, 0), np.float32)


def write(predictor: Predictor, texts: Iterable[Any], path: Path, pooling: str | None = None) -> tuple[int, int]:
    """Write vectors as a .npy file, completely or not at all; only so many texts are held at once. Returns its shape.

    Raises: DataError for what cannot be read, or no texts at all; RunError; Unwritable.
    """
    count = features = 0
    try:
        if path.is_dir():
            raise OSError(errno.EISDIR, "it is a folder")
        with files.replacing(path) as temporary, open(temporary, "xb") as file:
            file.write(bytes(HEADER))
            for group in _groups(texts):
                rows = vectors(predictor, group, pooling)
                count, features = count + len(rows), rows.shape[1]
                file.write(rows.astype("<f4", copy=False).tobytes())
            if not count:
                raise DataError("there is nothing to encode: the file has no texts.\n  Give one text a line.")
            file.seek(0)
            file.write(_header(count, features))
    except OSError as error:
        raise files.unwritable(path, error) from error
    return count, features


def _pool(predictor: Predictor, pooling: str | None) -> Pool:
    if pooling is not None and pooling not in POOLINGS:
        raise RunError(unknown("no pooling is named", pooling, POOLINGS))
    own: Pool | None = getattr(predictor.model, "pool", None)
    if pooling is None and own is not None:
        return own
    chosen: Any = pooling or OWN
    return Pool(chosen, predictor.model.architecture.output_size)


def _groups(texts: Iterable[Any]) -> Iterator[list[Any]]:
    waiting = iter(texts)
    while group := list(islice(waiting, AHEAD)):
        yield group


def _header(rows: int, features: int) -> bytes:
    """Of float32 (rows, features), row by row. Source: NEP 1, "A simple file format for NumPy arrays"."""
    words = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {features}), }}"
    room = HEADER - 10
    return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + f"{words:<{room - 1}}\n".encode("ascii")
