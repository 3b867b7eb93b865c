"""A recipe that is trained on data of the caller: rows in memory, or files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnzoo import recipe as recipes
from rnnzoo import registry
from rnnzoo.data.base import Form
from rnnzoo.data.forms import FORMS, chosen, fits, forms_of
from rnnzoo.data.readers import frames, tables
from rnnzoo.data.sources.in_memory import InMemory, held
from rnnzoo.data.sources.own_files import FileSource
from rnnzoo.errors import DataError, ZooError
from rnnzoo.experiment.resolver import loadable
from rnnzoo.recipe import Node, Raw, Where, as_node, as_part
from rnnzoo.recipe.merging import merged
from rnnzoo.recipe.schema import signature
from rnnzoo.recipe.sections import FoldOptions, LoaderOptions, StreamingOptions

PYTHON = "fit"  # what messages call a recipe, or a key of it, that was given in Python


def with_data(raw: Raw, data: Any, named: dict[str, str]) -> tuple[Raw, dict[str, frames.Rows]]:
    """The recipe with other data than its own, and their rows where they are in memory. Raises: DataError."""
    own = section(raw, "data")
    if _is_section(data):
        return changed(raw, (), {"data": data}), {}
    parts = frames.by_split(data)
    paths = [part for part, rows in parts.items() if isinstance(rows, (str, os.PathLike))]
    if paths and len(paths) < len(parts):
        raise DataError(
            f"data: {paths[0]} is a path, and others are in memory.\n"
            "  Give paths for all, or read the file: data={'train': pandas.read_csv(path), ...}."
        )
    form, task = _form_and_task(raw, parts["train"], named, paths != [])
    if paths:
        files = _files(form, own, {part: os.fspath(rows) for part, rows in parts.items()}, named)
        return _replaced(raw, form, task, files), {}
    for column in form.columns:  # what the recipe's own files call a column
        if isinstance(name := own.get(f"{column}_column"), str):
            named.setdefault(column, name)
    if unknown := [column for column in named if column not in form.columns]:
        raise DataError(f"columns: {form.name} has no column '{unknown[0]}'.\n  It has {', '.join(form.columns)}.")
    rows = {part: frames.read(value, form.columns, named, part) for part, value in parts.items()}
    with held(rows) as digest:
        memory = {"name": "in_memory", "rows": digest}
    return _replaced(raw, form, task, memory), rows


def _is_section(data: Any) -> bool:
    """Whether it is a recipe's section: the name of a registered data set, and settings."""
    return isinstance(data, Mapping) and isinstance(data.get("name"), str)


def section(raw: Raw, key: str) -> dict[str, Any]:
    """A section as plain data, also where a part's name stands for it."""
    node = raw.root.value.get(key)
    value = None if node is None else as_part(node).plain
    return value if isinstance(value, dict) else {}


def _replaced(raw: Raw, form: type[Form], task: str | None, data: Mapping[str, Any]) -> Raw:
    """The recipe with another data set. What it says of the form of its own is kept, where that is the same form."""
    root = dict(raw.root.value)
    own = as_part(root["data"]) if "data" in root else None
    if own is not None and isinstance(own.value, dict):
        same = _form_of(raw, own.plain.get("name")) == form.name
        of_any = (form, LoaderOptions, StreamingOptions, FoldOptions)
        known = {key for options in of_any for key in signature(options)} if same else set()
        kept = {
            key: node for key, node in own.value.items() if key == "name" or key in known or "name" not in own.value
        }
        root["data"] = own._replace(value=kept)
    if task is not None:
        root["task"] = as_node(task, Where(PYTHON))
    return Raw(
        raw.name, raw.file, merged(raw.root._replace(value=root), as_node({"data": data}, Where(PYTHON)), top=True)
    )


def _form_of(raw: Raw, dataset: object) -> str | None:
    """The form in which a registered data set is read for the recipe's task; None where there is none of that name."""
    try:
        return chosen(registry.load("datasets", str(dataset)), _task(raw))
    except ZooError:
        return None


def _task(raw: Raw) -> Any:
    """The class of the recipe's task; None where it names none. Raises: UnknownName, PluginError."""
    name = section(raw, "task").get("name")
    return None if name is None else registry.load("tasks", str(name))


def _form_and_task(raw: Raw, train: Any, named: Mapping[str, str], paths: bool) -> tuple[type[Form], str | None]:
    """The form of rows that the recipe's task takes. Without a task, the columns of the data say which it is, and the
    task is named, too. Raises: DataError if they do not; UnknownName, PluginError."""
    if task := _task(raw):
        wanted = getattr(task, "form", "")
        forms = sorted((form for form in FORMS if fits(form, wanted)), key=lambda form: form != wanted)
    else:
        wanted, forms = "", list(FORMS)
    forms = [form for form in forms if paths or form in InMemory.forms]
    if not forms:
        raise DataError(
            f"data: {wanted} cannot be given in memory.\n"
            f"  Forms that can: {', '.join(InMemory.forms)}.\n"
            "  Write the rows to files, and name their data set in the recipe."
        )
    here = _header(train) if paths else frames.column_names(train)
    match = [form for form in forms if here and all(named.get(c, c) in here for c in FORMS[form].columns)]
    match.sort(key=lambda form: -len(FORMS[form].columns))
    if not wanted and not match:
        match = _guessed(train) if here is None else []
        if not match:
            given = "have no names" if here is None else f"are {', '.join(here) or 'none'}"
            raise DataError(
                f"data: no task is named, and the columns {given}: they do not say which task it is.\n"
                "  Name it, as in task='sentiment', and what its columns are called, as in columns={'text': 'review'}."
            )
    form = FORMS[(match or forms)[0]]
    return form, None if wanted else _task_for(form.name)


def _header(path: Any) -> list[str] | None:
    """The columns of a table; None for a file of another kind, or none: its data set tells what is wrong with it."""
    return list(tables.read(Path(path)).header) if tables.is_table(path) and os.path.isfile(path) else None


def _guessed(train: Any) -> list[str]:
    """Pairs of texts are texts with labels."""
    first = train[0] if isinstance(train, (list, tuple)) and train else None
    pair = isinstance(first, (list, tuple)) and len(first) > 0 and isinstance(first[0], str)
    return ["labelled_text"] if pair else []


def _task_for(form: str) -> str:
    """Our most general task that takes a form: no subclass of another one. Raises: DataError."""
    own = [e.name for e in registry.entries("tasks") if e.distribution == registry.OWN_DISTRIBUTION]
    classes = {name: registry.load("tasks", name) for name in own}
    takers = {name: cls for name, cls in classes.items() if cls.form == form}
    for name, cls in takers.items():
        if not any(issubclass(cls, other) for other in takers.values() if other is not cls):
            return name
    raise DataError(f"data: no task is named, and none is for {form} alone.\n  Tasks: {', '.join(own)}.")


def _files(
    form: type[Form], own: Mapping[str, Any], paths: Mapping[str, str], named: Mapping[str, str]
) -> dict[str, Any]:
    """The section of a data set that reads files: the recipe's own, or ours for the form. Raises: DataError."""
    readers = {name: forms_of(cls) for name, cls in loadable("datasets") if issubclass(cls, FileSource)}
    known = [name for name, forms in readers.items() if any(fits(other, form.name) for other in forms)]
    exact = [name for name in known if form.name in readers[name]]
    name = own.get("name") if own.get("name") in known else next(iter(exact), None)
    if name is None:
        raise DataError(
            f"data: a path does not say how {form.name} stands in its file.\n"
            f"  Data sets that read it: {', '.join(known) or 'none'}.\n"
            "  Name one with its settings: data={'name': '...', 'train': path}."
        )
    kept = own if own.get("name") == name else {}
    kept = {key: value for key, value in kept.items() if key not in ("train", "dev", "test")}
    return {**kept, "name": name, **paths, **{f"{column}_column": value for column, value in named.items()}}


def changed(raw: Raw, overrides: Sequence[str], sections: Mapping[str, Any]) -> Raw:
    """A recipe with what the caller gave on top of it."""
    nested: Node = as_node({}, Where(PYTHON))
    for key, value in sections.items():
        for name in reversed(key.split(".")):
            value = {name: value}
        nested = merged(nested, as_node(plain(value), Where(PYTHON)), top=True, renames=False)
    raw = Raw(raw.name, raw.file, merged(raw.root, nested, top=True))
    return recipes.changed(raw, overrides) if overrides else raw


def plain(value: Any) -> Any:
    """Numbers of numpy and paths as recipes have them."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value
