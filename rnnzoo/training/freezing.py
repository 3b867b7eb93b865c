"""Parts of a model whose weights stay as they are: for good, or for the first epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rnnzoo.errors import unknown
from rnnzoo.model import SequenceModel

ALWAYS = "always"


class Freezing:
    """Switches the training of a model's parts off and on again, by epoch.

    parts: the number of epochs, or "always", by a part's name: "inputs", "inputs.tokens", "architecture",
    "architecture.layers.0", "head"; 0 stands for a part that is trained. A parameter of several parts is frozen as long
    as any of them.

    A frozen part still has its dropout; its batch normalisation keeps its running statistics. Both are as in
    `lightning.pytorch.callbacks.BaseFinetuning`. In contrast to that, the optimizer has all parameters that are ever
    trained from the beginning, so that a stopped training goes on with the same optimizer.

    Raises: ValueError for a part that the model does not have, or if nothing is left to train.
    """

    def __init__(self, model: SequenceModel, parts: Mapping[str, int | str]) -> None:
        self._parameters: dict[nn.Parameter, float] = {}  # the epoch from which each is trained
        self._norms: dict[_BatchNorm, float] = {}
        for name, epochs in parts.items():
            part = _part(model, name)
            first = math.inf if epochs == ALWAYS else float(epochs)
            for parameter in part.parameters():
                if parameter.requires_grad:
                    self._parameters[parameter] = max(first, self._parameters.get(parameter, 0))
            for module in part.modules():
                if isinstance(module, _BatchNorm) and module.track_running_stats:
                    self._norms[module] = max(first, self._norms.get(module, 0))
        for parameter, first in self._parameters.items():
            parameter.requires_grad_(first < math.inf)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ValueError("freeze: every part is frozen for good, so nothing would be trained.\n  Thaw one of them.")

    @property
    def thaws(self) -> bool:
        """Whether a part is frozen at first and trained later."""
        return any(0 < first < math.inf for first in self._parameters.values())

    def apply(self, epoch: int) -> None:
        """Freeze and thaw what is due in an epoch, counted from 0."""
        for parameter, first in self._parameters.items():
            parameter.requires_grad_(epoch >= first)
        for module, first in self._norms.items():
            module.track_running_stats = epoch >= first


def _part(model: SequenceModel, name: str) -> nn.Module:
    """A part of the model by its name. Raises: ValueError."""
    fields = {f"inputs.{field}": part for field, part in zip(model.input_names, model.inputs, strict=True)}
    if name in fields:
        return fields[name]
    modules = {path: module for path, module in model.named_modules() if any(True for _ in module.parameters())}
    if name in modules and name:
        return modules[name]
    paths = {module: path for path, module in modules.items()}
    layers = [paths[layer] for group in model.architecture.layer_groups() for layer in group if layer in paths]
    top = [path for path in modules if path and "." not in path]
    raise ValueError(unknown("freeze: the model has no part", name, [*top, *fields, *layers]))
