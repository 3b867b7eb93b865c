"""The plain loop with one gradient product a weight: each step's is kept until all are there. Needs no compiler.

For wide layers: adding the gradient of a large weight once a step costs more than computing it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Variable
from torch.autograd.function import FunctionCtx
from torch.overrides import TorchFunctionMode

from rnnzoo.cells.base import Cell, State
from rnnzoo.engine.paths.base import Result
from rnnzoo.engine.paths.reference import Reference
from rnnzoo.engine.sequences import Sequences


class Deferred(Reference):
    """Step by step; the gradients of weights in `F.linear` are one product each, after the last step."""

    name = "deferred"
    in_every_mode = False

    def refuses(self, cell: Cell, x: Sequences) -> str | None:
        """Why this path cannot run the cell; None if it can."""
        return "autocast is on" if torch.is_autocast_enabled(x.layout.device.type) else None

    def run(self, cell: Cell, x: Sequences, state: State | None, reverse: bool, need_state: bool) -> Result:
        """state: (batch, *shape) each, or None. Returns the outputs and the last state, in the batch's order."""
        with _Deferring(cell):
            return super().run(cell, x, state, reverse, need_state)


Steps = dict[int, list[tuple[Tensor, Tensor]]]  # by backward pass, for each step: input, gradient of the product


class _Deferring(TorchFunctionMode):
    """Puts `_Multiply` in the place of a product with a weight of the cell."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.weights = {id(p) for p in cell.parameters() if p.dim() == 2 and p.requires_grad}
        self.collected: dict[int, tuple[Tensor, Steps]] = {}

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),  # whatever the function takes
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function is F.linear and len(args) > 1 and id(args[1]) in self.weights and torch.is_grad_enabled():
            x, weight = args[:2]
            bias = args[2] if len(args) > 2 else kwargs.get("bias")
            if x.dim() == 2:
                if id(weight) not in self.collected:
                    steps: Steps = {}
                    self.collected[id(weight)] = _Collect.apply(weight, steps), steps
                y = _Multiply.apply(x, *self.collected[id(weight)])
                return y if bias is None else y + bias
        return function(*args, **kwargs)


class _Context(FunctionCtx):
    """What a forward pass leaves for its backward passes."""

    steps: Steps
    saved_tensors: tuple[Tensor, ...]


class _Collect(torch.autograd.Function):
    """The weight as the steps see it. Its backward runs after every step's: one product of what they stored.

    What a backward pass stored is of that pass alone: one that does not ask for the weight's gradient never gets here.
    """

    @staticmethod
    def forward(ctx: _Context, weight: Tensor, steps: Steps) -> Tensor:
        """weight: (out_features, in_features). Returns the same."""
        ctx.steps = steps
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor | None) -> tuple[Tensor | None, None]:
        """gradient: (out_features, in_features) of other uses of the weight, or None. Returns that of all uses."""
        stored = ctx.steps.pop(torch._C._current_graph_task_id(), None)
        if stored:
            x, of_y = (torch.cat(parts) for parts in zip(*stored, strict=True))
            product = of_y.t() @ x
            gradient = product if gradient is None else gradient + product
        return gradient, None


class _Multiply(torch.autograd.Function):
    """The product of one step with a weight, whose gradient `_Collect` computes."""

    @staticmethod
    def forward(ctx: _Context, x: Tensor, weight: Tensor, steps: Steps) -> Tensor:
        """x: (batch, in_features); weight: (out_features, in_features). Returns (batch, out_features)."""
        ctx.save_for_backward(x, weight)
        ctx.steps = steps
        return x @ weight.t()

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        """gradient: (batch, out_features). Returns that of x; of the weight None, but what it needs is stored."""
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted: nothing is put off
            return gradient @ weight, gradient.t() @ x, None
        task = torch._C._current_graph_task_id()
        if task not in ctx.steps:
            ctx.steps[task] = []
            Variable._execution_engine.queue_callback(partial(_forget, ctx.steps, task))  # at the end of this pass
        ctx.steps[task].append((x, gradient))
        return gradient @ weight, None, None


def _forget(steps: Steps, task: int) -> None:
    """Drop what a backward pass has stored and not used."""
    steps.pop(task, None)
