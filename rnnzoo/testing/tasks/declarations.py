"""What a task says of itself, and which architectures it is refused."""

from __future__ import annotations

from functools import partial

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.architectures.base import SEQUENCE
from rnnzoo.data.forms import FORMS
from rnnzoo.data.sources.embedded import Embedded
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe.schema import signature
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


def dataset_of(form: str) -> str:
    """A data set of rnnzoo of this form that a recipe can name without parameters: an embedded one where there is one.

    It is not read. Raises: NotApplicable if there is none.
    """
    ours = [entry.name for entry in registry.entries("datasets") if entry.distribution == "rnnzoo"]
    sources = {name: registry.load("datasets", name) for name in ours}
    usable = [
        name
        for name, source in sources.items()
        if source.form == form and not any(parameter.required for parameter in signature(source).values())
    ]
    if not usable:
        raise NotApplicable(f"no data set without parameters is {form}")
    return min(usable, key=lambda name: not issubclass(sources[name], Embedded))


def check_refuses_architectures(subject: TaskSubject) -> str:
    """A recipe with an architecture that cannot give what the task `needs` is refused, with a reason."""
    name, needs = subject.registered, subject.maker.needs
    dataset = dataset_of(subject.maker.form)
    other = "recurrent" if needs == SEQUENCE else "encoder_decoder"
    data = {"data": {"name": dataset}, "task": {"name": name, **subject.parameters}}
    for architecture in (ARCHITECTURES[needs], other):
        resolved = partial(resolve, recipes.of({**data, "model": {"architecture": architecture}}))
        if architecture != other:
            resolved()
        else:
            message = subject.raises(f"the architecture '{other}'", resolved, RecipeError)
            subject.require(f"cannot answer {needs}" in message, f"expected 'cannot answer {needs}', found '{message}'")
            subject.require("Why:" in message, "needs_reason: expected words that say why, found none")
    return f"refuses {other}"
