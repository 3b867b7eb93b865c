"""What a task says of itself, and which architectures it is refused."""

from __future__ import annotations

from functools import partial

from rnnzoo import recipe as recipes
from rnnzoo.architectures.base import SEQUENCE
from rnnzoo.data.forms import FORMS
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.testing.architectures.subject import ANSWERS
from rnnzoo.testing.base import NotApplicable
from rnnzoo.testing.tasks.subject import ARCHITECTURES, TaskSubject


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


TOYS = {  # an embedded data set of each form
    "labelled_text": "toy_reviews",
    "tagged_text": "toy_tags",
    "text_stream": "toy_text",
    "masked_text": "toy_gaps",
    "text_pairs": "toy_pairs",
    "measured_series": "adding",
    "windowed_series": "etth1",  # of the Hub, and not read
}


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
            message = subject.raises(f"the architecture '{other}'", resolved, RecipeError)
            subject.require(f"cannot answer {needs}" in message, f"expected 'cannot answer {needs}', found '{message}'")
            subject.require("Why:" in message, "needs_reason: expected words that say why, found none")
    return f"refuses {other}"
