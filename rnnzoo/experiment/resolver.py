"""The second phase of a recipe: its parts imported, every key checked against their signatures, defaults filled in.

It continues after a mistake and raises all of them at the end. Parts are named as they are registered; an import path
means nothing here, so that a stranger's recipe runs no code of its own.
"""

import contextlib
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rnnzoo import registry
from rnnzoo.architectures.base import SEQUENCE
from rnnzoo.errors import RecipeError, ZooError
from rnnzoo.experiment import trackers
from rnnzoo.experiment.parts import Parts, with_name
from rnnzoo.inputs.base import TARGET
from rnnzoo.model import HeadOptions, build_model
from rnnzoo.recipe import Node, Raw, Where, as_node, migrations
from rnnzoo.recipe.schema import (
    Parameter,
    quoted,
    signature,
)
from rnnzoo.recipe.sections import (
    BadNumbersOptions,
    CheckpointOptions,
    RunOptions,
    TrackingOptions,
    TrainerOptions,
    TransferOptions,
)

log = logging.getLogger("rnnzoo")
MODEL_GIVEN = frozenset({"spec", "task", "architecture", "inputs", "head"})  # of `build_model`: not settings, or parts
SECTIONS = (
    "data",
    "task",
    "model",
    "optimizer",
    "schedule",
    "trainer",
    "callbacks",
    "bad_numbers",
    "checkpoint",
    "tracking",
)
SWEEP = "sweep"  # for `rnnzoo sweep`, see `rnnzoo.sweep.options`; no part of a run
DEFAULTS = {"optimizers": "adamw", "schedules": "constant"}  # what a section without a name is for


def resolve(raw: Raw) -> dict[str, Any]:
    """The complete recipe: plain JSON, every default filled in. Imports torch and the parts that are named.

    Raises: RecipeError with all mistakes, in the order of the file.
    """
    return Resolver(_in_todays_format(raw)).resolve()


def _in_todays_format(raw: Raw) -> Raw:
    """The config.yaml of an earlier run, which may be read as a recipe, in today's format; any other as it is."""
    if not migrations.is_complete(raw.data):
        return raw
    return Raw(raw.name, raw.file, as_node(migrations.migrate(raw.data), Where(raw.file)))


class Resolver(Parts):
    """One resolution: continues after a mistake, and raises all of them at the end."""

    def resolve(self) -> dict[str, Any]:
        root = self.raw.root
        self.refuse_import_paths(root, "")
        sections = root.value
        options = (*signature(RunOptions), *signature(TransferOptions))
        self.unknown_keys(sections, "", ("format", "name", *options, *SECTIONS, SWEEP))
        self.check_format(sections.get("format"))
        found: dict[str, Any] = {"format": migrations.FORMAT}
        found["name"] = self.scalar(sections.get("name"), "name", Parameter(str, str, False, self.raw.name))
        for key, parameter in signature(RunOptions).items():
            found[key] = self.scalar(sections.get(key), key, parameter)
        for key, parameter in signature(TransferOptions).items():
            if (value := self.scalar(sections.get(key), key, parameter)) is not None:
                found[key] = value
        self.check_name(sections.get("name"), found["name"])
        before = len(self.mistakes)
        task = self.section(sections, "task", "tasks")  # which decides the form of the data, where they have several
        of_task, self.mistakes[before:] = self.mistakes[before:], []
        found["data"] = self.section(sections, "data", "datasets")
        found["task"] = task
        self.mistakes += of_task
        found["model"] = self.model(sections.get("model"), found["data"])
        for key, kind in (("optimizer", "optimizers"), ("schedule", "schedules")):
            node = sections.get(key) or Node(DEFAULTS[kind], root.where)
            found[key] = self.component(with_name(node, DEFAULTS[kind]), key, kind)
        found["trainer"] = self.options(TrainerOptions, sections.get("trainer"), "trainer")
        found["callbacks"] = self.parts_by_name(sections.get("callbacks"), "callbacks", "callbacks")
        self.check_exclusive(sections.get("callbacks"), found["callbacks"])
        found["bad_numbers"] = self.options(BadNumbersOptions, sections.get("bad_numbers"), "bad_numbers")
        found["checkpoint"] = self.options(CheckpointOptions, sections.get("checkpoint"), "checkpoint")
        found["tracking"] = self.tracking(sections.get("tracking"))
        self.check_form(sections, found["data"])
        self.check_folds(sections, found["data"])
        self.check_streaming(sections, found["data"])
        self.check_answer(sections, found["model"].get("architecture"))
        if self.mistakes:
            raise RecipeError(*self.messages(found))
        return found

    # Sections

    def section(self, sections: dict[str, Node], key: str, kind: str) -> dict[str, Any]:
        node = sections.get(key)
        if node is None or node.value is None:
            known = registry.known(kind)
            self.wrong(self.raw.root._replace(where=Where(self.raw.file)), key, f"missing.\n  Known {kind}: {known}.")
            return {}
        return self.component(self.of_same_form(node) if kind == "datasets" else node, key, kind)

    def model(self, node: Node | None, data: Mapping[str, Any]) -> dict[str, Any]:
        section = self.mapping(node, "model")
        node = node or self.raw.root
        fields = self.fields(data)
        for key in [key for key in section if key in migrations.MOVED]:
            self.wrong(section.pop(key), f"model.{key}", f"is now {migrations.moved(key, fields or ())}.")
        inputs, head = section.pop("inputs", None), section.pop("head", None)
        default = inspect.signature(build_model).parameters["architecture"].default
        architecture = section.pop("architecture", None) or Node(default, node.where)
        parts = ("inputs", "architecture", "head")
        own = self.parameters(signature(build_model, MODEL_GIVEN), section, "model", node, also=parts)
        return {
            "inputs": self.inputs(inputs, fields, node),
            "architecture": self.component(architecture, "model.architecture", "architectures"),
            **own,
            "head": self.options(HeadOptions, head, "model.head"),
        }

    def fields(self, data: Mapping[str, Any]) -> dict[str, str] | None:
        """What the model reads, by name, and its kind; None where the data or the task are not known."""
        from rnnzoo.data.forms import FORMS, chosen

        source, task = self.classes.get("data"), self.classes.get("task")
        if source is None or task is None:
            return None
        decoder = {TARGET: TARGET} if getattr(task, "needs", None) == SEQUENCE else {}
        return FORMS[chosen(source, task)].fields(data) | decoder

    def inputs(self, node: Node | None, fields: Mapping[str, str] | None, at: Node) -> dict[str, Any]:
        """The part that reads each field of the data: as it is named, or by default the one named as its kind."""
        key = "model.inputs"
        named = {name: item for name, item in self.mapping(node, key).items() if item.value is not None}
        if fields is not None:
            strange = {name: item for name, item in named.items() if name not in fields}
            for name in [name for name, item in strange.items() if self.of_base(item)]:
                del strange[name]
                log.warning(
                    "%s: the data have no field '%s'; the base's %s.%s is left out.", self.raw.name, name, key, name
                )
            self.unknown_keys(strange, f"{key}.", tuple(fields), "the data have no such field")
        found = {}
        for name, kind in (dict.fromkeys(named, "") if fields is None else fields).items():
            part = with_name(named.get(name, Node({}, at.where)), kind or name)
            found[name] = self.component(part, f"{key}.{name}", "inputs")
            self.check_reads(part, f"{key}.{name}", kind)
        return found

    def of_base(self, node: Node) -> bool:
        """Whether a base wrote it for its own data set, which was replaced: then it is no mistake."""
        data = self.raw.root.value.get("data")
        return data is not None and data.replaced is not None and node.where.file != data.where.file

    def check_reads(self, node: Node, key: str, kind: str) -> None:
        """The input must be able to read the kind of field that the data have."""
        reads = getattr(self.classes.get(key), "reads", None)
        if reads is None or not kind or kind in reads:
            return
        others = [name for name, cls in loadable("inputs") if kind in getattr(cls, "reads", ())]
        self.wrong(
            node,
            key,
            f"'{_name(node)}' reads {' or '.join(sorted(reads))}, and the field holds {kind}.\n"
            f"  Inputs for {kind}: {', '.join(others) or 'none'}.",
        )

    def check_exclusive(self, node: Node | None, callbacks: Iterable[str]) -> None:
        """Callbacks that say they take the same thing for themselves exclude each other."""
        takers: dict[str, list[str]] = {}
        for name in callbacks:
            if taken := getattr(self.classes.get(f"callbacks.{name}"), "exclusive", None):
                takers.setdefault(taken, []).append(name)
        for taken, names in takers.items():
            if len(names) > 1 and node is not None:
                message = f"{' and '.join(names)} each take {taken}.\n  Keep one of them."
                self.wrong(node, "callbacks", message)

    def tracking(self, node: Node | None) -> dict[str, Any]:
        found = self.options(TrackingOptions, node, "tracking")
        at = self.mapping(node, "tracking").get("also") or node or self.raw.root
        for key, message in trackers.mistakes(found["also"] or (), self.classes):
            self.wrong(at, key, message)
        return found

    # Checks across sections

    def check_name(self, node: Node | None, name: str) -> None:
        """A recipe's name becomes a folder's."""
        if not name or not name.isprintable() or name.startswith(".") or re.search(r"[/\\]", name) or len(name) > 100:
            at = node or Node(None, Where(self.raw.file))
            problem = "must be 1 to 100 printable characters without / and \\, and not begin with a dot"
            self.wrong(at, "name", f"{problem}, got {quoted(name)}.")

    def check_format(self, node: Node | None) -> None:
        """A recipe of an earlier format is migrated before it comes here, and one of a later format is not known."""
        if node is None:
            return
        try:
            migrations.check_format(node.value)
        except RecipeError as error:
            self.wrong(node, "format", str(error).removeprefix("format: "))

    def check_form(self, sections: dict[str, Node], data: Mapping[str, Any]) -> None:
        """The task must take a form of examples that the data set has, and the settings must do for that form."""
        from rnnzoo.data.forms import chosen, fits, forms_of

        source, task = self.classes.get("data"), self.classes.get("task")
        if source is None or task is None:
            return
        if lacking := [name for name in ("form", "needs") if not hasattr(task, name)]:
            self.wrong(sections["task"], "task", f"{task.__name__} does not say its {' and '.join(lacking)}.")
            del self.classes["task"]
            return
        given = forms_of(source)
        if any(fits(form, task.form) for form in given):
            written = sections["data"].value if isinstance(sections["data"].value, dict) else {}
            for key, message in source.mistakes(chosen(source, task), data):
                self.wrong(written.get(key, sections["data"]), f"data.{key}", message)
            return
        names = {key: _name(sections[key]) for key in ("data", "task")}

        def suits(wanted: str) -> bool:
            return any(fits(form, wanted) for form in given)

        tasks, datasets = ([(name, forms_of(cls)) for name, cls in loadable(kind)] for kind in ("tasks", "datasets"))
        self.wrong(
            sections["task"],
            "task",
            f"'{names['task']}' takes {task.form}, and data set '{names['data']}' has {', '.join(given)}.\n"
            f"  Tasks for '{names['data']}': {_fitting(tasks, suits)}.\n"
            f"  Data sets for '{names['task']}': {_fitting(datasets, lambda form: fits(form, task.form))}.",
        )

    def check_folds(self, sections: dict[str, Node], data: dict[str, Any]) -> None:
        """Both keys of cross-validation, for rows that can be parted; or neither: then both are taken out."""
        folds, fold = (data.pop(key, None) for key in ("folds", "fold"))
        if folds is None and fold is None:
            return
        data |= {"folds": folds, "fold": fold}
        written = self.mapping(sections.get("data"), "data")
        at = written.get("folds") or written.get("fold") or self.raw.root
        source, task = self.classes.get("data"), self.classes.get("task")
        if folds is None or fold is None:
            lacking = "folds" if folds is None else "fold"
            self.wrong(at, f"data.{lacking}", "missing; `rnnzoo fit RECIPE --folds 5` sets both, for a run each.")
        elif fold > folds:
            self.wrong(at, "data.fold", f"must be one of the {folds} folds, from 1, got {fold}.")
        elif source is not None and task is not None:
            from rnnzoo.data.forms import FORMS, chosen

            if FORMS[form := chosen(source, task)].in_order:
                self.wrong(
                    at, "data.folds", f"rows of {form} continue each other, and no fold can be taken out of them."
                )

    def check_streaming(self, sections: dict[str, Node], data: dict[str, Any]) -> None:
        """Both keys of streaming, for data that can stream; or neither: then both are taken out."""
        streaming, window = (data.pop(key, None) for key in ("streaming", "window"))
        if not streaming and window is None:
            return
        data |= {"streaming": streaming, "window": window}
        written = self.mapping(sections.get("data"), "data")
        at = written.get("streaming") or written.get("window") or self.raw.root
        source, task = self.classes.get("data"), self.classes.get("task")
        if not streaming:
            self.wrong(at, "data.window", "is of data that stream: set data.streaming: true, or leave it out.")
        elif "folds" in data:
            self.wrong(at, "data.streaming", "cross-validation needs all rows in memory; leave out one of the two.")
        elif source is not None and task is not None:
            from rnnzoo.data.forms import FORMS, chosen

            if (why := FORMS[form := chosen(source, task)].unstreamable) is not None:
                self.wrong(at, "data.streaming", f"data of the form {form} cannot stream: {why}.")

    def check_answer(self, sections: dict[str, Node], architecture: dict[str, Any] | None) -> None:
        """The architecture must be able to give the shape of answer that the task needs."""
        cls, task = self.classes.get("model.architecture"), self.classes.get("task")
        if cls is None or task is None or any(m.key.startswith("model") for m in self.mistakes):
            return
        parameters = {key: value for key, value in (architecture or {}).items() if key != "name"}
        model = self.mapping(sections.get("model"), "model")
        at = model.get("architecture") or sections.get("model") or self.raw.root
        try:
            able = task.needs in cls.answers(**parameters)
        except Exception as cause:  # the code of a plugin
            self.wrong(at, "model.architecture", f"{cls.__name__}.answers fails: {type(cause).__name__}: {cause}")
            return
        if able:
            return
        reason = getattr(task, "needs_reason", "")
        others = ", ".join(able_to(task.needs)) or "none"
        self.wrong(
            at,
            "model.architecture",
            f"'{(architecture or {}).get('name')}' cannot answer {task.needs}, which task "
            f"'{_name(sections['task'])}' needs.\n"
            + (f"  Why: {reason}.\n" if reason else "")
            + f"  Architectures that can: {others}.",
        )


def _name(node: Node) -> Any:
    return node.value["name"].value if isinstance(node.value, dict) else node.value


def _fitting(parts: Iterable[tuple[str, tuple[str, ...]]], fit: Callable[[str], bool]) -> str:
    """The names of those parts that have a form which fits."""
    return ", ".join(name for name, forms in parts if any(map(fit, forms))) or "none"


def able_to(need: str) -> Iterator[str]:
    """The architectures that give a shape of answer by default."""
    for name, cls in loadable("architectures"):
        with contextlib.suppress(Exception):  # a plugin's own code
            if need in cls.answers():
                yield name


def loadable(kind: str) -> Iterator[tuple[str, Any]]:
    """The registered parts of a kind that can be imported."""
    for entry in registry.entries(kind):
        try:
            yield entry.name, registry.load(kind, f"{entry.distribution}:{entry.name}")
        except ZooError:
            continue
