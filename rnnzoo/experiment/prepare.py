"""Encode a recipe's data once, ahead of its runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rnnzoo.batch import DataSpec
from rnnzoo.data.base import PARTS, Chunks, Columns, Form
from rnnzoo.data.prepared import Prepared, can_be_prepared, write
from rnnzoo.data.store import Store, Writer, key
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.initial import read_initial
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.schema import signature
from rnnzoo.recipe.sections import FoldOptions, LoaderOptions
from rnnzoo.system.files import JsonObject

ROWS = 4096  # that are encoded at a time


class Made(NamedTuple):
    """What was prepared. new: whether it was encoded now, or stood there already."""

    examples: Prepared
    new: bool


def prepare(recipe: Recipe, folder: Path, vocabulary: str | None = None) -> Made:
    """The data of a resolved recipe as token files in a folder; where they stand there already, they are checked.

    vocabulary: a trained model whose words are taken; None makes them from the training split.
    Raises: RecipeError, DataError, RunError.
    """
    spec = None if vocabulary is None else _spec_of(recipe, vocabulary)
    data = make_data(recipe)
    source, form, name = data.source, data.form, recipe["name"]
    if source.store() is not None:
        raise RecipeError(f"{name}: data: {recipe['data']['name']} are prepared already.")
    if not can_be_prepared(form):
        raise RecipeError(f"{name}: data of the form {form.name} cannot be prepared ahead of a run, and need not be.")
    rows = source.read()
    chunks: dict[str, Chunks] = {part: partial(_cut, rows[part]) for part in PARTS if part in rows}
    identity = source.identity()
    made_from: JsonObject = {"form": form.name, "data": _settings(recipe, form), "identity": identity}
    made_from["vocabulary"] = None if spec is None else key(spec.to_json())
    before = folder.exists()

    def encode(writer: Writer) -> None:
        write(writer, form, spec or form.fit_chunks(chunks["train"], most=None), chunks, identity)

    store = Store.made(folder, made_from, encode)
    if before:
        store.check()
    return Made(Prepared(store), not before)


def _spec_of(recipe: Recipe, model: str) -> DataSpec:
    initial = read_initial(recipe | {"init_from": model})
    assert initial is not None
    return initial.trained.spec


def _settings(recipe: Recipe, form: Form) -> JsonObject:
    """The settings of the data that change what is encoded."""
    left_out = form.free | signature(LoaderOptions).keys() | signature(FoldOptions).keys()
    return {name: value for name, value in recipe["data"].items() if name not in left_out}


def _cut(columns: Columns) -> Iterator[Columns]:
    count = max(map(len, columns.values()), default=0)
    for start in range(0, count, ROWS):
        yield {name: values[start : start + ROWS] for name, values in columns.items()}
