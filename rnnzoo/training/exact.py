"""Training that gives bitwise the same weights for 1, 2 and 4 processes: `trainer.exact: true`.

A sum of floats depends on the order of its terms, and a product of matrices on their shapes. So each batch, of all
processes, is cut into `SHARDS` shards. Each is differentiated alone, with random numbers of its own, and what they give
is added in one fixed tree: by one process, or by several that hold neighbouring branches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import starmap
from typing import Any, NamedTuple

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torchmetrics import Metric

from rnnzoo.data.shards import SHARDS, Sharded, own_shards
from rnnzoo.engine.cpp.build import Unbuildable, fingerprint
from rnnzoo.engine.recurrence import Recurrence
from rnnzoo.errors import RecipeError
from rnnzoo.system import seeds
from rnnzoo.training.module import ZooModule

Gradients = list[Tensor | None]  # of each trained parameter; None where it was not used


class ExactStrategy(DDPStrategy):
    """Processes that begin with the same weights and exchange nothing themselves: `ExactModule` adds gradients up."""

    def configure_ddp(self) -> None:
        assert self.model is not None
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            torch.distributed.broadcast(tensor.data, 0)


class _Pending(NamedTuple):
    """The loss of a shard, to be differentiated, and what stands for it in the step's loss."""

    loss: Tensor
    leaf: Tensor


class ExactModule(ZooModule):
    """A `ZooModule` for batches in shards (`Sharded`), whose steps are bitwise the same for each number of processes.

    The gradient of a step is that of a `ZooModule`, within rounding. Each process validates on the whole dev split, so
    that what is chosen by its scores is the same, too. A process computes with one thread, as another number of threads
    adds up in another order.

    Raises: RecipeError for what the weights would depend on beside: a GPU, buffers that training changes, another
    strategy than `ExactStrategy`.
    """

    splits_validation = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pending: dict[int, _Pending] = {}
        self._buffers_checked = False
        _, validation, _ = zip(self.losses, self.measures, strict=True)
        for part in validation:
            for metric in part.modules():
                if isinstance(metric, Metric):
                    metric.distributed_available_fn = _never  # each process has seen all of it

    def on_fit_start(self) -> None:
        torch.set_num_threads(1)
        if self.device.type != "cpu":
            raise RecipeError("trainer.exact: a GPU adds up in no fixed order.\n  Set trainer.accelerator to cpu.")
        if self.trainer.world_size > 1 and not isinstance(self.trainer.strategy, ExactStrategy):
            raise RecipeError("trainer.exact: several processes need a Trainer of `ExactStrategy`.")

    # the forward pass

    def training_step(self, batch: Sharded, batch_idx: int) -> Tensor:  # type: ignore[override]
        for part in self.model.modules():
            if isinstance(part, Recurrence):
                part.steps = 0  # after many the engine compiles, and how many a process makes depends on their number
        buffers = [] if self._buffers_checked else [buffer.clone() for buffer in self.model.buffers()]
        self._pending.clear()
        own = {number: self._shard_step(number, shard, batch_idx) for number, shard in batch.shards.items()}
        if any(not torch.equal(*pair) for pair in zip(buffers, self.model.buffers(), strict=False)):
            raise RecipeError("trainer.exact: the model has a buffer that training changes, as BatchNorm has.")
        self._buffers_checked = True
        seeds.seed(self.seed, SHARDS, self.current_epoch, batch_idx)  # for the optimizer and callbacks
        everyone = self._everyone(own)
        total = sum(count for count, _ in everyone)
        self._make_room(total, batch_idx)
        mean = sum(count * loss for count, loss in everyone) / max(1.0, total)
        self._log_step(torch.tensor(mean), int(total), len(batch))
        return self._step_loss(own, everyone)

    def _shard_step(self, number: int, shard: Any, batch_idx: int) -> tuple[int, float]:
        """Keep the loss of a shard for `backward`; the number of its answers, and its loss."""
        seeds.seed(self.seed, number, self.current_epoch, batch_idx)
        output = self._answer(f"train {number}", shard)
        loss, count = self.task.loss(self.model, output, shard), self.task.count(shard)
        value = loss.detach()
        self._pending[number] = _Pending(loss, value.clone().requires_grad_())
        mean_loss, measures = self._metrics("train")
        mean_loss.update(value, weight=count)
        if len(measures):
            with torch.no_grad():
                self.task.update(measures, output, shard, value, self.model)
        return count, float(value)

    def _everyone(self, own: Mapping[int, tuple[int, float]]) -> list[tuple[float, float]]:
        """The number of answers of each shard, and its loss, 0 for one without rows: of all processes."""
        mine = [own.get(number, (0, 0.0)) for number in own_shards(self.global_rank, self.trainer.world_size)]
        here = torch.tensor(mine, dtype=torch.float64)
        rows = [here] if self.trainer.world_size == 1 else _gathered(here)
        return [(count, loss) for part in rows for count, loss in part.tolist()]

    def _step_loss(self, own: Mapping[int, object], everyone: Sequence[tuple[float, float]]) -> Tensor:
        """The step's loss: its gradient reaches this process's shards. The others' losses count where they are numbers,
        so that bad numbers are found in the process that has them.
        """
        factor = self.trainer.accumulate_grad_batches / max(1.0, self._answers)
        step_loss = torch.zeros((), requires_grad=True)
        for number, (count, loss) in enumerate(everyone):
            if number in own:
                step_loss = step_loss + self._pending[number].leaf * (count * factor)
            elif torch.tensor(loss).isfinite():
                step_loss = step_loss + loss * (count * factor)
        return step_loss

    def _of_all_processes(self, sums: Tensor) -> Tensor:
        return sums

    # the backward pass

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Add the gradient of all shards to that of the batches before it in this step."""
        super().backward(loss, *args, **kwargs)  # as far as the leaves: the precision's scale is in it
        weights = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        own = own_shards(self.global_rank, self.trainer.world_size)
        gradient = added(own.start, own.stop, lambda number: self._shard_gradient(number, weights))
        if self.trainer.world_size > 1:
            gradient = _added_by_all(gradient, weights)
        elif len([loss for loss in own if loss in self._pending]) == 1:
            gradient = [part if part is None else part.clone() for part in gradient]
        self._pending.clear()
        for weight, part in zip(weights, gradient, strict=True):
            if part is not None:
                weight.grad = part if weight.grad is None else weight.grad.add_(part)

    def _shard_gradient(self, number: int, weights: Sequence[Tensor]) -> Gradients:
        """The tensors may be the same for several weights, as for two biases that are added."""
        if number not in self._pending:
            return [None] * len(weights)
        loss, leaf = self._pending[number]
        found = torch.autograd.grad(loss, weights, leaf.grad, allow_unused=True)
        return [part if part is None else part.contiguous() for part in found]

    # carried states

    def _stream(self) -> Any:
        return {stage: state for stage, state in self._carried.items() if stage.startswith("train ")} or None

    def _carry(self, carried: Any) -> None:
        self.forget_stream()
        for stage, state in (carried or {}).items():
            self._carried[stage] = self._here(state)

    def forget_stream(self) -> None:
        for stage in self._stream() or ():
            del self._carried[stage]


def added(start: int, stop: int, gradient_of: Callable[[int], Gradients]) -> Gradients:
    """The gradients of shards start to stop, added as the branches of one fixed binary tree.

    Shards that are a branch of it may be added apart, and then the branches: the result is the same, bit for bit.
    """
    if stop - start == 1:
        return gradient_of(start)
    middle = (start + stop) // 2
    left, right = added(start, middle, gradient_of), added(middle, stop, gradient_of)
    return list(starmap(_sum, zip(left, right, strict=True)))


def _sum(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    """A tensor of its own, in any case."""
    if left is None or right is None:
        only = right if left is None else left
        return only if only is None else only.clone()
    return left + right


def _gathered(mine: Tensor) -> list[Tensor]:
    """A tensor of each process, by its number; all of one shape."""
    parts = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, mine)
    return parts


def _added_by_all(gradient: Gradients, weights: Sequence[Tensor]) -> Gradients:
    """The branches of all processes, added."""
    used = torch.tensor([part is not None for part in gradient], dtype=weights[0].dtype)
    dense = [torch.zeros_like(w) if part is None else part for w, part in zip(weights, gradient, strict=True)]
    vectors = _gathered(torch.cat([*(part.reshape(-1) for part in dense), used]))
    sizes = [weight.numel() for weight in weights]

    def branch(rank: int) -> Gradients:
        *parts, used = vectors[rank].split([*sizes, len(weights)])
        whole = zip(parts, weights, used.tolist(), strict=True)
        return [part.view_as(weight).to(weight.dtype) if flag else None for part, weight, flag in whole]

    return added(0, len(vectors), branch)


def _never() -> bool:
    return False


def make_strategy(name: str) -> ExactStrategy:
    """What starts the processes as Lightning's strategy of this name does: "auto", or one that begins with "ddp"."""
    start = name.removesuffix("_find_unused_parameters_true").partition("_")[2]
    method: Any = {"spawn": "spawn", "fork": "fork", "notebook": "fork"}.get(start, "popen")
    return ExactStrategy(start_method=method)


def computes_with() -> dict[str, str]:
    """What decides, beside versions, which code computes here: JSON, to be the same for all processes of a run."""
    try:
        native = fingerprint()[:16]
    except Unbuildable as why:
        native = str(why)
    return {"processor": torch.backends.cpu.get_cpu_capability(), "compiler": native}


@contextmanager
def threads_kept() -> Iterator[None]:
    """Put torch's number of threads back at the end of the block."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
