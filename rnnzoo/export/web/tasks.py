"""What a page shows of a task, and what it asks for. A task that is not registered here is refused by name."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from rnnzoo.batch import DataSpec
from rnnzoo.data.forms.masked import GAP
from rnnzoo.errors import ZooError
from rnnzoo.export.web import forms
from rnnzoo.tasks.base import Task
from rnnzoo.tasks.classification import Classification
from rnnzoo.tasks.forecasting import Forecasting
from rnnzoo.tasks.masked_word import MaskedWord
from rnnzoo.tasks.multilabel import Multilabel
from rnnzoo.tasks.next_word import NextWord
from rnnzoo.tasks.regression import Regression
from rnnzoo.tasks.tagging import Tagging


def asked(spec: DataSpec) -> dict[str, Any]:
    """How a page makes a model's input of what is typed. Raises: ZooError for a form that cannot be typed."""
    typed = forms.of(spec)
    return {"form": typed.name, "fields": typed.fields(spec)}


@singledispatch
def shown(task: Task) -> dict[str, Any]:
    """The view of a page, with what it needs. Raises: ZooError."""
    raise ZooError(f"a page cannot answer the task {type(task).__name__}: it labels, tags, continues and measures.")


@shown.register
def _forecasting(task: Forecasting) -> dict[str, Any]:
    raise ZooError(
        "a page cannot forecast: it labels, tags, continues and measures.\n"
        "  `rnnzoo predict RUN --file FILE` and `rnnzoo serve RUN` do; report.html in the run's folder has pictures."
    )


@shown.register
def _classification(task: Classification) -> dict[str, Any]:
    temperature = getattr(getattr(task, "calibration", None), "temperature", 1.0)
    return {"view": "classes", "labels": list(task.spec.labels), "temperature": temperature}


@shown.register
def _multilabel(task: Multilabel) -> dict[str, Any]:
    labels, calibration = list(task.spec.labels), task.calibration
    return {"view": "labels", "labels": labels, "temperature": calibration.temperature, "thresholds": task.thresholds}


@shown.register
def _tagging(task: Tagging) -> dict[str, Any]:
    return {"view": "tags", "labels": list(task.spec.labels), "spans": bool(task.scheme)}


@shown.register
def _next_word(task: NextWord) -> dict[str, Any]:
    return {"view": "writes", "labels": list(task.spec.target.names)}


@shown.register
def _masked_word(task: MaskedWord) -> dict[str, Any]:
    return {"view": "gaps", "labels": list(task.spec.target.names), "gap": GAP}


@shown.register
def _regression(task: Regression) -> dict[str, Any]:
    target = task.spec.target
    return {"view": "numbers", "labels": [], "targets": list(target.names), "scale": target.options}
