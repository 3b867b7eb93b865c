"""What every task promises."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cached_property, partial
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnzoo import recipe as recipes
from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE
from rnnzoo.batch import Batch, DataSpec
from rnnzoo.data.base import Columns
from rnnzoo.data.forms import FORMS
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Output, Task
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.subject import ANSWERS, Subject, check_builds_from_json

ROWS = 9
ARCHITECTURES = {ONE: "bidirectional", EACH: "bidirectional", CAUSAL: "recurrent", SEQUENCE: "encoder_decoder"}
TOYS = {  # an embedded data set of each form
    "labelled_text": "toy_reviews",
    "tagged_text": "toy_tags",
    "text_stream": "toy_text",
    "masked_text": "toy_gaps",
    "text_pairs": "toy_pairs",
    "measured_series": "adding",
    "windowed_series": "etth1",  # of the Hub, and not read
}


def sample(form: str) -> Columns:
    """A few rows of a form, of unequal lengths."""
    random = Random(0)
    words = [random.choices("abcdef", k=random.randint(1, 7)) for _ in range(ROWS)]
    texts = [" ".join(row) for row in words]
    series = [np.array([[random.random(), random.random()] for _ in row], np.float32) for row in words]
    labels = [random.choice("xyz") if row > 2 else "xyz"[row] for row in range(ROWS)]
    samples: dict[str, Columns] = {
        "labelled_text": {"text": texts, "label": labels},
        "tagged_text": {"words": words, "tags": [[letter.upper() for letter in row] for row in words]},
        "text_stream": {"text": texts},
        "masked_text": {"text": texts},
        "text_pairs": {"source": texts, "target": [text[::-1] for text in texts]},
        "labelled_series": {"values": series, "label": labels},
        "described_series": {"values": series, "text": texts},
        "transcribed_series": {"values": series, "text": [" ".join(row[::2]) for row in words]},
        "windowed_series": {"values": [[math.sin(t / 7), math.sin(t / 11)] for t in range(200)], "own": [True] * 200},
        "measured_series": {"values": series, "target": [row.sum(0) for row in series]},
    }
    return samples[form]


class TaskSubject(Subject):
    kind = "tasks"
    given = frozenset({"spec"})

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
        model = SequenceModel(spec, task, {"name": ARCHITECTURES[task.needs], "hidden_size": 8}, embedding_size=8)
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
    return Batch(inputs, lengths, target, target_lengths, references=references)  # type: ignore[arg-type]


def splits(batch: Batch) -> dict[str, list[Batch]]:
    """The rows of a batch as several batches, in some ways."""
    rows = list(range(len(batch)))
    cuts = {
        "row by row": [[row] for row in rows],
        "one and the rest": [rows[:1], rows[1:]],
        "in threes, backwards": [rows[k : k + 3] for k in range(0, len(rows), 3)][::-1],
    }
    return {name: [rows_of(batch, part) for part in parts] for name, parts in cuts.items()}


def check_declares(subject: TaskSubject) -> str:
    """form, needs and monitor are of those that there are, and the monitored metric is one that the task has."""
    cls = subject.maker
    form, needs = getattr(cls, "form", None), getattr(cls, "needs", None)
    subject.require(form in FORMS, f"form: expected one of {', '.join(FORMS)}, found {form!r}")
    subject.require(needs in ANSWERS, f"needs: expected one of {', '.join(sorted(ANSWERS))}, found {needs!r}")
    metric, mode = cls.monitor
    known = {"loss", *subject.built()[0].metrics()}
    subject.require(metric in known, f"monitor: expected one of {', '.join(sorted(known))}, found '{metric}'")
    subject.require(mode in ("max", "min"), f"monitor: expected max or min, found '{mode}'")
    return f"{form}, needs {needs}, monitors {metric}"


def check_loss_is_finite(subject: TaskSubject) -> str:
    """The loss of a batch is one finite number."""
    _, loss = subject.loss(*subject.built())
    subject.require(loss.shape == (), f"loss: expected one number, found shape {tuple(loss.shape)}")
    subject.finite(loss, "loss")
    return f"{loss.item():.3f} before training"


def check_loss_in_any_order(subject: TaskSubject) -> None:
    """A batch in another order has the same loss."""
    task, model, batch = subject.built()
    order = torch.randperm(len(batch)).tolist()
    found, wanted = (subject.loss(task, model, rows_of(batch, rows))[1] for rows in (order, sorted(order)))
    subject.agree(found, wanted, "loss in another order")


def check_loss_is_a_mean_over_its_count(subject: TaskSubject) -> None:
    """Losses of the parts of a batch, weighted by `count`, have the whole's loss as their mean."""
    task, model, batch = subject.built()
    wanted = subject.loss(task, model, batch)[1]
    for how, parts in splits(batch).items():
        counts = [task.count(part) for part in parts]
        subject.require(sum(counts) == task.count(batch), f"count {how}: expected {task.count(batch)}, found {counts}")
        total = sum(n * subject.loss(task, model, part)[1] for n, part in zip(counts, parts, strict=True))
        subject.agree(total / sum(counts), wanted, f"loss {how}")


def counted(subject: TaskSubject, metrics: Any, batches: list[Batch]) -> Any:
    """The metrics, with these batches counted."""
    task, model, _ = subject.built()
    for batch in batches:
        output, loss = subject.loss(task, model, batch)
        task.update(metrics, output, batch, loss.detach(), model)
    return metrics


def measured(subject: TaskSubject, metrics: Any, batches: list[Batch]) -> dict[str, Tensor]:
    """What the metrics are with these batches counted."""
    metrics = counted(subject, metrics, batches)
    return {name: torch.as_tensor(value) for name, value in metrics.compute().items()}


@torch.no_grad()
def check_metrics_of_any_split(subject: TaskSubject) -> str:
    """Metrics of a part of the data do not depend on how it is cut into batches."""
    task, _, batch = subject.built()
    wanted = measured(subject, task.metrics(), [batch])
    for name, value in wanted.items():
        subject.require(value.shape == () and not bool(value.isnan()), f"{name}: expected one number, found {value}")
    for how, parts in splits(batch).items():
        subject.close(measured(subject, task.metrics(), parts), wanted, how)
    return ", ".join(wanted) or "none"


@torch.no_grad()
def check_metrics_of_processes(subject: TaskSubject) -> None:
    """Counts of two processes, put together, give the metrics of one."""
    task, _, batch = subject.built()
    wanted = measured(subject, task.metrics(), [batch])
    first, second = (counted(subject, task.metrics(), [part]) for part in splits(batch)["one and the rest"])
    for name, metric in first.items():
        for state, reduction in metric._reductions.items():
            told = f"{name}: expected a rule to add '{state}' over processes (dist_reduce_fx), found none"
            subject.require(reduction is not None, told)
        metric.merge_state(second[name])
        subject.agree(metric.compute(), wanted[name], f"{name} of two processes")


@torch.no_grad()
def check_metrics_reset(subject: TaskSubject) -> None:
    """After a reset the metrics count from nothing, and two calls of `metrics` share nothing."""
    task, _, batch = subject.built()
    metrics, first = task.metrics(), rows_of(batch, [0, 1, 2])
    wanted = measured(subject, task.metrics(), [batch])
    measured(subject, metrics, [first])
    metrics.reset()
    subject.close(measured(subject, metrics, [batch]), wanted, "after a reset")


def check_gradient_reaches_the_head(subject: TaskSubject) -> None:
    """The loss has a finite gradient for every parameter of the model, the head's included."""
    task, model, batch = subject.built()
    subject.loss(task, model.train(), batch)[1].backward()
    for name, parameter in model.named_parameters():
        subject.reached(name, parameter)


def check_training_lowers_the_loss(subject: TaskSubject) -> str:
    """A hundred steps on one batch bring its loss below two thirds of what it was."""
    task, model, batch = subject.built()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    before = subject.loss(task, model, batch)[1].item()
    model.train()
    for _ in range(100):
        optimizer.zero_grad()
        subject.loss(task, model, batch)[1].backward()
        optimizer.step()
    after = subject.loss(task, model.eval(), batch)[1].item()
    subject.require(after < before - abs(before) / 3, f"loss: expected two thirds of {before:.3f}, found {after:.3f}")
    return f"from {before:.3f} to {after:.3f}"


@torch.no_grad()
def check_predictions(subject: TaskSubject) -> str:
    """A prediction is one JSON object for each sequence, without a target, the same in any batch."""
    task, model, batch = subject.built()

    def predictions(of: Batch) -> list[dict[str, Any]]:
        return task.predictions(model, Batch(of.inputs, of.lengths))

    found = predictions(batch)
    told = f"predictions: expected a list of {len(batch)} mappings, found {found!r:.100}"
    subject.require(isinstance(found, list) and len(found) == len(batch), told)
    subject.require(all(isinstance(row, dict) for row in found), told)
    try:
        again = json.loads(json.dumps(found, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{subject.name}: predictions: expected JSON: {error}") from error
    subject.require(_alike(again, found), "predictions: expected the same after JSON; keys are text")
    for how, parts in splits(batch).items():
        alone = [row for part in (parts[::-1] if "backwards" in how else parts) for row in predictions(part)]
        subject.require(_alike(alone, found), f"predictions: expected the same {how}")
    return ", ".join(found[0])


def _alike(found: Any, wanted: Any) -> bool:
    """Whether JSON is equal, numbers up to rounding."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and sorted(found) == sorted(wanted)
            and all(_alike(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(map(_alike, found, wanted))
    if isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-4, abs_tol=1e-5)
    return found == wanted


def check_refuses_architectures(subject: TaskSubject) -> str:
    """A recipe with an architecture that cannot give what the task `needs` is refused, with a reason."""
    name, needs = subject.registered, subject.maker.needs
    if subject.maker.form not in TOYS:
        raise NotApplicable(f"no embedded data set is {subject.maker.form}")
    other = "recurrent" if needs == SEQUENCE else "encoder_decoder"
    data = {"data": {"name": TOYS[subject.maker.form]}, "task": {"name": name, **subject.parameters}}
    for architecture in (ARCHITECTURES[needs], other):
        resolved = partial(resolve, recipes.of({**data, "model": {"architecture": architecture}}))
        if architecture != other:
            resolved()
        else:
            told = subject.raises(f"the architecture '{other}'", resolved, RecipeError)
            subject.require(f"cannot answer {needs}" in told, f"expected 'cannot answer {needs}', found '{told}'")
            subject.require("Why:" in told, "needs_reason: expected words that say why, found none")
    return f"refuses {other}"


TASK_CHECKS: tuple[Callable[[Any], str | None], ...] = (
    check_builds_from_json,
    check_declares,
    check_loss_is_finite,
    check_loss_in_any_order,
    check_loss_is_a_mean_over_its_count,
    check_metrics_of_any_split,
    check_metrics_of_processes,
    check_metrics_reset,
    check_gradient_reaches_the_head,
    check_training_lowers_the_loss,
    check_predictions,
    check_refuses_architectures,
)
