"""Every architecture on every task, as both declare it: it learns and answers, or is refused before anything is built.

The pairs are those of the registry, plugins included, on a few rows of the task's form of data.
"""

import json

import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.cli import main
from rnnzoo.data.base import Source
from rnnzoo.data.forms import FORMS
from rnnzoo.engine.recurrence import using_path
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build
from rnnzoo.experiment.resolver import resolve
from rnnzoo.testing.tasks.samples import sample

TASKS = {entry.name: registry.load("tasks", entry.name) for entry in registry.entries("tasks")}
ARCHITECTURES = {entry.name: registry.load("architectures", entry.name) for entry in registry.entries("architectures")}
PAIRS = [(task, architecture) for task in TASKS for architecture in ARCHITECTURES]
POSSIBLE = [(task, name) for task, name in PAIRS if TASKS[task].needs in ARCHITECTURES[name].answers()]
IMPOSSIBLE = [pair for pair in PAIRS if pair not in POSSIBLE]


@pytest.fixture(autouse=True, scope="module")
def samples():
    """A data set of each form that a task takes, named as the form."""
    names = {task.form: f"sample_{task.form}" for task in TASKS.values()}
    for form, name in names.items():
        rows = sample(form)
        read = lambda self, rows=rows: dict.fromkeys(("train", "dev", "test"), rows)  # noqa: E731
        registry.register("datasets", name, type(name, (Source,), {"form": form, "read": read}))
    yield
    for name in names.values():
        registry.unregister("datasets", name)


def resolved(task, architecture):
    tokens = "tokens" in FORMS[TASKS[task].form].fields({})
    return resolve(
        recipes.of(
            {
                "data": {"name": f"sample_{TASKS[task].form}"},
                "task": task,
                "model": {
                    "architecture": {"name": architecture, "hidden_size": 4},
                    "inputs": {"tokens": {"size": 4}} if tokens else {},
                },
                "optimizer": {"name": "sgd", "lr": 0.1},
            },
            "combination",
        )
    )


@pytest.mark.parametrize(("task", "architecture"), POSSIBLE, ids=str)
def test_what_is_declared_takes_a_step_of_training_and_answers(task, architecture):
    recipe = resolved(task, architecture)
    data = build.make_data(recipe)
    torch.manual_seed(1)
    module = build.make_module(recipe, data.spec)
    batch = next(iter(data.train_dataloader()))
    parameters = list(module.model.parameters())
    before = [p.detach().clone() for p in parameters]
    with using_path(module, "reference"):
        loss = module.task.loss(module.model, module(batch), batch)
        loss.backward()
        torch.optim.SGD(parameters, lr=0.1).step()
        answers = module.task.predictions(module.model.eval(), batch)
    assert loss.isfinite() and any(not torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
    assert len(answers) == len(batch) and json.dumps(answers, allow_nan=False)


@pytest.mark.parametrize(("task", "architecture"), IMPOSSIBLE, ids=str)
def test_what_is_not_declared_is_refused_with_what_could_be_asked(task, architecture):
    with pytest.raises(RecipeError) as error:
        resolved(task, architecture)
    needs = TASKS[task].needs
    message = str(error.value)
    assert f"'{architecture}' cannot answer {needs}, which task '{task}' needs" in message
    assert TASKS[task].needs_reason in message
    able = message.rpartition(": ")[2].rstrip(".").split(", ")
    assert sorted(able) == sorted(name for other, name in POSSIBLE if other == task)


def test_every_task_can_be_asked_of_some_architecture_and_every_architecture_be_asked_something():
    assert {task for task, _ in POSSIBLE} == {*TASKS} and {name for _, name in POSSIBLE} == {*ARCHITECTURES}


def test_the_list_of_combinations_is_what_is_declared(capsys):
    assert main(["list", "combinations", "--json"]) == 0
    listed = {row["task"]: row["architectures"].split(", ") for row in json.loads(capsys.readouterr().out)}
    assert [(task, name) for task, names in listed.items() for name in names] == POSSIBLE
