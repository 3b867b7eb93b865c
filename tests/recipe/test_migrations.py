"""Recipes of earlier formats, brought to today's."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe.migrations import FORMAT, MOVED, migrate, moved
from rnnzoo.recipe.writing import without_later

GOLDEN = Path(__file__).parents[1] / "runs" / "golden"
FLAT = {  # in format 1: a tagger that reads words, letters and shapes
    "name": "r",
    "data": {"name": "toy_tags", "min_freq": 1, "characters": True, "case": True},
    "model": {
        "architecture": {"name": "gru", "hidden_size": 4},
        "pooling": "last",
        "embedding_size": 8,
        "embedding_dropout": 0.5,
        "character_size": 3,
        "character_filters": 5,
        "character_encoder": None,
        "case_size": 2,
        "word_dropout": 0.1,
        "dropout": 0.2,
        "tie_weights": False,
        "shift": 0,
        "share_embeddings": False,
    },
}


def kept():
    """Every recipe of the golden copies: of run folders, checkpoints and manifests."""
    for path in sorted(GOLDEN.rglob("config.yaml")):
        yield pytest.param(yaml.safe_load(path.read_text()), id=path.relative_to(GOLDEN).as_posix())
    for path in sorted([*GOLDEN.rglob("meta.json"), *GOLDEN.rglob("manifests/*.json")]):
        facts = json.loads(path.read_text())
        yield pytest.param(facts.get("recipe") if "parts" in facts else facts["config"], id=path.name)


def test_flat_keys_become_those_of_the_parts_that_the_data_have():
    before = copy.deepcopy(FLAT)
    migrated = migrate(FLAT)
    assert before == FLAT
    assert migrated == {
        "format": FORMAT,
        "name": "r",
        "data": FLAT["data"],
        "model": {
            "inputs": {
                "tokens": {"name": "tokens", "size": 8, "dropout": 0.5, "word_dropout": 0.1},
                "characters": {"name": "characters", "dropout": 0.5, "size": 3, "filters": 5, "encoder": None},
                "case": {"name": "case", "dropout": 0.5, "size": 2},
            },
            "architecture": FLAT["model"]["architecture"],
            "pooling": "last",
            "head": {"dropout": 0.2, "tie_weights": False},
        },
    }


def test_a_decoder_reads_targets_with_the_dropouts_of_the_source():
    model = {"architecture": {"name": "mine", "bridge": "none"}, "word_dropout": 0.1, "share_embeddings": True}
    migrated = migrate({"data": {"min_freq": 1}, "model": model})
    assert migrated["model"]["inputs"] == {
        "tokens": {"name": "tokens", "word_dropout": 0.1},
        "target": {"name": "target", "word_dropout": 0.1, "share": True},
    }


def test_numbers_have_a_shift_and_no_words():
    migrated = migrate({"data": {}, "model": {"architecture": {"name": "gru"}, "shift": 2, "embedding_size": 128}})
    assert migrated["model"]["inputs"] == {"values": {"name": "values", "shift": 2}}
    assert migrate({"format": 1, "data": {}, "model": {}})["format"] == FORMAT


@pytest.mark.parametrize("recipe", kept())
def test_a_kept_recipe_migrates_to_one_that_resolves_to_itself(recipe):
    migrated = migrate(recipe)
    resolved = resolve(recipes.of({"name": "kept", **migrated}))
    assert without_later(resolved)["model"] == migrated["model"] and resolved["format"] == FORMAT
    assert migrate(migrated) == migrated


def test_the_config_of_an_earlier_run_is_a_recipe_too():
    for path in GOLDEN.glob("format1/*/config.yaml"):
        raw = recipes.read(path, ["--trainer.max_epochs", "1"])
        resolved = resolve(raw)
        assert without_later(resolved)["model"] == migrate(yaml.safe_load(path.read_text()))["model"]
        assert resolved["trainer"]["max_epochs"] == 1


def test_what_is_no_recipe_stays_as_it_is():
    for recipe in ({}, {"model": []}, {"model": {"dropout": 0.1}}, {"data": 3, "model": {}}):
        assert migrate(recipe) == recipe


def test_a_recipe_of_a_newer_rnnzoo_is_refused_with_the_version_to_install():
    with pytest.raises(RecipeError) as error:
        migrate({"format": FORMAT + 1}, "9.1.0")
    first, *rest = str(error.value).splitlines()
    assert first == f"format: a newer rnnzoo wrote this recipe, whose format is {FORMAT + 1}."
    assert rest[-1] == "  Install the newer one: pip install rnnzoo==9.1.0"
    with pytest.raises(RecipeError, match="pip install --upgrade rnnzoo"):
        migrate({"format": FORMAT + 1}, "1; rm -rf /")
    for wrong in (0, "2", True, None, 2.0):
        with pytest.raises(RecipeError, match="must be a whole number from 1"):
            migrate({"format": wrong})


@pytest.mark.parametrize("key", MOVED)
def test_an_old_key_is_refused_with_its_new_place_and_the_new_place_exists(key):
    data = {"name": "toy_tags", "characters": True, "case": True}
    task, architecture = "tagging", "bidirectional"
    if key == "shift":
        data, task = "adding", "regression"
    if key == "share_embeddings":
        data, task, architecture = "toy_pairs", "translation", "encoder_decoder"
    recipe = {"data": data, "task": task, "model": {"architecture": architecture, key: 0}}
    with pytest.raises(RecipeError) as error:
        resolve(recipes.of(recipe, "mine"))
    (message,) = error.value.messages
    del recipe["model"][key]
    resolved = resolve(recipes.of(recipe, "mine"))
    new = moved(key, resolved["model"]["inputs"])
    assert message == f"mine: model.{key}: is now {new}."
    for place in new.replace(" and ", ", ").split(", "):
        value = resolved
        for name in place.split("."):
            value = value[name]
