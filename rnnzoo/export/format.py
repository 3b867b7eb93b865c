"""A kind of file that a model is exported to, and the check of what was written: it is run and compared.

Other batches and lengths than the example's are asked, as an exporter may freeze those of the example.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnzoo.errors import ZooError
from rnnzoo.export.base import SHAPES, Exported
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject

TOLERANCE = 1e-4  # the largest difference of a logit that is rounding, at logits of about 1
Run = Callable[..., Sequence[Tensor]]  # inputs, lengths and states, in the order of `Exported`, to logits and states


class Format(ABC):
    """A kind of file. One that cannot hold a model raises ZooError with the reason in one line.

    name: on the command line. suffix: of its files. takes_int8: whether weights may be stored in 8 bits.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    takes_int8: ClassVar[bool] = False

    @abstractmethod
    def write(self, exported: Exported, path: Path) -> None:
        """Write the file. Raises: ZooError, OSError."""

    @abstractmethod
    @contextmanager
    def running(self, exported: Exported, path: Path) -> Iterator[Run]:
        """The file as a function, run by what will run it elsewhere. Raises: ZooError."""


class Report(NamedTuple):
    """An export that was kept: its largest difference of a logit or a state, over so many calls; its size in bytes."""

    difference: float
    calls: int
    size: int


def write(exported: Exported, form: Format, path: Path) -> Report:
    """Write a file, run it, and keep it if it answers as the model does.

    Raises: ZooError where it does not, or cannot be written; what was at `path` before stays.
    """
    if exported.rounded and not form.takes_int8:
        raise ZooError(f"format {form.name} has no weights of 8 bits.\n  Leave --int8 out, or use onnx, c or web.")
    try:
        with files.replacing(path) as temporary:
            form.write(exported, temporary)
            difference, calls = verified(exported, form, temporary)
            size = temporary.stat().st_size
    except OSError as error:
        raise files.unwritable(path, error) from error
    return Report(difference, calls, size)


def verified(exported: Exported, form: Format, path: Path) -> tuple[float, int]:
    """Compare a file with the model on batches and lengths that it was not made with, and on parts of a sequence.

    Returns the largest difference and the number of calls. Raises: ZooError with the difference that is no rounding.
    """
    largest, calls = 0.0, 0
    with form.running(exported, path) as run:
        for batch, time in SHAPES:
            example = exported.example(batch, time, seed=1)
            found, wanted = run(*example.arguments), exported(*example.arguments)
            real = torch.arange(time) < example.lengths[:, None]
            for name, a, b in zip(exported.output_names, found, wanted, strict=True):
                what = f"{name} at batch {batch}, time {time}"
                if a.shape != b.shape:
                    raise _disagrees(form, f"{what} has the shape {tuple(a.shape)}, the model's is {tuple(b.shape)}")
                if name == "logits" and b.dim() > 2 and not exported.answers_once:
                    a, b = a[real], b[real]
                gap = _difference(a, b)
                if not gap <= TOLERANCE * max(1.0, b.abs().max().item() if b.numel() else 0.0):
                    raise _disagrees(form, f"{what} differs by {gap:.3g} from the model's")
                largest = max(largest, gap)
            calls += 1
    return largest, calls


def _difference(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors; NaN where one has it and the other does not."""
    if not a.numel():
        return 0.0
    same = (a == b) | (a.isnan() & b.isnan())
    return (a - b).abs().masked_fill(same, 0).max().item()


def _disagrees(form: Format, how: str) -> ZooError:
    return ZooError(
        f"the {form.name} file does not answer as the model does: {how}.\n"
        f"  Nothing was kept. Other formats may fit this model; rounding would be at most {TOLERANCE:g}."
    )


def needs_tool(tool: str, form: str, remedy: str) -> str:
    """The path of a program that an export needs. Raises: ZooError with what to install."""
    found = shutil.which(tool)
    if found is None:
        raise ZooError(f"format {form} is checked with '{tool}', which is not installed.\n  {remedy}")
    return found


def plain_json(description: JsonObject) -> str:
    """A description as text."""
    return json.dumps(description, ensure_ascii=False)
