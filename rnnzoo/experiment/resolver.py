"""The second phase of a recipe: its parts imported, every key checked against their signatures, defaults filled in.

It goes on after a mistake and raises all of them at the end. Parts are named as they are registered; an import path
means nothing here, so that a stranger's recipe runs no code of its own.
"""

import contextlib
import copy
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from rnnzoo import limits, registry
from rnnzoo.architectures.base import SEQUENCE
from rnnzoo.errors import PluginError, RecipeError, ZooError, nearest, unknown
from rnnzoo.inputs.base import TARGET
from rnnzoo.limits import described, is_union
from rnnzoo.model import HeadOptions, build_model
from rnnzoo.recipe import COMMAND_LINE, Node, Raw, Where, as_node, as_part, migrations
from rnnzoo.recipe.schema import (
    Parameter,
    accepts,
    cast,
    part_kind,
    quoted,
    signature,
    takes_list,
)
from rnnzoo.recipe.sections import CheckpointOptions, RunOptions, TrackingOptions, TrainerOptions
from rnnzoo.system.shipped import recipe_folder

log = logging.getLogger("rnnzoo")
MODEL_GIVEN = frozenset({"spec", "task", "architecture", "inputs", "head"})  # of `build_model`: not settings, or parts
INHERITED = ("cell", "hidden_size")  # an inner architecture's, from the outer one, where it does not name its own
SECTIONS = ("data", "task", "model", "optimizer", "schedule", "trainer", "callbacks", "checkpoint", "tracking")
DEFAULTS = {"optimizers": "adamw", "schedules": "constant"}  # what a section without a name is for


def _trap(node: Node) -> str:
    """What YAML 1.1 made of a word, if that explains a wrong type."""
    items = node.value if isinstance(node.value, list) else [node]
    for item in items:
        if isinstance(item.value, bool) and item.text.lower() not in ("true", "false", ""):
            return f'\n  YAML 1.1 reads {item.text} as {quoted(item.value)}; as text, it is written "{item.text}".'
        if isinstance(item.value, str) and re.fullmatch(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+", item.value):
            return f"\n  YAML 1.1 would read {item.text} as a number in base 60; write it in full."
        if isinstance(item.value, str) and re.fullmatch(r"[-+]?0[0-9_]+", item.value):
            return f"\n  YAML 1.1 reads {item.text}, with its leading zero, as octal; leave the zero out."
    return ""


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


class Mistake(NamedTuple):
    """One mistake of a recipe, and where it was written."""

    where: Where
    key: str
    problem: str
    known: tuple[str, ...] | None = None  # of an unknown key


class Resolver:
    """One resolution: goes on after a mistake, and raises all of them at the end."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.mistakes: list[Mistake] = []
        self.classes: dict[str, Any] = {}

    def resolve(self) -> dict[str, Any]:
        root = self.raw.root
        self.refuse_import_paths(root, "")
        sections = root.value
        self.unknown_keys(sections, "", ("format", "name", *signature(RunOptions), *SECTIONS))
        self.check_format(sections.get("format"))
        found: dict[str, Any] = {"format": migrations.FORMAT}
        found["name"] = self.scalar(sections.get("name"), "name", Parameter(str, str, False, self.raw.name))
        for key, parameter in signature(RunOptions).items():
            found[key] = self.scalar(sections.get(key), key, parameter)
        self.check_name(sections.get("name"), found["name"])
        found["data"] = self.section(sections, "data", "datasets")
        found["task"] = self.section(sections, "task", "tasks")
        found["model"] = self.model(sections.get("model"), found["data"])
        for key, kind in (("optimizer", "optimizers"), ("schedule", "schedules")):
            node = sections.get(key) or Node(DEFAULTS[kind], root.where)
            found[key] = self.component(with_name(node, DEFAULTS[kind]), key, kind)
        found["trainer"] = self.options(TrainerOptions, sections.get("trainer"), "trainer")
        found["callbacks"] = self.parts_by_name(sections.get("callbacks"), "callbacks", "callbacks")
        self.check_exclusive(sections.get("callbacks"), found["callbacks"])
        found["checkpoint"] = self.options(CheckpointOptions, sections.get("checkpoint"), "checkpoint")
        found["tracking"] = self.options(TrackingOptions, sections.get("tracking"), "tracking")
        self.check_form(sections)
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

    def of_same_form(self, node: Node) -> Node:
        """A data set with what its base said of the form of its data, where the base's data set has the same form."""
        if node.replaced is None:
            return node
        old, new = self.of_same_form(as_part(node.replaced)), as_part(node)
        try:
            forms = [registry.load("datasets", part.value["name"].value).form for part in (old, new)]
            common = self.of_form(forms[0]) if forms[0] == forms[1] else {}
        except Exception:  # a name or a form that is none is reported where the part is resolved
            return node
        kept = {key: value for key, value in old.value.items() if key in common}
        self.tell_replaced(old, new, "data", kept)
        return new._replace(value={**kept, **new.value}, replaced=None)

    def tell_replaced(self, old: Node, new: Node, key: str, kept: Mapping[str, Any]) -> None:
        """Say which of a base's settings went with the part that they were for."""
        if Path(new.value["name"].where.file).absolute().is_relative_to(recipe_folder()):
            return  # a recipe of ours knows what it replaces
        gone = [name for name in old.value if name != "name" and name not in kept and name not in new.value]
        if gone:
            names = [as_part(part).value["name"].plain for part in (old, new)]
            log.warning(
                "%s: %s: '%s' replaces the base's '%s', whose %s %s not taken over.",
                self.raw.name,
                key,
                names[1],
                names[0],
                ", ".join(gone),
                "is" if len(gone) == 1 else "are",
            )

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
        from rnnzoo.data.forms import FORMS

        form, task = FORMS.get(getattr(self.classes.get("data"), "form", "")), self.classes.get("task")
        if form is None or task is None:
            return None
        decoder = {TARGET: TARGET} if getattr(task, "needs", None) == SEQUENCE else {}
        return form.fields(data) | decoder

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

    def options(
        self, target: Callable[..., Any], node: Node | None, key: str, given: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        return self.parameters(signature(target, given), self.mapping(node, key), key, node or self.raw.root)

    def parts_by_name(self, node: Node | None, section: str, kind: str) -> dict[str, Any]:
        """A section whose keys are the names of parts of one kind, and whose values their settings.

        `true` stands for no settings; `false` takes back what a base asked for.
        """
        parts = {}
        for name, item in self.mapping(node, section).items():
            if item.value is not False:
                at = Node(name, item.where)
                settings = {} if item.value is True else self.mapping(item, f"{section}.{name}")
                self.unknown_keys({key: settings[key] for key in settings if key == "name"}, f"{section}.{name}.", ())
                part = self.component(Node({**settings, "name": at}, item.where), f"{section}.{name}", kind)
                parts[name] = registry.settings(part)
        return parts

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

    # Components

    def component(self, node: Node, key: str, kind: str, inherited: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A registered part: its name, and all of its parameters."""
        named = self.named(node, key, lambda: (entry.name for entry in registry.entries(kind)))
        if named is None:
            return {}
        name, params = named
        if node.replaced is not None:
            self.tell_replaced(as_part(node.replaced), node, key, {})
        try:
            cls = registry.load(kind, name.value)
            allowed = self.signature(cls, kind)
        except ZooError as error:
            self.wrong(name, key, str(error) + self.not_a_path(name.value))
            return {}
        except Exception as cause:
            owner = registry.find(kind, name.value).distribution
            message = (str(cause).splitlines() or [""])[0]
            self.wrong(name, key, f"the parameters of '{name.value}' ({owner}) cannot be read: {message}.")
            return {}
        self.classes[key] = cls
        return {"name": name.value, **self.parameters(allowed, params, key, node, ("name",), inherited)}

    def signature(self, cls: Any, kind: str) -> dict[str, Parameter]:
        if kind != "datasets":
            return signature(cls, registry.KINDS[kind].reserved)
        from rnnzoo.data.forms import FORMS

        form = getattr(cls, "form", None)
        if form not in FORMS:
            raise PluginError(unknown(f"{cls.__name__} has a form that no data has:", str(form), FORMS))
        own, common = signature(cls), self.of_form(form)
        if twice := own.keys() & common.keys():
            raise PluginError(f"{cls.__name__} has parameters that its form {form} has: {', '.join(sorted(twice))}.")
        return {**common, **own}

    @staticmethod
    def of_form(form: str) -> dict[str, Parameter]:
        """What a recipe may say of a form of data, whichever data set has it."""
        from rnnzoo.data.forms import FORMS

        return signature(FORMS[form])

    def named(self, node: Node, key: str, known: Callable[[], Iterable[str]]) -> tuple[Node, dict[str, Node]] | None:
        """The name of a part and its parameters, from `lstm` or `{name: lstm, ...}`."""
        node = as_part(node) if isinstance(node.value, str) else node
        if not isinstance(node.value, dict) or "name" not in node.value:
            what = "needs a name" if isinstance(node.value, dict) else "must be a name, or a mapping with a name"
            got = "" if isinstance(node.value, dict) else f", got {quoted(node.plain)}"
            self.wrong(node, key, f"{what}{got}.\n  Known: {', '.join(sorted(set(known())))}.{_trap(node)}")
            return None
        name = node.value["name"]
        if not isinstance(name.value, str) or not name.value.isprintable():
            self.wrong(name, f"{key}.name", f"must be a registered name, got {quoted(name.plain)}.{_trap(name)}")
            return None
        return name, {item: value for item, value in node.value.items() if item != "name"}

    @staticmethod
    def not_a_path(name: str) -> str:
        path = re.search(r"[./\\]", name)
        return "\n  Import paths and files are not accepted: a recipe names registered parts." if path else ""

    def parameters(
        self,
        allowed: Mapping[str, Parameter],
        given: Mapping[str, Node],
        key: str,
        at: Node,
        also: tuple[str, ...] = (),
        inherited: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Every allowed parameter, as given or by default; parts last, so that they may inherit."""
        self.unknown_keys(given, f"{key}.", (*also, *allowed))
        found: dict[str, Any] = dict.fromkeys(allowed)
        inherited = inherited or {}
        kinds = {name: part_kind(parameter.annotated) for name, parameter in allowed.items()}
        for name in sorted(allowed, key=lambda name: kinds[name] == "architectures"):
            node, parameter, kind = given.get(name), allowed[name], kinds[name]
            if node is None and parameter.required:
                what = f"must be {described(parameter.annotated)}" if kind is None else f"names one of the {kind}"
                self.wrong(at, f"{key}.{name}", f"missing; it {what}.")
            elif node is None and name in inherited:
                found[name] = copy.deepcopy(inherited[name])
            elif kind is None:
                found[name] = self.scalar(node, f"{key}.{name}", parameter)
            else:
                down = {item: found[item] for item in INHERITED if item in found} if kind == "architectures" else None
                found[name] = self.part(node, f"{key}.{name}", parameter, at, kind, down)
        return found

    def part(
        self, node: Node | None, key: str, parameter: Parameter, at: Node, kind: str, down: Mapping[str, Any] | None
    ) -> Any:
        """A parameter that is a part, or a list of parts where its type has one."""
        if node is None:
            node = as_node(parameter.default, at.where)
        if node.value is None and parameter.default is None:
            return None
        if isinstance(node.value, list) and takes_list(parameter.annotated):
            return [self.component(item, f"{key}[{place}]", kind, down) for place, item in enumerate(node.value)]
        return self.component(node, key, kind, down)

    def scalar(self, node: Node | None, key: str, parameter: Parameter) -> Any:
        """A parameter of plain data, of its type and in its range."""
        if node is None:
            return parameter.default
        value = node.plain
        try:
            value = cast(parameter, value)
        except ValueError:
            is_scalar = not isinstance(value, (dict, list))
            if node.where.file == COMMAND_LINE and is_scalar and accepts(parameter.hint, node.text):
                return node.text  # a shell has no types: --tracking.run_name 12
            self.wrong(node, key, self.mistyped(node, parameter))
            return parameter.default
        if wrong := limits.violation(parameter.annotated, value):
            self.wrong(node, key, f"{wrong}.")
        return value

    def mistyped(self, node: Node, parameter: Parameter) -> str:
        """The message for a value of another type than its parameter's."""
        value = node.plain
        wrong = f"must be {described(parameter.annotated)}, got {quoted(value)}"
        if trap := _trap(node):
            return f"{wrong}.{trap}"
        words = self.words(parameter.hint)
        match = nearest(node.text, words) or next((w for w in words if node.text and w.startswith(node.text)), None)
        if match:
            return f"{wrong}.\n  Did you mean '{match}'?"
        if isinstance(value, (int, float)) and accepts(parameter.hint, node.text):
            return f'{wrong}.\n  A number or date that is meant as text stands in quotes: "{node.text}".'
        return f"{wrong}."

    def words(self, hint: Any) -> list[str]:
        """The words that a type allows."""
        if get_origin(hint) is Literal:
            return [str(item) for item in get_args(hint)]
        return [word for arm in get_args(hint) for word in self.words(arm)] if is_union(hint) else []

    def mapping(self, node: Node | None, key: str) -> dict[str, Node]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, dict):
            self.wrong(node, key, f"must be a mapping, got {quoted(node.plain)}.{_trap(node)}")
            return {}
        return dict(node.value)

    # Checks across sections

    def refuse_import_paths(self, node: Node, key: str) -> None:
        items = node.value
        if isinstance(items, list):
            for item in items:
                self.refuse_import_paths(item, key)
        elif isinstance(items, dict):
            for name, item in items.items():
                path = f"{key}.{name}" if key else name
                if name == "class_path":
                    self.wrong(item, path, "import paths are not accepted.\n  Name a registered part: name: lstm.")
                self.refuse_import_paths(item, path)

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

    def check_form(self, sections: dict[str, Node]) -> None:
        """The task must take the form of examples that the data set has."""
        from rnnzoo.data.forms import fits

        source, task = self.classes.get("data"), self.classes.get("task")
        if source is None or task is None:
            return
        if lacking := [name for name in ("form", "needs") if not hasattr(task, name)]:
            self.wrong(sections["task"], "task", f"{task.__name__} does not say its {' and '.join(lacking)}.")
            del self.classes["task"]
            return
        if fits(source.form, task.form):
            return
        names = {key: _name(sections[key]) for key in ("data", "task")}
        tasks, datasets = (
            [(name, cls.form) for name, cls in loadable(kind) if hasattr(cls, "form")] for kind in ("tasks", "datasets")
        )
        self.wrong(
            sections["task"],
            "task",
            f"'{names['task']}' takes {task.form}, and data set '{names['data']}' has {source.form}.\n"
            f"  Tasks for '{names['data']}': "
            f"{', '.join(name for name, form in tasks if fits(source.form, form)) or 'none'}.\n"
            f"  Data sets for '{names['task']}': "
            f"{', '.join(name for name, form in datasets if fits(form, task.form)) or 'none'}.",
        )

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
        except Exception as cause:
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

    # Messages

    def unknown_keys(
        self, given: Mapping[str, Node], above: str, known: tuple[str, ...], problem: str = "unknown key"
    ) -> None:
        for name, node in given.items():
            if name not in known and name != "class_path":
                self.mistakes.append(Mistake(node.where, f"{above}{name}", problem, known))

    def wrong(self, node: Node, key: str, problem: str) -> None:
        self.mistakes.append(Mistake(node.where, key, problem))

    def messages(self, found: dict[str, Any]) -> Iterator[str]:
        """All mistakes in reading order; the command line's last."""
        places = {file: number for number, file in enumerate(dict.fromkeys(m.where.file for m in self.mistakes))}
        places[COMMAND_LINE] = len(places)
        for where, key, problem, known in sorted(self.mistakes, key=lambda m: (places[m.where.file], m.where.line)):
            if known is not None:
                name = key.rpartition(".")[2]
                match = next(_paths(found, name), None) or nearest(name, known) or _nearest_moved(found, key)
                hint = f"\n  Did you mean '{match}'?" if match else ""
                problem += f".{hint}\n  Known: {', '.join(sorted(known)) or 'none'}."
            yield f"{where}: {key}: {problem}"


def _nearest_moved(found: Mapping[str, Any], key: str) -> str | None:
    """Where a misspelt key of an earlier format is now: 'model.head.dropout' for 'model.dropuot'."""
    section, _, name = key.rpartition(".")
    old = nearest(name, migrations.MOVED) if section == "model" else None
    return migrations.moved(old, found["model"]["inputs"]) if old else None


def _paths(found: Any, name: str, above: str = "") -> Iterator[str]:
    """The keys of a resolved recipe that end in `name`."""
    for key, value in found.items():
        if key == name:
            yield f"{above}{key}"
        if isinstance(value, dict):
            yield from _paths(value, name, f"{above}{key}.")


def with_name(node: Node, default: str) -> Node:
    """A part that gives settings and no name is the one of the default name."""
    if not isinstance(node.value, dict) or "name" in node.value:
        return node
    return node._replace(value={"name": Node(default, node.where), **node.value})


def _name(node: Node) -> Any:
    return node.value["name"].value if isinstance(node.value, dict) else node.value


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
