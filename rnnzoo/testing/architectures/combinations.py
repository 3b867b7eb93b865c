"""Which cells, inputs and recipes go with an architecture, and which are refused."""

from __future__ import annotations

import json
from functools import partial

import torch

from rnnzoo import recipe as recipes
from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE
from rnnzoo.errors import RecipeError, UnknownName
from rnnzoo.experiment.resolver import resolve
from rnnzoo.testing.architectures.samples import CELLS, Counting
from rnnzoo.testing.architectures.subject import (
    ANSWERS,
    HIDDEN,
    INPUT,
    LENGTHS,
    ArchitectureSubject,
    answer,
    batch_of,
    spread,
)

REFUSALS = {  # a shipped recipe for each shape of answer
    ONE: "quickstart",
    EACH: "toy_tags",
    CAUSAL: "toy_text",
    SEQUENCE: "toy_reverse",
}


def check_any_cell(subject: ArchitectureSubject) -> str:
    """Any cell works inside: built-in, projected, any step, a complex state; ragged lengths and gradients included."""
    for what, cell in CELLS.items():
        network = subject.network(cell)
        x, lengths = batch_of()
        try:
            together = answer(network, x, lengths)
            spread(together["decoded" if SEQUENCE in subject.answers else "outputs"]).backward()
        except Exception as error:  # a plugin's architecture may raise anything
            raise AssertionError(f"{subject.name}: with {what}: {type(error).__name__}: {error}") from error
        wanted = {name: tensor[1:2] for name, tensor in together.items()}
        wanted["outputs"] = wanted["outputs"][:, : LENGTHS[1]]
        subject.close(answer(network, x[1:2, : LENGTHS[1]]), wanted, f"of a sequence alone, with {what}")
    return ", ".join(CELLS)


def check_refuses_wrong_input(subject: ArchitectureSubject) -> None:
    """Wrong features, lengths and cells are refused: ValueError with both sides, UnknownName, TypeError."""
    network = subject.network()
    message = subject.raises("wrong features", lambda: network(torch.zeros(1, 2, INPUT + 1)), ValueError)
    sides = f"wrong features: expected a message with {INPUT} and {INPUT + 1}, found '{message}'"
    subject.require(str(INPUT) in message and str(INPUT + 1) in message, sides)
    too_long = torch.tensor([3])
    subject.raises("lengths beyond time", lambda: network(torch.zeros(1, 2, INPUT), too_long), ValueError)
    if "hidden_size" in subject.signature:
        build = partial(subject.maker, INPUT, **(subject.parameters | {"hidden_size": 0}))
        subject.raises("hidden_size=0", build, ValueError)
    subject.raises("an unknown cell", lambda: subject.network("no_such_cell"), UnknownName)
    subject.raises("an instance for a cell", lambda: subject.network(Counting(INPUT, HIDDEN)), TypeError)


def check_refused_combinations(subject: ArchitectureSubject) -> str:
    """A recipe that asks what `answers` does not name is refused, one that asks what it names is not."""
    own = ["--model.architecture", json.dumps({"name": subject.registered, **subject.parameters})]
    for shape, recipe in REFUSALS.items():
        resolved = partial(resolve, recipes.read(recipe, own))
        if shape in subject.answers:
            resolved()
        else:
            message = subject.raises(f"a task that needs {shape}", resolved, RecipeError)
            subject.require(f"cannot answer {shape}" in message, f"expected 'cannot answer {shape}', found '{message}'")
    return f"refuses {', '.join(sorted(ANSWERS - subject.answers)) or 'nothing'}"
