"""The format "c": one file of C99 that depends on nothing, made from the engine's trace of each cell."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from rnnzoo.errors import ZooError
from rnnzoo.export.base import Exported
from rnnzoo.export.c.source import source
from rnnzoo.export.c.weights import Weights
from rnnzoo.export.format import Format, Run, needs_tool
from rnnzoo.tasks.base import Task

STRICT = ("-std=c99", "-Wall", "-Werror", "-O2")
SECONDS = 300.0  # that a compiler may take
MEMORY, UNKNOWN = -1, -2  # what rnn_run returns


class CFile(Format):
    """Compiled with `cc` and called for the check."""

    name, suffix, takes_int8 = "c", ".c", True

    def write(self, exported: Exported, path: Path) -> None:
        compiler()
        if type(exported.task).preprocess is not Task.preprocess:
            raise ZooError(
                f"format c cannot hold this model: the task {exported.recipe['task']['name']} changes its inputs first."
            )
        path.write_text(source(exported, Weights(exported.rounded)), encoding="ascii")

    @contextmanager
    def running(self, exported: Exported, path: Path) -> Iterator[Run]:
        with tempfile.TemporaryDirectory(prefix="rnnzoo-") as folder:
            library = Path(folder) / "model.so"
            built(path, library, "-shared", "-fPIC")
            yield _caller(exported, ctypes.CDLL(str(library)))


def compiler() -> str:
    """Raises: ZooError where there is none."""
    return needs_tool("cc", "c", "Install a C compiler: apt install gcc, or xcode-select --install.")


def built(path: Path, target: Path, *options: str) -> None:
    """Compile a file. Raises: ZooError with what the compiler says."""
    command = [compiler(), *STRICT, *options, "-o", str(target), "-x", "c", str(path), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ZooError(f"the C file takes the compiler more than {SECONDS:.0f} s.") from None
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), "it does not say why")
        raise ZooError(f"the C file does not compile: {first.strip()[:300]}.")


def _caller(exported: Exported, library: ctypes.CDLL) -> Run:
    """The library as a function of batches: row by row."""
    letters = any(field.kind == "characters" for field in exported.fields.values())

    def run(*arguments: Tensor) -> list[Tensor]:
        example = exported.named(arguments)
        batch = len(example.lengths)
        time = next(iter(example.inputs.values())).shape[1]
        classes = exported.classes
        logits = torch.zeros(batch, classes) if exported.answers_once else torch.zeros(batch, time, classes)
        after = [tensor.clone() for tensor in example.state]
        for row, length in enumerate(example.lengths.tolist()):
            fields = [
                tensor[row, :length].to(torch.float32 if exported.fields[name].kind == "values" else torch.int32)
                for name, tensor in example.inputs.items()
            ]
            fields = [field.contiguous() for field in fields]
            state = torch.cat([tensor[row].flatten() for tensor in after]).float() if after else None
            given = [ctypes.c_void_p(field.data_ptr()) for field in fields]
            sizes = [fields[-1].shape[-1]] if letters else []
            if letters:
                sizes = [next(f.shape[-1] for f in fields if f.dim() == 2)]
            answered = torch.zeros_like(logits[row])
            code = library.rnn_run(
                None if state is None else ctypes.c_void_p(state.data_ptr()),
                *given,
                *sizes,
                length,
                ctypes.c_void_p(answered.data_ptr()),
            )
            if code:
                raise ZooError("the C file ran out of memory." if code == MEMORY else "the C file refused an id.")
            logits[row] = answered
            if state is not None:
                ends = state.split([tensor[row].numel() for tensor in after])
                for tensor, end in zip(after, ends, strict=True):
                    tensor[row] = end.view(tensor[row].shape)
        return [logits, *after]

    return run


FORMAT = CFile()
