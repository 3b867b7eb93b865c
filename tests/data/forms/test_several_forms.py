"""A data set that can be read in several forms is read in the one that its task takes."""

import numpy as np
import pytest

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.cli import main
from rnnzoo.data.base import Source
from rnnzoo.data.forms import chosen, forms_of
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.resolver import resolve
from rnnzoo.tasks.classification import Classification
from rnnzoo.tasks.regression import Regression
from rnnzoo.tasks.sentiment import Sentiment


class Both(Source):
    """Series that have a label, and a number."""

    form = "labelled_series"
    forms = ("labelled_series", "measured_series")

    def read(self):
        columns = {"values": [np.full((3, 1), number, np.float32) for number in range(4)]}
        asked = {"label": list("abab")} if self.form == "labelled_series" else {"target": [0.0, 1.0, 2.0, 3.0]}
        return dict.fromkeys(("train", "dev"), columns | asked)


@pytest.fixture(autouse=True)
def both():
    registry.register("datasets", "both", Both)
    yield
    registry.unregister("datasets", "both")


def resolved(task):
    return resolve(recipes.of({"data": {"name": "both"}, "task": {"name": task}, "model": {"architecture": "gru"}}))


@pytest.mark.parametrize(("task", "form"), [("classification", "labelled_series"), ("regression", "measured_series")])
def test_the_task_chooses_the_form(task, form):
    assert make_data(resolved(task)).spec.form == form
    assert Both.form == "labelled_series"  # of the class, whatever an instance was told


def test_a_task_that_no_form_suits_is_refused_with_all_forms_named():
    with pytest.raises(RecipeError) as error:
        resolved("sentiment")
    assert "data set 'both' has labelled_series, measured_series" in str(error.value)
    assert "Tasks for 'both': " in str(error.value) and "regression" in str(error.value)


def test_the_first_form_is_the_one_where_no_task_asks_for_another():
    assert forms_of(Both) == ("labelled_series", "measured_series")
    assert [chosen(Both, task) for task in (None, Classification, Regression, Sentiment)] == [
        "labelled_series",
        "labelled_series",
        "measured_series",
        "labelled_series",
    ]
    with pytest.raises(ValueError, match="Both gives labelled_series, measured_series, not text_pairs"):
        Both().give("text_pairs")


def test_what_is_shown_of_it_has_the_settings_of_all_its_forms_once(capsys):
    assert main(["show", "dataset", "both"]) == 0
    lines = capsys.readouterr().out.partition("Source:")[0].splitlines()
    assert len([line for line in lines if line.split()[:1] == ["batch_size"]]) == 1
