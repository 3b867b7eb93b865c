"""How fast a run trains: examples and tokens per second of wall time and of processor time."""

import time

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from rnnzoo.batch import Batch
from rnnzoo.runs.summary import Speed


class Throughput(Callback):
    """Measures training batches only, with their data loading, logging and progress bar; not validation or saving.

    The first two batches of a run are left out: they compile, allocate and warm caches. Counting goes from the end of
    the second, in later epochs from their start, to the end of the epoch's last batch. Processor time is this
    process's, all its threads. Under DDP examples, tokens and processor time are totals, wall time the ranks' mean.
    Batches have a length (examples) and, if they are sequences, `.tokens`.
    """

    WARM_UP = 2  # batches

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._batches = 0
        self._mark: tuple[float, float] | None = None
        self._examples = self._tokens = 0
        self._wall = self._cpu = 0.0  # seconds

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        # Last, so that other callbacks' work is not measured. A new list: Lightning iterates over the old one.
        others = [c for c in trainer.callbacks if c is not self]  # type: ignore[attr-defined]
        trainer.callbacks = [*others, self]  # type: ignore[attr-defined]
        if stage == "fit":
            self._reset()

    def state_dict(self) -> dict[str, float]:
        return {"examples": self._examples, "tokens": self._tokens, "wall": self._wall, "cpu": self._cpu}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self._examples, self._tokens = int(state_dict["examples"]), int(state_dict["tokens"])
        self._wall, self._cpu = float(state_dict["wall"]), float(state_dict["cpu"])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        self._batches += 1
        if pl_module.device.type == "cuda" and (self._batches == self.WARM_UP or trainer.is_last_batch):
            torch.cuda.synchronize()
        if self._mark is not None:
            wall, cpu = self._mark
            self._wall += time.perf_counter() - wall
            self._cpu += time.process_time() - cpu
            self._examples += len(batch)
            self._tokens += getattr(batch, "tokens", 0)
        self._start()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1:
            counts = torch.tensor([self._examples, self._tokens, self._cpu, self._wall], dtype=torch.float64)
            examples, tokens, cpu, wall = trainer.strategy.reduce(counts.to(pl_module.device), reduce_op="sum").tolist()
            self._examples, self._tokens, self._cpu = int(examples), int(tokens), cpu
            self._wall = wall / trainer.world_size

    def summary(self) -> Speed:
        """The four rates, per second; None where nothing was measured."""

        def rate(count: int, seconds: float) -> float | None:
            return count / seconds if count and seconds else None

        return {
            "examples_per_second": rate(self._examples, self._wall),
            "tokens_per_second": rate(self._tokens, self._wall),
            "examples_per_cpu_second": rate(self._examples, self._cpu),
            "tokens_per_cpu_second": rate(self._tokens, self._cpu),
        }

    def _start(self) -> None:
        """Run the clock from here on, once the run is warm."""
        if self._batches >= self.WARM_UP:
            self._mark = time.perf_counter(), time.process_time()
