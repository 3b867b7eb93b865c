"""Learning rates by depth: lower layers learn more slowly."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import Optimizer

from rnnzoo.model import SequenceModel

FACTOR = "depth_factor"


def by_depth(model: SequenceModel) -> list[list[nn.Parameter]]:
    """The parameters that are trained, each once, by depth.

    First those of the inputs, then those of each layer of the architecture from the input up, last all others: the
    head's, a decoder's. A level may be empty.
    """
    levels: list[list[nn.Module]] = [[model.inputs], *model.architecture.layer_groups(), [model]]
    seen: set[int] = set()
    groups = []
    for modules in levels:
        group = []
        for parameter in (parameter for module in modules for parameter in module.parameters()):
            if parameter.requires_grad and id(parameter) not in seen:
                seen.add(id(parameter))
                group.append(parameter)
        groups.append(group)
    return groups


def parameter_groups(model: SequenceModel, layer_decay: float) -> list[dict[str, Any]]:
    """Groups for an optimizer, the top one first; `scale_rates` gives each its learning rate.

        lr of a layer = layer_decay * lr of the layer above

    Source: Howard, Ruder, arXiv:1801.06146 (discriminative fine-tuning, layer_decay = 1 / 2.6).
    """
    levels = reversed(by_depth(model))
    return [{"params": level, FACTOR: layer_decay**depth} for depth, level in enumerate(levels) if level]


def scale_rates(optimizer: Optimizer) -> None:
    """Multiply the learning rate of each group by the factor that `parameter_groups` gave it."""
    for group in optimizer.param_groups:
        group["lr"] *= group.pop(FACTOR)
