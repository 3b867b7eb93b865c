"""Sizes solved for so that cells are compared at one number of parameters."""

import pytest

from rnnzoo import recipe as recipes
from rnnzoo import register, unregister
from rnnzoo.cells.gru import GRUCell
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build
from rnnzoo.sweep import options
from rnnzoo.sweep.plan import Planner


class EvenCell(GRUCell):
    """A stranger's cell that takes even sizes alone."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        if hidden_size % 2:
            raise ValueError("hidden_size must be even")
        super().__init__(input_size, hidden_size)


def plan(*words):
    planner = Planner(options.read(recipes.read("quickstart", ["--data.examples", "48", *words])))
    return planner.configurations()


def parameters(recipe):
    """Of the model as `fit` builds it."""
    return sum(p.numel() for p in build.make_module(recipe, build.make_data(recipe).spec).model.parameters())


def test_every_cell_comes_within_two_per_cent_of_what_was_asked():
    register("cells", "even", EvenCell)
    try:
        cells = "[vanilla, {name: zoneout, cell: lstm}, even]"
        found = plan("--sweep.keys.model.architecture.cell", cells, "--sweep.match.parameters", "60k")
        counts = [parameters(configuration.recipe) for configuration in found]
    finally:
        unregister("cells", "even")
    assert all(abs(count - 60_000) <= 0.02 * 60_000 for count in counts)
    sizes = [configuration.recipe["model"]["architecture"]["hidden_size"] for configuration in found]
    assert len(set(sizes)) == 3 and sizes[2] % 2 == 0
    assert [configuration.settings["model.architecture.hidden_size"] for configuration in found] == sizes


def test_no_other_size_is_nearer():
    (found,) = plan("--sweep.keys.model.architecture.cell", "[gru]", "--sweep.match.parameters", "20000")
    size = found.recipe["model"]["architecture"]["hidden_size"]
    off = {}
    for other in (size - 1, size, size + 1):
        found.recipe["model"]["architecture"]["hidden_size"] = other
        off[other] = abs(parameters(found.recipe) - 20_000)
    assert min(off, key=off.get) == size


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sweep.match.parameters", "100"), "comes no nearer to 100 parameters than"),
        (
            ("--sweep.match.parameters", "60k", "--sweep.match.key", "model.architecture.hiden_size"),
            "no whole number at",
        ),
    ],
)
def test_what_cannot_be_met_is_said_before_anything_starts(words, message):
    with pytest.raises(RecipeError, match=message):
        plan("--sweep.keys.model.architecture.cell", "[gru]", *words)
