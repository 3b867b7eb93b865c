"""A cell in a process that has just begun, and in two that train together: one process is started for all questions.

The checks call `ask`; it writes a folder and runs this module on it, which imports the cell's module and notes what
that did, forks to take one step with `DistributedDataParallel`, loads the cell from a checkpoint and runs it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell, make_cell
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.engine.sequences import Sequences
from rnnzoo.testing.base import NotApplicable

SECONDS = 120  # until a process that does not answer is ended
HEAVY = frozenset(
    (
        "datasets",
        "jax",
        "jsonargparse",
        "lightning",
        "matplotlib",
        "pandas",
        "pytorch_lightning",
        "scipy",
        "sklearn",
        "tensorflow",
        "tokenizers",
        "torch._dynamo",
        "torch._inductor",
        "torchmetrics",
        "torchvision",
        "transformers",
        "triton",
        "wandb",
    )
)


# -- asking ---------------------------------------------------------------------------------------------------------


def ask(maker: Any, parameters: Mapping[str, Any], cell: Cell, x: Tensor, lengths: Tensor) -> dict[str, Any]:
    """What became of a cell of class `maker` elsewhere, given its weights and a batch.

    Returns "import": what importing its module did beside defining; "reload": tensors of a run; "ddp": gradients of a
    step of two processes, each with half of the batch. In their place stands {"error": text} or {"skipped": reason}.
    Raises: NotApplicable if no other process can find the class.
    """
    from safetensors.torch import load_file, save_file

    from rnnzoo.runs import checkpoint

    request = {
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
        command = [sys.executable, "-m", "rnnzoo.testing.fresh", name]
        places = {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        try:
            done = subprocess.run(command, env=os.environ | places, capture_output=True, text=True, timeout=SECONDS)
            told = done.stderr.strip().splitlines()[-1:] or [f"it ended with code {done.returncode}"]
        except subprocess.TimeoutExpired:
            told = [f"it did not end in {SECONDS} s"]
        if not (folder / "answer.json").exists():
            return {part: {"error": f"another process failed: {told[0]}"} for part in ("import", "reload", "ddp")}
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        for part in ("reload", "ddp"):
            if not answer[part]:
                answer[part] = load_file(folder / f"{part}.safetensors")
        return answer


def _refuse_unfindable(maker: Any, request: dict[str, Any]) -> None:
    try:
        found = reduce(getattr, maker.__qualname__.split("."), sys.modules[maker.__module__])
    except (AttributeError, KeyError):
        found = None
    if found is not maker or maker.__module__ == "__main__":
        raise NotApplicable("the class stands in no module that another process could import")
    try:
        json.dumps(request)
    except TypeError as error:
        raise NotApplicable("the parameters are not JSON, so that no other process could be told them") from error


# -- answering ------------------------------------------------------------------------------------------------------


def main(folder: Path) -> None:
    """Answer the questions that `ask` wrote into a folder."""
    torch.set_num_threads(1)  # no thread pool that a fork would leave behind
    from safetensors.torch import load_file

    from rnnzoo.runs import checkpoint

    saved = checkpoint.load(folder / "checkpoint")
    batch = load_file(folder / "batch.safetensors")
    answer: dict[str, Any] = {}
    module, answer["import"] = imported(saved.meta["module"])
    maker = reduce(getattr, saved.meta["name"].split("."), module)

    def build() -> Cell:
        cell = make_cell(lambda i, h: maker(i, h, **saved.meta["parameters"]), *saved.meta["sizes"]).eval()
        checkpoint.apply(cell, saved)
        return cell

    answer["ddp"] = _noted(folder / "ddp.safetensors", lambda: _two_processes(build, batch, folder))
    answer["reload"] = _noted(folder / "reload.safetensors", lambda: outcome(build(), **batch))
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _noted(path: Path, work: Callable[[], dict[str, Tensor]]) -> dict[str, str]:
    """Save the tensors that some work gives. Returns why there are none."""
    from safetensors.torch import save_file

    try:
        save_file(work(), path)
    except NotApplicable as reason:
        return {"skipped": str(reason)}
    except Exception as error:  # a cell may raise anything
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def imported(name: str) -> tuple[Any, list[str]]:
    """Import a module. Returns it, and what that did beside defining things, in words."""
    before, modules, printed = _surroundings(), set(sys.modules), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        module = importlib.import_module(name)
    after = _surroundings()
    did = [f"{what} changed" for what, value in before.items() if value != after[what]]
    did += [f"{heavy} imported" for heavy in sorted(HEAVY & (set(sys.modules) - modules))]
    did += [f"{printed.getvalue().strip()[:60]!r} printed"] if printed.getvalue() else []
    return module, did


def _surroundings() -> dict[str, Any]:
    """What importing a module must leave as it is."""
    import numpy

    tasks = Path("/proc/self/task")
    return {
        "the number of threads": (len(threading.enumerate()), len(list(tasks.iterdir())) if tasks.is_dir() else 0),
        "the state of torch's random generator": torch.get_rng_state().tolist(),
        "the state of numpy's random generator": str(numpy.random.get_state()),
        "the state of Python's random generator": random.getstate(),
        "torch's default dtype": str(torch.get_default_dtype()),
        "torch's number of threads": torch.get_num_threads(),
        "whether gradients are recorded": torch.is_grad_enabled(),
        "whether CUDA is initialised": torch.cuda.is_initialized(),
        "the number of parameters in memory": sum(type(item) is nn.Parameter for item in gc.get_objects()),
        "the environment variables": dict(os.environ),
        "the working folder": os.getcwd(),
    }


class Outcome(nn.Module):
    """A cell run over a batch, as a module with one call: outputs and last states, real."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.layer = Recurrence(cell)

    def forward(self, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        outputs, last = self.layer(Sequences.of(x, lengths))
        assert last is not None
        states = {f"last {k}": torch.view_as_real(s) if s.is_complex() else s for k, s in enumerate(last)}
        return {"outputs": outputs.padded, **states}


def outcome(cell: Cell, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Outputs and last states."""
    with torch.no_grad():
        return {name: tensor.contiguous() for name, tensor in Outcome(cell)(x, lengths).items()}


def gradients(model: nn.Module, cell: Cell, x: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """The gradient of every parameter: of squared outputs and last states, mean over the batch."""
    loss = sum(tensor.square().sum() for tensor in model(x, lengths).values()) / len(x)
    loss.backward()
    return {name: p.grad.contiguous() for name, p in cell.named_parameters() if p.grad is not None}


def _two_processes(build: Callable[[], Cell], batch: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    if not hasattr(os, "fork"):
        raise NotApplicable("this system has no fork")
    importlib.import_module("torch._dynamo")  # DistributedDataParallel does, in two seconds: once for both
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            _half(1, build, batch, folder)
        os._exit(0)  # and nothing of the parent's is written twice
    try:
        return _half(0, build, batch, folder)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, 9)  # it has given its half, or waits for one that never comes
        os.waitpid(child, 0)


def _half(rank: int, build: Callable[[], Cell], batch: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=SECONDS / 3)
    )
    cell = build()
    half = {name: tensor.chunk(2)[rank] for name, tensor in batch.items()}
    found = gradients(DistributedDataParallel(Outcome(cell)), cell, **half)
    distributed.barrier()
    distributed.destroy_process_group()
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
