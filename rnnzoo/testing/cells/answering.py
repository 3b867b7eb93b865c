"""The process that `fresh.ask` starts: it imports a cell's module, loads the cell, runs it and trains it.

`python -m rnnzoo.testing.cells.answering FOLDER` reads the questions from a folder and writes the answers there.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import random
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import reduce
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from rnnzoo.cells.base import Cell, make_cell
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.cells.fresh import SECONDS, Outcome, gradients, outcome

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


def main(folder: Path) -> None:
    """Answer the questions that `ask` wrote into a folder."""
    torch.set_num_threads(1)  # no thread pool that a fork would leave behind
    from safetensors.torch import load_file

    from rnnzoo.runs import checkpoint

    saved = checkpoint.load(folder / "checkpoint")
    batch = load_file(folder / "batch.safetensors")
    module, import_effects = imported(saved.meta["module"])
    maker: Callable[..., Cell] = reduce(getattr, saved.meta["name"].split("."), module)  # type: ignore[arg-type, assignment]

    def build() -> Cell:
        cell = make_cell(lambda i, h: maker(i, h, **saved.meta["parameters"]), *saved.meta["sizes"]).eval()
        checkpoint.apply(cell, saved)
        return cell

    answer = {
        "import": import_effects,
        "ddp": _saved(folder / "ddp.safetensors", lambda: _two_processes(build, batch, folder)),
        "reload": _saved(folder / "reload.safetensors", lambda: outcome(build(), **batch)),
    }
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _saved(path: Path, work: Callable[[], dict[str, Tensor]]) -> dict[str, str]:
    """Save the tensors that some work gives. Returns why there are none."""
    from safetensors.torch import save_file

    try:
        save_file(work(), path)
    except NotApplicable as reason:
        return {"skipped": str(reason)}
    except Exception as error:  # the code of a plugin's cell, which may raise anything
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def imported(name: str) -> tuple[ModuleType, list[str]]:
    """Import a module. Returns it, and what the import did besides defining things, in words."""
    before, modules, printed = _surroundings(), set(sys.modules), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        module = importlib.import_module(name)
    after = _surroundings()
    did = [f"{what} changed" for what, value in before.items() if value != after[what]]
    did += [f"{heavy} imported" for heavy in sorted(HEAVY & (set(sys.modules) - modules))]
    did += [f"{printed.getvalue().strip()[:60]!r} printed"] if printed.getvalue() else []
    return module, did


def _surroundings() -> dict[str, object]:
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


def _two_processes(build: Callable[[], Cell], batch: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """The gradients of one step of two processes, each with half of the batch."""
    if not hasattr(os, "fork"):
        raise NotApplicable("this system has no fork")
    importlib.import_module("torch._dynamo")  # DistributedDataParallel does, in two seconds: once for both
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            _half(1, build, batch, folder)
        os._exit(0)  # without flushing what the parent has still to write
    try:
        return _half(0, build, batch, folder)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, 9)  # it has finished, or waits for a parent that failed
        os.waitpid(child, 0)


def _half(rank: int, build: Callable[[], Cell], batch: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=timedelta(seconds=SECONDS / 3)
    )
    cell = build()
    half = {name: tensor.chunk(2)[rank] for name, tensor in batch.items()}
    result = gradients(DistributedDataParallel(Outcome(cell)), cell, **half)
    distributed.barrier()
    distributed.destroy_process_group()
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]))
