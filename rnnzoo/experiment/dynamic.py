"""Dynamic evaluation: a language model that is scored on a text while it learns from it."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from rnnzoo.batch import Batch
from rnnzoo.data.datamodule import ZooData
from rnnzoo.engine.recurrence import detach
from rnnzoo.errors import RunError
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Task

RATES = (1e-4, 2e-4, 5e-4, 1e-3)
DEV_TOKENS = 10_000  # of the dev split, to choose the rate
TRAINING_WINDOWS = 200  # for the mean square of gradients
EPSILON = 1e-4


class DynamicEvaluation:
    """A model on one stream: each window is scored first, then the model learns from it.

        w <- w - lr * g / (sqrt(mean g^2) + epsilon)

    g is the gradient of the window's mean loss; its mean square over windows of the training split is taken once.
    Source: Krause et al., arXiv:1709.07432, the RMS form. Differs: no decay back to the trained weights. Every call
    starts from the trained weights, and restores them.
    """

    def __init__(self, task: Task, model: SequenceModel, data: ZooData) -> None:
        """Raises: RunError for a task that reads no stream."""
        if not task.carries_state:
            raise RunError(
                f"dynamic evaluation learns from a stream of text, and {type(task).__name__} reads none.\n"
                "  It is for runs of the task next_word."
            )
        self.task, self.model, self.data = task, model, data
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.weights = [p.detach() for p in self.parameters]
        self.trained = [w.clone() for w in self.weights]
        squares = [torch.zeros_like(w) for w in self.weights]
        windows = 0
        data.prepare()
        examples = data.parts["train"]  # all of them, whatever share of them each process trains on
        for window in islice(data.form.batches(examples, training=True, seed=data.seed), TRAINING_WINDOWS):
            batch = examples[window]
            gradients = self._gradients(task.loss(model, task.forward(model, batch), batch))
            torch._foreach_addcmul_(squares, gradients, gradients)
            windows += 1
        self.scales = [1 / ((s / windows).sqrt() + EPSILON) for s in squares]

    def _gradients(self, loss: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss, self.parameters)

    def best_rate(self) -> float:
        """The one of `RATES` with the lowest perplexity on the beginning of the dev split."""
        return min(RATES, key=lambda lr: self.perplexity("dev", lr, DEV_TOKENS))

    def perplexity(self, part: str, lr: float, tokens: float = math.inf) -> float:
        """The perplexity on a part of the data, or on about so many tokens at its beginning."""
        total, count, state = 0.0, 0, None
        try:
            for batch in self._windows(part):
                output = self.task.forward(self.model, batch, state)
                loss = self.task.loss(self.model, output, batch)
                total += loss.item() * self.task.count(batch)
                count += self.task.count(batch)
                state = detach(output.state) if output.state is not None else None
                changes = torch._foreach_mul(self._gradients(loss), self.scales)
                torch._foreach_add_(self.weights, changes, alpha=-lr)
                if count >= tokens:
                    break
        finally:
            torch._foreach_copy_(self.weights, self.trained)
        return float(torch.tensor(total / count).exp())

    def _windows(self, part: str) -> Iterator[Batch]:
        form = copy.copy(self.data.form)
        form.eval_batch_size = 1  # type: ignore[attr-defined]  # one stream: the model learns from each window
        examples = self.data.parts[part]
        return (examples[window] for window in form.batches(examples, training=False))
