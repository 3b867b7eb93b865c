"""Generated loops with their gradients, several side by side on threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from rnnzoo.engine.cpp.job import Job

T = TypeVar("T")
Tensors = list[Tensor | None]


class _Context(FunctionCtx):
    """What a forward pass leaves for its backward passes. warn: called when a slow way is taken."""

    jobs: list[Job]
    warn: Callable[[str], None]
    saved_tensors: tuple[Tensor | None, ...]
    needs_input_grad: tuple[bool, ...]


class Scan(torch.autograd.Function):
    """From the tensors of several jobs to their states over time and their last ones."""

    @staticmethod
    def forward(
        ctx: _Context, jobs: list[Job], warn: Callable[[str], None], *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        """tensors: `Job.tensors` of all jobs. warn: called when a slow way is taken.

        Returns for each job all its states, (rows, hidden_size) each, and its last ones, (batch, hidden_size) each.
        """
        parts = _parts(tensors, [len(job.tensors) for job in jobs])
        ctx.jobs, ctx.warn = jobs, warn
        # asked for in backward, which fails if one was changed in between; None is allowed, whatever torch's types say
        ctx.save_for_backward(*tensors)  # type: ignore[arg-type]
        ctx.set_materialize_grads(False)
        results = _side_by_side([partial(job.forward, part) for job, part in zip(jobs, parts, strict=True)])
        for job in jobs:
            job.tensors = [None] * len(job.tensors)
        return tuple(itertools.chain(*results))

    @staticmethod
    def backward(ctx: _Context, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """gradients: (rows, hidden_size) and (batch, hidden_size), of its results; gives those of its tensors."""
        if torch.is_grad_enabled():
            return (None, None, *_differentiable(ctx, gradients))
        counts = [len(job.tensors) for job in ctx.jobs]
        calls = [
            partial(job.backward, tensors, part, needs[0])
            for job, tensors, part, needs in zip(
                ctx.jobs,
                _parts(ctx.saved_tensors, counts),
                _parts(gradients, [2 * job.states for job in ctx.jobs]),
                _parts(ctx.needs_input_grad[2:], counts),
                strict=True,
            )
        ]
        return (None, None, *itertools.chain(*_side_by_side(calls)))


def _differentiable(ctx: _Context, gradients: Sequence[Tensor | None]) -> Tensors:
    """The gradients as a graph of their own, for a gradient of a gradient."""
    ctx.warn("a gradient of a gradient was asked for")
    tensors = [None if t is None else t.view_as(t) for t in ctx.saved_tensors]  # each use its own
    parts = _parts(tensors, [len(job.tensors) for job in ctx.jobs])
    results = list(itertools.chain(*(job.replay(part) for job, part in zip(ctx.jobs, parts, strict=True))))
    asked = [(result, g) for result, g in zip(results, gradients, strict=True) if g is not None]
    wanted = [t for t, need in zip(tensors, ctx.needs_input_grad[2:], strict=True) if need and t is not None]
    outputs, weights = zip(*asked, strict=True)
    made = iter(torch.autograd.grad(outputs, wanted, weights, create_graph=True, allow_unused=True))
    return [
        next(made) if need and t is not None else None
        for t, need in zip(tensors, ctx.needs_input_grad[2:], strict=True)
    ]


def _parts(values: Sequence[T], counts: Sequence[int]) -> list[list[T]]:
    """Values cut into parts of these lengths."""
    ends = list(itertools.accumulate(counts, initial=0))
    return [list(values[begin:end]) for begin, end in itertools.pairwise(ends)]


def _side_by_side(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of all calls: each on a thread of its own, if torch may use several."""
    if len(calls) == 1 or torch.get_num_threads() == 1:
        return [call() for call in calls]
    threads = [_Thread(call) for call in calls[1:]]  # a pool would take longer to start than they do
    for thread in threads:
        thread.start()
    try:
        first = calls[0]()
    finally:
        for thread in threads:
            thread.join()
    return [first, *(thread.result() for thread in threads)]


class _Thread(threading.Thread, Generic[T]):
    """A call on a thread of its own, whose error is raised where its result is asked for."""

    def __init__(self, call: Callable[[], T]) -> None:
        super().__init__()
        self.call = call
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with torch.no_grad():  # which holds in the thread that said so alone
                self.value = self.call()
        except (RuntimeError, MemoryError, AssertionError) as error:  # of torch, of memory, of tensors that do not fit
            self.error = error

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value
