"""Earlier states of a training, kept in memory: what `rollback` returns to."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor

from rnnzoo.runs.state import State
from rnnzoo.training.callbacks.averaging import Averaging
from rnnzoo.training.callbacks.snapshots import check_fused
from rnnzoo.training.module import ZooModule

KEPT = 2


class GoodStates:
    """The weights, the optimizer's state and the averages of the weights, every so many steps; the newest `KEPT`.

    The older one is returned to: a training that breaks has often gone wrong some steps before its first NaN.
    """

    def __init__(self, every_n_steps: int) -> None:
        self.every_n_steps = every_n_steps
        self.states: list[State] = []  # the oldest first

    def check(self, trainer: Trainer, module: ZooModule) -> None:
        """Refuse states that are not of this training: a stranger may have written them.

        Raises: KeyError, TypeError, ValueError, AttributeError.
        """
        optimizer, averaging = trainer.optimizers[0].state_dict()["state"], _averaging(trainer)
        for state in self.states:
            _check_alike(state["step"], trainer.global_step)
            _check_alike(state["weights"], dict(module.state_dict()))
            for parameter, values in state["optimizer"].items():
                for name in values.keys() & optimizer[parameter].keys():  # none before the parameter's first step
                    if values[name] is not None:
                        _check_alike(values[name], optimizer[parameter][name])
            if state["average"] is not None:
                _check_alike(state["average"], averaging and averaging.average)

    def due(self, step: int) -> bool:
        return step % self.every_n_steps == 0 and (not self.states or self.states[-1]["step"] < step)

    def keep(self, trainer: Trainer, module: ZooModule) -> None:
        """Keep the state of now, if all of it is finite."""
        weights = {name: value.detach().clone() for name, value in module.state_dict().items()}
        optimizer = _copied(trainer.optimizers[0].state_dict()["state"])
        if _finite(weights) and _finite(optimizer):
            averaging = _averaging(trainer)
            average = None if averaging is None else _copied(averaging.average)
            self.states.append(
                {"step": trainer.global_step, "weights": weights, "optimizer": optimizer, "average": average}
            )
            del self.states[:-KEPT]

    @torch.no_grad()
    def restore(self, trainer: Trainer, module: ZooModule) -> int:
        """Put back the oldest state, and forget those after it. Returns its step.

        The optimizer keeps its settings, such as the rate that the schedule has come to.
        """
        del self.states[1:]
        (state,) = self.states
        averaging = _averaging(trainer)
        if averaging is not None:
            averaging.swap_out(module)
        now = module.state_dict()
        for name, value in state["weights"].items():
            now[name].copy_(value)
        module.forget_stream()
        optimizer = trainer.optimizers[0]
        optimizer.load_state_dict({**optimizer.state_dict(), "state": _copied(state["optimizer"])})
        check_fused(optimizer)
        if averaging is not None and averaging.average is not None and state["average"] is not None:
            torch._foreach_copy_(averaging.average, move_data_to_device(state["average"], module.device))
        return int(state["step"])


def _averaging(trainer: Trainer) -> Averaging | None:
    return next((c for c in trainer.callbacks if isinstance(c, Averaging)), None)  # type: ignore[attr-defined]


def _copied(value: Any) -> Any:
    """A value of the optimizer's, with tensors of its own."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _check_alike(saved: Any, now: Any) -> None:
    """Raises: KeyError, TypeError, ValueError where nested values differ in keys, kinds or shapes."""
    if type(saved) is not type(now):
        raise TypeError(f"a good state has a {type(saved).__name__} where a {type(now).__name__} belongs")
    if isinstance(now, Tensor):
        if saved.shape != now.shape:
            raise ValueError(f"a good state has a tensor of {(*saved.shape,)}, not {(*now.shape,)}")
    elif isinstance(now, dict):
        if saved.keys() != now.keys():
            raise KeyError("a good state has other keys than this training")
        for key, value in now.items():
            _check_alike(saved[key], value)
    elif isinstance(now, list):
        for one, other in zip(saved, now, strict=True):
            _check_alike(one, other)


def _finite(value: Any) -> bool:
    """Whether no tensor in a value holds NaN or infinity."""
    if isinstance(value, Tensor):
        return not value.is_floating_point() or bool(value.isfinite().all())
    if isinstance(value, (dict, list)):
        return all(map(_finite, value.values() if isinstance(value, dict) else value))
    return True
