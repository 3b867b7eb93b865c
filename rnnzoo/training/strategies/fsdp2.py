"""Weights, gradients and the optimizer's state shared out over processes, by `torch.distributed.fsdp.fully_shard`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.optimizer import _optimizer_to_device
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.optim import Optimizer

from rnnzoo.errors import RecipeError
from rnnzoo.runs.state import State
from rnnzoo.training.strategies.shares import share_out, whole

HOOKS = ("_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")  # of a module


class FSDP2Strategy(ModelParallelStrategy):
    """Each process holds a share of every weight, gradient and average of the optimizer; a step has the weights whole.

    They are gathered before a training step's forward pass and freed after its backward pass, which leaves each process
    its share of the mean gradient: one group of all, as a layer's are read together, and a loss reads the head's.
    Validation has them whole from its start to its end, so that no process waits there for one with more batches. What
    is saved is whole and in the format of one process. Outside training each process has all weights.

    Needs `Gathered` as the first callback.
    """

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)
        self._shared: FSDPModule | None = None
        self._originals: list[tuple[nn.Module, str, nn.Parameter]] = []
        self._hooks: list[tuple[dict[int, object], set[int]]] = []  # of states, and which there were
        self._whole = False  # during a validation

    # the state is read before weights are shared out, and by Lightning's usual way

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        return False

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def setup_environment(self) -> None:
        self._data_parallel_size, self._tensor_parallel_size = self.num_nodes * self.num_processes, 1
        super().setup_environment()

    def setup(self, trainer: pl.Trainer) -> None:
        assert self.accelerator is not None and self.lightning_module is not None
        self.accelerator.setup(trainer)
        self.model = self.precision_plugin.convert_module(self.lightning_module)
        self.model_to_device()
        if trainer.state.fn == TrainerFn.FITTING:
            self._share_out(self.lightning_module)
            self.setup_optimizers(trainer)
        self.barrier()
        self.setup_precision_plugin()
        for optimizer in self.optimizers if trainer.state.fn == TrainerFn.FITTING else ():
            _optimizer_to_device(optimizer, self.root_device)

    def _share_out(self, module: LightningModule) -> None:
        """Replace each parameter by this process's share of the first process's. Raises: RecipeError for scalars."""
        for name, parameter in module.named_parameters():
            if parameter.ndim == 0:
                raise RecipeError(
                    f"trainer.strategy: fsdp2 cannot share out '{name}', a parameter that is one number.\n"
                    "  Take ddp, where each process has all weights."
                )
        for tensor in (*module.parameters(), *module.buffers()):
            torch.distributed.broadcast(tensor.detach(), 0)
        owners = [(part, name, p) for part in module.modules() for name, p in part._parameters.items() if p is not None]
        hooks = [getattr(part, name) for part in module.modules() for name in HOOKS]
        self._hooks = [(found, set(found)) for found in hooks]
        wrapper = _Step(module)
        self._shared = fully_shard(wrapper, mesh=self.device_mesh["data_parallel"], reshard_after_forward=False)
        self._originals, self.model = owners, wrapper
        for _, _, parameter in owners:
            parameter.data = parameter.data.new_empty(0)  # the memory is that of the shares now

    # passes

    def training_step(self, *args: object, **kwargs: object) -> STEP_OUTPUT:
        assert self.lightning_module is not None
        self._share_buffers()
        return super().training_step(*args, **kwargs)

    def validation_step(self, *args: object, **kwargs: object) -> STEP_OUTPUT:
        assert self.lightning_module is not None
        with self.precision_plugin.val_step_context():  # no process waits for another one here
            return self.lightning_module.validation_step(*args, **kwargs)

    def _share_buffers(self) -> None:
        """Give all processes the first one's running statistics, as DDP does before a pass."""
        assert self.lightning_module is not None
        for buffer in self.lightning_module.buffers():
            torch.distributed.broadcast(buffer, 0)

    def gather(self) -> None:
        """Have the weights whole in all processes, until the validation ends."""
        if self._shared is not None:
            self._share_buffers()
            self._shared.unshard()
            self._whole = True

    def on_validation_end(self) -> None:
        if self._shared is not None:
            self._shared.reshard()
            self._whole = False

    def on_train_end(self) -> None:
        """Give all processes all weights back, in the parameters that the module was made with."""
        if self._shared is None:
            return
        for part, name, original in self._originals:
            if not original.numel():
                original.data = whole(cast(nn.Parameter, part._parameters[name]).detach())
        for part, name, original in self._originals:
            part._parameters[name] = original
        for hooks, before in self._hooks:
            for number in hooks.keys() - before:  # FSDP2's, which look for its parameters
                del hooks[number]
        self._originals, self._hooks, self._shared, self.model = [], [], None, self.lightning_module

    # states

    def whole_state(self, module: nn.Module) -> State:
        """The state of a module with whole tensors, on the CPU. All are to ask; all but the first get {}."""
        state, found = module.state_dict(keep_vars=True), {}
        gathered: dict[int, Tensor] = {}  # tied weights are one tensor
        for name, value in state.items():
            if isinstance(value, Tensor):
                if id(value) not in gathered:
                    gathered[id(value)] = self._kept(whole(value.detach()))
                value = gathered[id(value)]
            found[name] = value
        if self._shared is not None and self._whole:  # reading the state has freed them
            self._shared.unshard()
        return found if self.is_global_zero else {}

    def _kept(self, tensor: Tensor) -> Tensor:
        return tensor.cpu() if self.is_global_zero else tensor.new_empty(0)

    def lightning_module_state_dict(self) -> State:
        assert self.lightning_module is not None
        return self.whole_state(self.lightning_module)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        super(ModelParallelStrategy, self).load_model_state_dict(checkpoint, strict)

    def optimizer_state(self, optimizer: Optimizer) -> State:
        if isinstance(optimizer, LightningOptimizer):
            optimizer = optimizer.optimizer
        state = optimizer.state_dict()
        values = {number: {k: self._value(v) for k, v in own.items()} for number, own in state["state"].items()}
        return {**state, "state": values} if self.is_global_zero else {}

    def _value(self, value: object) -> object:
        return self._kept(whole(value)) if isinstance(value, Tensor) else value

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            numbers = [number for group in state["param_groups"] for number in group["params"]]
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            by_number = dict(zip(numbers, parameters, strict=True))
            values = {
                number: {k: share_out(v, by_number[number]) if isinstance(v, Tensor) else v for k, v in own.items()}
                for number, own in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": values})
            _optimizer_to_device(optimizer, self.root_device)

    def save_checkpoint(self, checkpoint: State, filepath: str | Path, storage_options: object = None) -> None:
        ParallelStrategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: bool | None = None) -> State:
        return ParallelStrategy.load_checkpoint(self, checkpoint_path, weights_only)


class Gathered(Callback):
    """Has weights whole for each validation, before another callback looks at them. Place it first."""

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if isinstance(trainer.strategy, FSDP2Strategy) and trainer.state.fn == TrainerFn.FITTING:
            trainer.strategy.gather()


class _Step(nn.Module):
    """A pass through a module: what the weights are gathered for."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: object, **kwargs: object) -> object:
        """The loss of the module's training step, a scalar."""
        return self.module(*args, **kwargs)


def whole_weights(trainer: Trainer, module: nn.Module) -> dict[str, Tensor]:
    """The weights of a part of the trained module, for the first process to write. All are to ask for them."""
    strategy = trainer.strategy
    return strategy.whole_state(module) if isinstance(strategy, FSDP2Strategy) else module.state_dict()
