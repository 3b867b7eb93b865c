"""The sums that the metrics of a module hold so far, taken out and put back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from rnnzoo.runs.state import State


def metric_states(module: nn.Module) -> list[State]:
    """Of each metric in the module, in order: how often it was updated, and its sums. The tensors are its own."""
    return [
        {"count": metric._update_count, "values": {name: getattr(metric, name) for name in metric._defaults}}
        for metric in _metrics(module)
    ]


def copied(states: list[State]) -> list[State]:
    """The states with tensors that no later update changes."""
    return [
        {"count": state["count"], "values": {name: _copy(value) for name, value in state["values"].items()}}
        for state in states
    ]


def load_metric_states(module: nn.Module, states: list[State], device: torch.device) -> None:
    """Put back what `metric_states` gave. Raises: TypeError, AttributeError for states of another kind."""
    for metric, saved in zip(_metrics(module), states, strict=True):
        for name, default in metric._defaults.items():
            setattr(metric, name, _on(saved["values"][name], default, device))
        metric._update_count, metric._computed = int(saved["count"]), None


def _metrics(module: nn.Module) -> Iterator[Metric]:
    return (part for part in module.modules() if isinstance(part, Metric))


def _copy(value: Any) -> Any:
    """An update appends to a list, and adds to a tensor in place."""
    return list(value) if isinstance(value, list) else value.clone()


def _on(value: Any, default: Tensor | list[Tensor], device: torch.device) -> Tensor | list[Tensor]:
    """A metric's sum, or list of values, on a device. Raises: TypeError, AttributeError for what is neither."""
    if isinstance(default, Tensor) and not isinstance(value, Tensor):
        raise TypeError(f"a metric's sum is a {type(value).__name__}")
    return [item.to(device) for item in value] if isinstance(value, list) else value.to(device)
