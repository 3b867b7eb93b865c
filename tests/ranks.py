"""What 1 to 4 processes make of the same data, compared with what one does: `python tests/ranks.py`.

Every task scores parts of 1 to 17 rows, and takes a step from batches with unequal numbers of answers. The processes of
a world are copies of this one that talk over gloo, and go through all cases together. Prints for each world how many
cases there are and the largest difference from one process; exits 1 where it is above 1e-6.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
import torch.multiprocessing
from lightning.pytorch import Callback

from rnnzoo import registry
from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE
from rnnzoo.data.base import Columns, Source
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.model import build_model
from rnnzoo.recipe.sections import TrainerOptions
from rnnzoo.runs import checkpoint, snapshot
from rnnzoo.testing.tasks.samples import sample
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.finite import Finite
from rnnzoo.training.callbacks.snapshots import SnapshotIO, Snapshots
from rnnzoo.training.exact import ExactModule
from rnnzoo.training.freezing import Freezing
from rnnzoo.training.module import ZooModule
from rnnzoo.training.strategies.shares import whole
from rnnzoo.training.trainer import make_trainer

SIZES = (1, 2, 3, 5, 7, 17)
WORLDS = (2, 3, 4)
TOLERANCE = 1e-6
ARCHITECTURES = {ONE: "bidirectional", EACH: "bidirectional", CAUSAL: "recurrent", SEQUENCE: "encoder_decoder"}
TASKS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("sentiment", "classification", "tagging", "spans", "regression", "forecasting")},
    **{name: {} for name in ("transcription", "masked_word", "next_word", "music", "translation", "captioning")},
    "crf": {"crf": True},
    "sparse": {},  # gradients of the embedding
}
COUNTED = {f"val/{name}" for name in ("accuracy", "f1", "precision", "recall", "exact_match", "error_rate", "bleu")}
STREAMS = {"next_word": 24, "music": 24}  # columns, of which each process has as many
NAMES = {"crf": "tagging", "spans": "tagging", "sparse": "sentiment"}  # variants of a task


class Rows(Source):
    """Rows of unequal lengths, so many to train on and so many to score."""

    def __init__(self, variant: str, form: str, train: int, dev: int) -> None:
        self.form = form  # type: ignore[misc]  # a matter of the task, not of the class
        self.variant, self.sizes = variant, {"train": train, "dev": dev}

    def read(self) -> dict[str, Columns]:
        return {part: self.columns(rows) for part, rows in self.sizes.items()}

    def columns(self, rows: int) -> Columns:
        columns = sample(self.form, rows)
        if self.variant in ("spans", "crf"):
            letters = {"A": "B-X", "B": "I-X", "C": "B-Y"}
            columns["tags"] = [[letters.get(tag, "O") for tag in tags] for tags in columns["tags"]]
        return columns


class Case(NamedTuple):
    """A function that every process of a world calls, and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def build(
    variant: str, *, train: int = 17, dev: int = 5, batch_size: int = 4, dropout: float = 0.0, **settings: Any
) -> tuple[ZooModule, ZooData]:
    """A small network and its data. Weights are large, so that answers differ."""
    task_class: Any = registry.load("tasks", NAMES.get(variant, variant))
    stream = {"tbptt_steps": 5} if task_class.form == "text_stream" else {}
    form: Any = FORMS[task_class.form](batch_size=batch_size, **stream)
    data = ZooData(Rows(variant, form.name, train, dev), form, **settings)
    task = task_class(data.spec, **TASKS[variant])
    torch.manual_seed(1)
    inputs: dict[str, Any] = (
        {"tokens": {"size": 4, "sparse": variant == "sparse", "dropout": dropout}}
        if "tokens" in task.inputs(data.spec)
        else {}
    )
    model = build_model(data.spec, task, {"name": ARCHITECTURES[task.needs], "hidden_size": 4}, inputs)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    make = ExactModule if data.exact else ZooModule
    return make(model, task, {"name": "sgd", "lr": 1.0}), data


def world_size() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def trainer(callbacks: Iterable[Callback] = (), strategy: str = "ddp", **options: Any) -> pl.Trainer:
    """A Trainer of all processes of this world, as a recipe would have it."""
    world = world_size()
    options = {"accelerator": "cpu", "devices": world, "strategy": strategy if world > 1 else "auto", **options}
    recipe = {"name": "ranks", "trainer": asdict(TrainerOptions(enable_progress_bar=False)) | options}
    return make_trainer(recipe, callbacks=list(callbacks), plugins=[SnapshotIO()])


def scores(variant: str, rows: int) -> dict[str, float]:
    """The loss and the metrics of a dev split with so many rows."""
    module, data = build(variant, dev=rows)
    scorer = trainer()
    scorer.validate(module, data, verbose=False)
    return {name: float(value) for name, value in scorer.callback_metrics.items()}


def gradient(variant: str, batch_size: int, accumulate: int) -> dict[str, torch.Tensor]:
    """The gradient of the first step, of `batch_size` rows in all: plain descent at a rate of 1 moves weights by it."""
    rows = -(-batch_size // (world_size() * accumulate))
    module, data = build(variant, train=batch_size, dev=1, batch_size=rows)
    before = {name: weight.detach().double() for name, weight in module.model.named_parameters()}
    options = {"max_steps": 1, "accumulate_grad_batches": accumulate, "precision": "64-true"}
    trainer(**options).fit(module, data)
    return {name: before[name] - weight.detach() for name, weight in module.model.named_parameters()}


class StopAfter(Callback):
    """Asks one process of the run to stop after so many batches, as a signal does."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        self.left -= 1
        if self.left == 0 and trainer.is_global_zero:
            signal.raise_signal(signal.SIGTERM)


def resumed(
    variant: str, accumulate: int, stop_after: int, num_workers: int, strategy: str = "ddp"
) -> dict[str, float]:
    """Raises: AssertionError if a training that was stopped and goes on is not, bit for bit, one that never stopped."""

    def train(callbacks: list[Callback], workers: int, begin: Path | None = None) -> torch.Tensor:
        module, data = build(variant, train=40, batch_size=2, num_workers=workers)
        with contextlib.suppress(SystemExit, KeyboardInterrupt):  # it was asked to stop
            options = {"strategy": strategy, "max_epochs": 2, "accumulate_grad_batches": accumulate}
            trainer(callbacks, **options).fit(module, data, ckpt_path=begin)
        return torch.cat([whole(weight.detach()).flatten() for weight in module.model.parameters()])

    unstopped = train([], 0)
    with _shared_folder() as folder:
        stopped = train([Snapshots(folder, {}), StopAfter(stop_after)], num_workers)
        newest, *_ = snapshot.complete(folder)
        ended = train([Snapshots(folder, {})], num_workers, newest)
    assert not torch.equal(stopped, unstopped), "it was not stopped"
    assert torch.equal(ended, unstopped), "it went on otherwise"
    return {}


def shared_out(
    variant: str, optimizer: str, change: str | None = None, options: tuple[tuple[str, Any], ...] = ()
) -> dict[str, float]:
    """Raises: AssertionError if fsdp2 does not train, score and save what ddp does, within rounding.

    change: of the network, a key of `CHANGES`.
    """
    found: dict[str, tuple[dict[str, float], dict[str, torch.Tensor]]] = {}
    for strategy in ("ddp", "fsdp2") if world_size() > 1 else ():
        module, data = build(variant, train=40, batch_size=4)
        module.optimizer = {"name": optimizer, "lr": 0.01}
        if change is not None:
            CHANGES[change](module)
        monitor, mode = module.monitor
        with _shared_folder() as folder:
            checkpoints = Checkpoints(folder, {}, {}, monitor, mode)
            fitting = trainer([Finite(), checkpoints], strategy, max_epochs=2, **dict(options))
            fitting.fit(module, data)
            saved = checkpoint.load(checkpoint.follow(folder / "last")).weights
        scores = {name: float(value) for name, value in fitting.callback_metrics.items()}
        weights = {name: weight.clone() for name, weight in module.model.state_dict().items()}
        assert difference(weights, saved) == 0, "the checkpoint is not the model"
        checkpoint.apply(module.model, checkpoint.Checkpoint(saved, {}, {}))
        fitting.validate(module, data, verbose=False)  # as `rnnzoo fit` goes on with a test
        found[strategy] = scores, weights
    for one, other in zip(*found.values(), strict=True) if found else ():
        assert difference(one, other) <= TOLERANCE, "fsdp2 differs from ddp"
    return {}


def _batch_norm(module: ZooModule) -> None:
    """Running statistics: buffers, which the processes share."""
    features = int(module.model.head.in_features)
    module.model.head = torch.nn.Sequential(torch.nn.BatchNorm1d(features), module.model.head)


def _frozen(module: ZooModule) -> None:
    module.freezing = Freezing(module.model, {"inputs": "always"})


def _by_depth(module: ZooModule) -> None:
    module.layer_decay = 0.5


CHANGES: dict[str, Callable[[ZooModule], None]] = {"batch_norm": _batch_norm, "frozen": _frozen, "by_depth": _by_depth}
COMPARED = (
    *(Case(scores, (variant, rows)) for variant in TASKS for rows in SIZES),
    *(Case(gradient, (variant, STREAMS.get(variant, 23), n)) for variant in TASKS for n in (1, 2)),
)
RESUMED = tuple(
    Case(resumed, arguments)
    for arguments in (
        ("tagging", 1, 3, 0),
        ("translation", 3, 4, 0),
        ("next_word", 1, 4, 0),
        ("sentiment", 1, 7, 1),
        ("sparse", 3, 4, 0),
        ("tagging", 3, 4, 0, "fsdp2"),
        ("next_word", 1, 4, 0, "fsdp2"),
    )
)
OPTIMIZERS = ("sgd", "rmsprop", "nadam", "radam", "adagrad", "adamw", "sparse_adam")
SHARED_OUT = (
    *(
        Case(shared_out, (variant, "adam", None, (("gradient_clip_val", 0.1),)))
        for variant in TASKS
        if variant != "sparse"
    ),
    *(Case(shared_out, ("tagging", optimizer)) for optimizer in OPTIMIZERS),
    *(Case(shared_out, ("sentiment", "sgd", change, (("accumulate_grad_batches", 2),))) for change in CHANGES),
    Case(shared_out, ("tagging", "adam", None, (("gradient_clip_val", 0.01), ("gradient_clip_algorithm", "value")))),
    Case(shared_out, ("tagging", "adam", None, (("precision", "bf16-mixed"),))),
)


def cases_of(world: int) -> tuple[Case, ...]:
    """With three processes or more a sum depends on the order of its terms, which torch's buckets of gradients change
    after the first step: a training that continues is the same within rounding, not bit for bit.
    """
    return COMPARED + (RESUMED + SHARED_OUT if world <= 2 else ())


@contextlib.contextmanager
def _shared_folder() -> Iterator[Path]:
    """A folder of all processes of this world, which lasts until all of them are done with it."""
    names: list[Any] = [None]
    first = world_size() == 1 or torch.distributed.get_rank() == 0
    if first:
        names = [tempfile.mkdtemp(prefix="rnnzoo-ranks-")]
    if world_size() > 1:
        torch.distributed.broadcast_object_list(names)
    yield Path(names[0])
    if world_size() > 1:
        torch.distributed.barrier()
    if first:
        shutil.rmtree(names[0])


def run(world: int, cases: Sequence[Case]) -> list[list[Any]]:
    """What each case gives in each process of a world."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(_go_through, (world, cases, folder), world, start_method="fork")
        return list(zip(*(torch.load(Path(folder) / str(rank)) for rank in range(world)), strict=True))


def _go_through(rank: int, world: int, cases: Sequence[Case], folder: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in ("rnnzoo", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if world > 1:
        numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "GROUP_RANK": 0}
        os.environ |= {name: str(number) for name, number in numbers.items()}  # as torchrun says it
        meeting, timeout = f"file://{folder}/meeting", timedelta(seconds=60)
        torch.distributed.init_process_group("gloo", meeting, timeout, world, rank)
    torch.save([case.function(*case.arguments) for case in cases], Path(folder) / str(rank))
    if world > 1:
        torch.distributed.destroy_process_group()


def gaps(expected: list[list[Any]], results: list[list[Any]]) -> list[float]:
    """For each case, the largest difference of a process from the one that works alone."""
    return [
        max(difference(alone, other) for other in others) for (alone,), others in zip(expected, results, strict=True)
    ]


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest relative difference of two results; infinite where names, counts or what is NaN are not the same."""
    if one.keys() != other.keys():
        return math.inf
    return max((_gap(name, one[name], other[name]) for name in one), default=0.0)


def _gap(name: str, *values: Any) -> float:
    one, other = (torch.as_tensor(value, dtype=torch.float64) for value in values)
    if not torch.equal(one.isnan(), other.isnan()):
        return math.inf
    one, other = one.nan_to_num(), other.nan_to_num()
    if name in COUNTED and not torch.equal(one, other):
        return math.inf
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-3))


def main() -> int:
    expected, worst = run(1, cases_of(1)), 0.0
    for world in WORLDS:
        start, cases = time.monotonic(), cases_of(world)
        found = gaps(expected[: len(cases)], run(world, cases))
        seconds = time.monotonic() - start
        print(
            f"{world} processes: {len(found)} cases, largest difference {max(found):.1e}, {seconds:.0f} s", flush=True
        )
        for case, gap in zip(cases, found, strict=True):
            if gap > TOLERANCE:
                print(f"  {case.function.__name__}{case.arguments}: {gap:.1e}")
        worst = max(worst, *found)
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
