"""The task under test: how it is made, and the batches that it is asked about."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.data.forms import FORMS
from rnnzoo.model import SequenceModel, build_model
from rnnzoo.tasks.base import Output, Task
from rnnzoo.testing.subject import Subject
from rnnzoo.testing.tasks.samples import ROWS, sample

ARCHITECTURES = {ONE: "bidirectional", EACH: "bidirectional", CAUSAL: "recurrent", SEQUENCE: "encoder_decoder"}


class TaskSubject(Subject):
    kind = "tasks"

    @cached_property
    def examples(self) -> tuple[DataSpec, Batch]:
        """A batch of the task's form, and what it is from."""
        kind: Any = FORMS[self.maker.form]
        columns, form = sample(self.maker.form), kind(batch_size=ROWS)
        spec = form.fit(columns)
        examples = form.encode(columns, spec)
        return spec, examples[next(iter(form.batches(examples, training=True)))]

    def built(self) -> tuple[Task, SequenceModel, Batch]:
        """The task, a small model for it in evaluation mode, and a batch."""
        spec, batch = self.examples
        torch.manual_seed(1)
        task = self.maker(spec, **self.parameters)
        inputs = {"tokens": {"size": 8}} if "tokens" in task.inputs(spec) else {}
        model = build_model(spec, task, {"name": ARCHITECTURES[task.needs], "hidden_size": 8}, inputs)
        return task, model.eval(), batch

    def loss(self, task: Task, model: SequenceModel, batch: Batch) -> tuple[Output, Tensor]:
        output = task.forward(model, batch)
        return output, task.loss(model, output, batch)


def rows_of(batch: Batch, rows: list[int]) -> Batch:
    """The given rows of a batch, without padding that none of them needs."""
    lengths = batch.lengths[rows]
    time = int(lengths.max())
    target, target_lengths = batch.target[rows], None
    if batch.target_lengths is not None:
        target_lengths = batch.target_lengths[rows]
        target = target[:, : int(target_lengths.max())]
    elif target.dim() == 2 and not target.is_floating_point():
        target = target[:, :time]
    inputs = {name: tensor[rows][:, :time] for name, tensor in batch.inputs.items()}
    references = None if batch.references is None else [batch.references[row] for row in rows]
    index, starts = (None if place is None else place[rows] for place in (batch.index, batch.starts))
    return Batch(inputs, lengths, target, target_lengths, index, references=references, starts=starts)  # type: ignore[arg-type]


def splits(batch: Batch) -> dict[str, list[Batch]]:
    """The rows of a batch as several batches, in some ways."""
    rows = list(range(len(batch)))
    cuts = {
        "row by row": [[row] for row in rows],
        "one and the rest": [rows[:1], rows[1:]],
        "in threes, backwards": [rows[k : k + 3] for k in range(0, len(rows), 3)][::-1],
    }
    return {name: [rows_of(batch, part) for part in parts] for name, parts in cuts.items()}
