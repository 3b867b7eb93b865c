"""Parts that a recipe names, of any kind: loaded, and their settings checked against their signatures."""

import copy
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin

from rnnzoo import registry
from rnnzoo.errors import PluginError, ZooError, unknown
from rnnzoo.limits import described
from rnnzoo.recipe import Node, Raw, as_node, as_part
from rnnzoo.recipe.mistakes import yaml_trap
from rnnzoo.recipe.schema import Parameter, part_kind, quoted, signature, takes_list
from rnnzoo.recipe.sections import FoldOptions, LoaderOptions, StreamingOptions
from rnnzoo.recipe.values import Values
from rnnzoo.system.shipped import recipe_folder

log = logging.getLogger("rnnzoo")
INHERITED = ("cell", "hidden_size")  # an inner architecture's, from the outer one, where it does not name its own


class Parts(Values):
    """Checks parts, and keeps the class of each by its key."""

    def __init__(self, raw: Raw) -> None:
        super().__init__()
        self.raw = raw
        self.classes: dict[str, Any] = {}

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
        except Exception as cause:  # a plugin's signature may hold anything
            owner = registry.find(kind, name.value).distribution
            message = (str(cause).splitlines() or [""])[0]
            self.wrong(name, key, f"the parameters of '{name.value}' ({owner}) cannot be read: {message}.")
            return {}
        self.classes[key] = cls
        return {"name": name.value, **self.parameters(allowed, params, key, node, ("name",), inherited)}

    def signature(self, cls: Any, kind: str) -> dict[str, Parameter]:
        if kind != "datasets":
            return signature(cls, registry.KINDS[kind].reserved)
        from rnnzoo.data.forms import FORMS, chosen, forms_of

        if strange := [form for form in forms_of(cls) or (None,) if form not in FORMS]:
            raise PluginError(unknown(f"{cls.__name__} has a form that no data has:", str(strange[0]), FORMS))
        form = chosen(cls, self.classes.get("task"))
        own, common = signature(cls), self.of_form(form)
        if twice := own.keys() & common.keys():
            raise PluginError(f"{cls.__name__} has parameters that its form {form} has: {', '.join(sorted(twice))}.")
        return {**common, **own}

    @staticmethod
    def of_form(form: str) -> dict[str, Parameter]:
        """What a recipe may say of a form of data, whichever data set has it, and of how its batches are loaded."""
        from rnnzoo.data.forms import FORMS

        of_any = (LoaderOptions, StreamingOptions, FoldOptions)
        return {**signature(FORMS[form]), **{key: it for options in of_any for key, it in signature(options).items()}}

    def named(self, node: Node, key: str, known: Callable[[], Iterable[str]]) -> tuple[Node, dict[str, Node]] | None:
        """The name of a part and its parameters, from `lstm` or `{name: lstm, ...}`."""
        node = as_part(node) if isinstance(node.value, str) else node
        if not isinstance(node.value, dict) or "name" not in node.value:
            what = "needs a name" if isinstance(node.value, dict) else "must be a name, or a mapping with a name"
            got = "" if isinstance(node.value, dict) else f", got {quoted(node.plain)}"
            self.wrong(node, key, f"{what}{got}.\n  Known: {', '.join(sorted(set(known())))}.{yaml_trap(node)}")
            return None
        name = node.value["name"]
        if not isinstance(name.value, str) or not name.value.isprintable():
            self.wrong(name, f"{key}.name", f"must be a registered name, got {quoted(name.plain)}.{yaml_trap(name)}")
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
        if get_origin(parameter.hint) is list:
            return [self.component(node, f"{key}[0]", kind, down)]
        return self.component(node, key, kind, down)

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

    def of_same_form(self, node: Node) -> Node:
        """A data set with what its base said of the form of its data, where the base's data set has the same form."""
        if node.replaced is None:
            return node
        from rnnzoo.data.forms import chosen

        old, new = self.of_same_form(as_part(node.replaced)), as_part(node)
        try:
            sources = [registry.load("datasets", part.value["name"].value) for part in (old, new)]
            forms = [chosen(source, self.classes.get("task")) for source in sources]
            common = self.of_form(forms[0]) if forms[0] == forms[1] else {}
        except Exception:  # a plugin that fails, or an unknown name, is reported where the part is resolved
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


def with_name(node: Node, default: str) -> Node:
    """A part that gives settings and no name is the one of the default name."""
    if not isinstance(node.value, dict) or "name" in node.value:
        return node
    return node._replace(value={"name": Node(default, node.where), **node.value})
