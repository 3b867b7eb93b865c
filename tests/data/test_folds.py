"""Folds of cross-validation: every row is in one, labels are shared out, and the test split stays."""

from collections import Counter

import pytest

from rnnzoo import recipe as recipes
from rnnzoo.data.folds import folded
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.resolver import resolve

WORDS = {"data": {"name": "toy_reviews", "examples": 100}, "task": "sentiment", "model": {"architecture": "gru"}}


def data(**keys):
    return make_data(resolve(recipes.of(WORDS | {"data": WORDS["data"] | keys})))


def test_every_row_is_in_one_fold_and_labels_are_shared_out():
    labels = list("aaaaaaaaaabbbbbc")
    parts = [folded(labels, 5, fold) for fold in range(1, 6)]
    assert sorted(row for _, dev in parts for row in dev) == list(range(15))  # the only c is in none
    for train, dev in parts:
        assert sorted(train + dev) == list(range(16))
        assert Counter(labels[row] for row in dev) == {"a": 2, "b": 1}


def test_folds_of_many_small_groups_have_about_equal_size():
    labels = [f"label {row // 2}" for row in range(60)]
    assert {len(folded(labels, 3, fold)[1]) for fold in (1, 2, 3)} == {20}


def test_the_folds_of_a_data_set_share_its_rows_and_its_test_split():
    whole = data()
    folds = [data(folds=3, fold=fold) for fold in (1, 2, 3)]
    rows = whole.sizes["train"] + whole.sizes["dev"]
    assert sum(fold.sizes["dev"] for fold in folds) == rows
    assert all(fold.sizes["train"] + fold.sizes["dev"] == rows for fold in folds)
    assert {fold.scored_rows for fold in folds} == {whole.scored_rows}
    assert len({fold.fingerprint for fold in folds}) == 3
    assert {fold.source.row_name("dev", 0) for fold in folds} != {whole.source.row_name("dev", 0)}


def test_a_recipe_without_folds_is_what_it_was_before_there_were_any():
    assert {"fold", "folds"}.isdisjoint(resolve(recipes.of(WORDS))["data"])
    kept = resolve(recipes.of(WORDS | {"data": WORDS["data"] | {"folds": 3, "fold": 2}}))
    assert kept["data"]["fold"] == 2 and resolve(recipes.of(kept)) == kept
    assert recipes.digest(kept) != recipes.digest(resolve(recipes.of(WORDS)))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"folds": 3}, "data.fold: missing"),
        ({"fold": 3}, "data.folds: missing"),
        ({"folds": 3, "fold": 4}, "must be one of the 3 folds, from 1, got 4"),
    ],
)
def test_folds_that_there_are_not_are_refused(keys, message):
    with pytest.raises(RecipeError, match=message):
        data(**keys)


def test_a_running_text_has_no_folds():
    text = {"data": {"name": "toy_text", "folds": 3, "fold": 1}, "task": "next_word", "model": {"architecture": "gru"}}
    with pytest.raises(RecipeError, match="rows of text_stream continue each other"):
        resolve(recipes.of(text))
