"""A cell in a process that has just begun, and in two that train together: one process answers all questions.

`ask` writes a folder and starts `rnnzoo.testing.cells.answering` on it. That process imports the cell's module and
reports what the import did, forks to take one step with `DistributedDataParallel`, loads the cell from a checkpoint and
runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.engine.sequences import Sequences
from rnnzoo.testing.base import NotApplicable

SECONDS = 120  # until a process that does not answer is ended
TENSORS = ("reload", "ddp")  # questions whose answers are tensors


class Failure(NamedTuple):
    """Why a question has no answer. skipped: it cannot be asked here, and the cell is not at fault."""

    reason: str
    skipped: bool = False


class Answers(NamedTuple):
    """What became of a cell in other processes.

    import_effects: what importing its module did besides defining things, in words. reload: outputs and last states of
    the cell loaded from a checkpoint. ddp: gradients of a step of two processes, each with half of the batch.
    """

    import_effects: list[str] | Failure
    reload: dict[str, Tensor] | Failure
    ddp: dict[str, Tensor] | Failure


def ask(
    maker: Callable[..., object], parameters: Mapping[str, object], cell: Cell, x: Tensor, lengths: Tensor
) -> Answers:
    """What becomes of a cell of class `maker` elsewhere, given its weights and a batch.

    x: (batch, time, features). lengths: (batch,).
    Raises: NotApplicable if no other process can import the class.
    """
    from safetensors.torch import load_file, save_file

    from rnnzoo.runs import checkpoint

    request: dict[str, object] = {
        "module": maker.__module__,
        "name": maker.__qualname__,
        "parameters": dict(parameters),
        "sizes": [cell.input_size, cell.hidden_size],
    }
    _refuse_unfindable(maker, request)
    with tempfile.TemporaryDirectory(prefix="rnnzoo-check-") as name:
        folder = Path(name)
        checkpoint.save(folder / "checkpoint", cell.state_dict(), request, {})
        save_file({"x": x, "lengths": lengths}, folder / "batch.safetensors")
        problem = _run(folder)
        if not (folder / "answer.json").exists():
            return Answers(*[Failure(f"another process failed: {problem}")] * len(Answers._fields))
        written = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        tensors: dict[str, dict[str, Tensor] | Failure] = {}
        for question in TENSORS:
            why: dict[str, str] = written[question]
            if why:
                tensors[question] = Failure(next(iter(why.values())), skipped="skipped" in why)
            else:
                tensors[question] = load_file(folder / f"{question}.safetensors")
        return Answers(written["import"], **tensors)


def _run(folder: Path) -> str:
    """Start the other process and wait for it. Returns its last words, in case that it has not answered."""
    command = [sys.executable, "-m", "rnnzoo.testing.cells.answering", str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"it did not end in {SECONDS} s"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"it ended with code {done.returncode}"


def _refuse_unfindable(maker: Callable[..., object], request: dict[str, object]) -> None:
    try:
        imported = reduce(getattr, maker.__qualname__.split("."), sys.modules[maker.__module__])
    except (AttributeError, KeyError):
        imported = None
    if imported is not maker or maker.__module__ == "__main__":
        raise NotApplicable("the class is in no module that another process could import")
    try:
        json.dumps(request)
    except TypeError as error:
        raise NotApplicable("the parameters are not JSON, so no other process can receive them") from error


class Outcome(nn.Module):
    """A cell run over a batch, as a module with one call."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.layer = Recurrence(cell)

    def forward(self, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """x: (batch, time, features); lengths: (batch,). Returns real tensors by name.

        "outputs": (batch, time, output_size), zeros past the ends. "last 0", "last 1", ...: (batch, ...), each state
        after its sequence's last step; a complex one as (batch, ..., 2).
        """
        outputs, last = self.layer(Sequences.of(x, lengths))
        assert last is not None
        states = {f"last {k}": torch.view_as_real(s) if s.is_complex() else s for k, s in enumerate(last)}
        return {"outputs": outputs.padded, **states}


def outcome(cell: Cell, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Outputs and last states, without gradient; see `Outcome.forward`."""
    with torch.no_grad():
        return {name: tensor.contiguous() for name, tensor in Outcome(cell)(x, lengths).items()}


def gradients(model: nn.Module, cell: Cell, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter: of squared outputs and last states, mean over the batch."""
    loss = sum(tensor.square().sum() for tensor in model(x, lengths).values()) / len(x)
    loss.backward()
    return {name: p.grad.contiguous() for name, p in cell.named_parameters() if p.grad is not None}
