"""Encode a recipe's data once, ahead of its runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from rnnzoo.batch import DataSpec
from rnnzoo.data.base import Chunks, Form
from rnnzoo.data.prepared import Prepared, can_be_prepared, write
from rnnzoo.data.store import Store, Writer, key
from rnnzoo.data.streaming.encoded import encoded
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.build import make_data
from rnnzoo.experiment.initial import read_initial
from rnnzoo.recipe import Recipe
from rnnzoo.system.files import JsonObject


class Made(NamedTuple):
    """What was prepared. spec: how. parts: counts of each, by name. new: whether it was encoded now, or stood there."""

    store: Store
    spec: DataSpec
    parts: dict[str, dict[str, int]]
    new: bool


def prepare(recipe: Recipe, folder: Path, vocabulary: str | None = None) -> Made:
    """The data of a resolved recipe as token files in a folder; where they stand there already, they are checked.

    The text is read some lines at a time. vocabulary: a trained model whose words are taken; None makes them from the
    training split. Raises: RecipeError, DataError, RunError, Unwritable.
    """
    spec = None if vocabulary is None else _spec_of(recipe, vocabulary)
    data = make_data(recipe)
    source, form, name = data.source, data.form, recipe["name"]
    if source.store() is not None:
        raise RecipeError(f"{name}: data: {recipe['data']['name']} are prepared already.")
    if not can_be_prepared(form):
        raise RecipeError(
            f"{name}: data of the form {form.name} are no stream of tokens, and no folder of them is made.\n"
            "  With data.streaming: true they are prepared in the user's cache, without --out."
        )
    stream = source.stream()
    chunks: dict[str, Chunks] = {part: partial(stream.chunks, part) for part in stream.parts}

    def encode(writer: Writer) -> None:
        stream.begin()
        write(writer, form, spec or form.fit_chunks(chunks["train"]), chunks, source.identity)
        stream.check()

    made_from: JsonObject = {"rows": stream.key(), "form": _settings(form)}
    made_from["vocabulary"] = None if spec is None else key(spec.to_json())
    before = folder.exists()
    store = Store.made(folder, made_from, encode)
    if before:
        store.check()
    made = Prepared(store)
    counts = {part: {name: own[name] for name in ("rows", "tokens", "unknown")} for part, own in made.facts.items()}
    return Made(store, made.spec, counts, not before)


def prepare_stream(recipe: Recipe) -> Made:
    """What a run of a resolved recipe with `data.streaming: true` takes from the user's cache, made or checked there.

    Raises: RecipeError, DataError, RunError, Unwritable.
    """
    if not recipe["data"].get("streaming"):
        raise RecipeError(
            f"{recipe['name']}: its runs read the data into memory, and nothing is prepared for them.\n"
            "  Set data.streaming: true, or name a folder for token files with --out."
        )
    initial = read_initial(recipe)
    data = make_data(recipe)
    found = encoded(data.source, data.form, known=initial and initial.trained.spec)
    if not found.new:
        found.store.check()
    return Made(found.store, found.spec, {part: {"examples": len(own)} for part, own in found.parts.items()}, found.new)


def _spec_of(recipe: Recipe, model: str) -> DataSpec:
    initial = read_initial(recipe | {"init_from": model})
    assert initial is not None
    return initial.trained.spec


def _settings(form: Form) -> JsonObject:
    """The settings of the form that change what is encoded."""
    return {name: value for name, value in vars(form).items() if name not in form.free}
