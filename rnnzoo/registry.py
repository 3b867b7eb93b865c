"""The registry of parts: the name of everything that a recipe can use, and where its code is.

Names come from the entry points of installed distributions, rnnzoo's own parts included. Listing reads metadata only;
nothing is imported until `load`. Where two distributions claim one name, `distribution:name` picks one.

    RNNZOO_PLUGINS=none              only rnnzoo's own parts are seen
    RNNZOO_PLUGINS=rnnzoo-lru,other  rnnzoo's and these distributions' parts are seen
"""

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

from rnnzoo.errors import PluginError, UnknownName, nearest
from rnnzoo.system import distributions
from rnnzoo.system.distributions import normal


class Kind(NamedTuple):
    """A kind of part, and what its parts are built with.

    given: arguments that rnnzoo always passes, first; no recipe sets them.
    offered: arguments that rnnzoo passes by name where the part's signature has them; no recipe sets them either.
    function: whether a part may be any function that returns one, not only a class.
    in_model: whether a trained model needs the part in order to give answers.
    in_training: whether a run needs it in order to be tested, or to go on.
    """

    plural: str
    singular: str
    given: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    function: bool = False
    in_model: bool = True
    in_training: bool = True

    @property
    def group(self) -> str:
        """The entry-point group: "rnnzoo.cells"."""
        return f"rnnzoo.{self.plural}"

    @property
    def article(self) -> str:
        """ "a" or "an"."""
        return "an" if self.singular[0] in "aeiou" else "a"

    @property
    def reserved(self) -> frozenset[str]:
        """All arguments that a recipe cannot set."""
        return frozenset((*self.given, *self.offered))


KINDS = {
    kind.plural: kind
    for kind in (
        Kind("cells", "cell", ("input_size", "hidden_size")),
        Kind("architectures", "architecture", ("input_size",)),
        Kind("inputs", "input", ("field",), ("output_size",)),
        Kind("tasks", "task", ("spec",)),
        Kind("datasets", "dataset", in_model=False),
        Kind("optimizers", "optimizer", ("params",), function=True, in_model=False),
        Kind("schedules", "schedule", ("optimizer",), ("total_steps", "mode"), function=True, in_model=False),
        Kind("callbacks", "callback", (), ("monitor", "mode"), function=True, in_model=False),
        Kind("trackers", "tracker", ("run",), function=True, in_model=False, in_training=False),
        Kind("launchers", "launcher", in_model=False, in_training=False),
    )
}
SINGULAR = {kind.plural: kind.singular for kind in KINDS.values()}
OWN_DISTRIBUTION = "rnnzoo"
DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")  # a name, as PEP 508 has it
VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_-]{0,60}")  # as PEP 440 has it, or nearly
IN_PROCESS = "this process"
PartType = TypeVar("PartType", bound=Callable[..., Any])


class Entry(NamedTuple):
    """One registered name: `value` is `module:attribute`, `distribution` the package that brought it."""

    kind: str
    name: str
    distribution: str
    version: str
    value: str


class Part(NamedTuple):
    """Marks a parameter that takes a registered part: `cell: Annotated[Any, Part("cells")]`."""

    kind: str


_in_process: dict[tuple[str, str], Callable[..., Any]] = {}
_warned: set[str] = set()
# Whose the parts are of the run that is being loaded
_owners: ContextVar[Mapping[tuple[str, str], str] | None] = ContextVar("owners", default=None)
_scanned: ContextVar[list[Entry] | None] = ContextVar("scanned", default=None)


def kind_of(word: str) -> str:
    """The kind that `word` names, in the singular or the plural. Raises: UnknownName."""
    for kind, singular in SINGULAR.items():
        if word in (kind, singular):
            return kind
    raise UnknownName(f"no kind of part is named '{word}'.\n  Known kinds: {', '.join(KINDS)}.")


def _seen(distribution: str) -> bool:
    wanted = os.environ.get("RNNZOO_PLUGINS")
    if wanted is None or distribution == OWN_DISTRIBUTION:
        return True
    return distribution in {normal(part.strip()) for part in wanted.split(",")}


def _installed() -> Iterator[Entry]:
    """The parts of all kinds that installed distributions bring. One that cannot be read is left out with a warning."""
    points, problems = distributions.entry_points("rnnzoo.")
    for folder, problem in problems.items():
        if folder not in _warned:
            _warned.add(folder)
            _warn("%s is left out: its metadata is unusable (%s). Reinstall or remove it.", folder, problem)
    kinds = {kind.group: kind.plural for kind in KINDS.values()}
    for point in points:
        if point.group in kinds and _seen(point.distribution):
            yield Entry(kinds[point.group], point.name, point.distribution, point.version, point.value)


def _warn(message: str, *values: object) -> None:
    import logging  # takes as long as listing all parts, and is rarely needed

    logging.getLogger("rnnzoo").warning(message, *values)


def entries(kind: str | None = None) -> list[Entry]:
    """All registered names of one kind, or of all kinds, sorted, as the environment is now. Imports nothing."""
    wanted = KINDS if kind is None else (kind_of(kind),)
    scanned = _scanned.get()
    known = {entry for entry in (_installed() if scanned is None else scanned) if entry.kind in wanted}
    for (own_kind, name), part in _in_process.items():
        if own_kind in wanted:
            known.add(Entry(own_kind, name, IN_PROCESS, "", f"{part.__module__}:{part.__qualname__}"))
    return sorted(known)


@contextlib.contextmanager
def scanned_once() -> Iterator[None]:
    """Within the block, what is installed is as it was at its beginning. A scan takes milliseconds, and a run asks for
    some fifty parts."""
    token = _scanned.set(list(_installed()) if _scanned.get() is None else _scanned.get())
    try:
        yield
    finally:
        _scanned.reset(token)


def register(kind: str, name: str, part: PartType) -> PartType:
    """Name a part for this process only: in a notebook or a test. A second call replaces the first.

    Raises: UnknownName for an unknown kind; PluginError for anything but a class (or, where the kind allows it, a
    function), or a name that a package holds.
    """
    kind = kind_of(kind)
    if problem := _not_a_part(kind, part):
        raise PluginError(
            f"{SINGULAR[kind]} '{name}' must be {problem}, got {part!r}.\n  Register the class, not an instance."
        )
    for entry in entries(kind):
        if entry.name == name and entry.distribution != IN_PROCESS:
            raise PluginError(f"{SINGULAR[kind]} '{name}' is {entry.distribution}'s already.\n  Choose another name.")
    _in_process[kind, name] = part
    return part


def _not_a_part(kind: str, part: object) -> str | None:
    """What a part of this kind must be; None if it is that."""
    import inspect

    if isinstance(part, type) or (KINDS[kind].function and inspect.isroutine(part)):
        return None
    return "a class or a function" if KINDS[kind].function else "a class"


def unregister(kind: str, name: str) -> None:
    """Forget a part that `register` named."""
    _in_process.pop((kind_of(kind), name), None)


def whose(kind: str, cls: type) -> str:
    """A class with its name in the registry and its distribution: "MinGRUCell ('mingru' of rnnzoo-mingru 0.1.0)"."""
    for entry in entries(kind):
        module, _, attribute = entry.value.partition(":")
        registered = _in_process.get((entry.kind, entry.name)) if entry.distribution == IN_PROCESS else None
        if cls in (registered, getattr(sys.modules.get(module), attribute, None)):
            version = f" {entry.version}" if entry.version else ""
            return f"{cls.__name__} ('{entry.name}' of {entry.distribution}{version})"
    return f"{cls.__name__} (of module {cls.__module__})"


def known(kind: str) -> str:
    """The names of one kind and whose they are: 'gru, lstm (rnnzoo); mingru (rnnzoo-mingru)'."""
    groups: dict[str, list[str]] = {}
    for entry in entries(kind):
        groups.setdefault(entry.distribution, []).append(entry.name)
    return "; ".join(f"{', '.join(names)} ({owner})" for owner, names in sorted(groups.items())) or "none"


def find(kind: str, name: str) -> Entry:
    """The entry of `name` or `distribution:name`.

    Raises: UnknownName, with the nearest name and all known ones, or with both owners of an ambiguous one.
    """
    kind = kind_of(kind)
    owner, _, bare = name.rpartition(":")
    matches = [e for e in entries(kind) if e.name == bare and (not owner or e.distribution == normal(owner))]
    matches = [e for e in matches if e.distribution == (_owners.get() or {}).get((kind, name))] or matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        owners = sorted({entry.distribution for entry in matches})
        choices = " or ".join(f"'{owner}:{bare}'" for owner in owners)
        raise UnknownName(
            f"the {SINGULAR[kind]} name '{name}' is claimed by {' and '.join(owners)}.\n  Say which: {choices}."
        )
    a_part = f"{KINDS[kind].article.capitalize()} {SINGULAR[kind]}"
    match = nearest(bare, {entry.name for entry in entries(kind)})
    raise UnknownName(
        f"no {SINGULAR[kind]} is named '{name}'.\n"
        + (f"  Did you mean '{match}'?\n" if match else "")
        + f"  Known {kind}: {known(kind)}.\n"
        + f"  {a_part} from another package appears in `rnnzoo list {kind}` once that package is installed."
    )


@contextlib.contextmanager
def of_run(parts: Iterable[Mapping[str, str]]) -> Iterator[None]:
    """Load a run's parts from the distributions that it was trained with, also where others claim their names since.

    parts: as `entries` listed them then. Raises: PluginError for all that are not here, with what to install.
    """
    parts = list(parts)
    _require(parts)
    token = _owners.set({(part["kind"], part["name"]): part["distribution"] for part in parts})
    try:
        yield
    finally:
        _owners.reset(token)


def _require(parts: Iterable[Mapping[str, str]]) -> None:
    """Raises: PluginError."""
    missing = []
    for part in parts:
        kind, name, owner, version = (part[key] for key in ("kind", "name", "distribution", "version"))
        if not KINDS[kind_of(kind)].in_training:
            continue
        here = {e.distribution for e in entries(kind) if e.name == name.rpartition(":")[2]}
        if here:
            if normal(owner) not in here | {IN_PROCESS}:
                values = (SINGULAR[kind_of(kind)], name, owner, version, ", ".join(sorted(here)))
                _warn("the run was trained with %s '%s' of %s %s, which is not here; that of %s is used.", *values)
            continue
        whose, remedy = f"of {owner} {version}", "the package that has it"
        if DISTRIBUTION.fullmatch(owner) and VERSION.fullmatch(version):  # nothing else goes onto a command line
            remedy = f"pip install {owner}=={version}"
        if owner == IN_PROCESS:
            whose, remedy = "registered by the program", f"rnnzoo.register('{SINGULAR[kind_of(kind)]}', '{name}', ...)"
        kept_out = os.environ.get("RNNZOO_PLUGINS")
        missing.append(
            f"the run was trained with {SINGULAR[kind_of(kind)]} '{name}' {whose}, which is not here.\n"
            f"  Needed: {remedy}" + ("." if kept_out is None else f", or RNNZOO_PLUGINS without its '{kept_out}'.")
        )
    if missing:
        raise PluginError(*missing)


def load(kind: str, name: str) -> Any:
    """Import and return the class, or the function, of a registered name.

    Raises: UnknownName; PluginError, naming the distribution and the cause, if importing it fails in any way.
    """
    entry = find(kind, name)
    if entry.distribution == IN_PROCESS:
        return _in_process[entry.kind, entry.name]
    module, _, attribute = entry.value.partition(":")
    where = f"{SINGULAR[entry.kind]} '{name}' of {entry.distribution} {entry.version} ({entry.value})"
    try:
        part: Any = importlib.import_module(module)
        for name_inside in attribute.split("."):
            part = getattr(part, name_inside)
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # a plugin may raise anything, SystemExit included
        remedy = f"pip install --force-reinstall {entry.distribution}, or pip uninstall {entry.distribution}"
        raise PluginError(
            f"cannot import {where}: {type(cause).__name__}: {str(cause).splitlines()[0] if str(cause) else ''}\n"
            f"  Other parts still work. To repair it: {remedy}."
        ) from cause
    if problem := _not_a_part(entry.kind, part):
        raise PluginError(f"{where} is {part!r}, not {problem}.\n  Its entry point must name {problem}.")
    return part


def settings(component: Mapping[str, Any]) -> dict[str, Any]:
    """A part's settings in a resolved recipe: `{name: lstm, forget_bias: 1.0}` without its name."""
    return {key: value for key, value in component.items() if key != "name"}


def build(kind: str, component: Mapping[str, Any], *given: object, **offered: object) -> Any:
    """Build a part of a resolved recipe. given, offered: the arguments of `Kind`, in its order.

    Raises: UnknownName, PluginError; whatever the part raises.
    """
    return make(load(kind, component["name"]), settings(component), *given, **offered)


def make(part: Callable[..., Any], settings: Mapping[str, Any], *given: object, **offered: object) -> Any:
    """Build a part that is loaded, with its settings; see `build`."""
    import inspect

    named = inspect.signature(part).parameters
    return part(*given, **{key: value for key, value in offered.items() if key in named}, **settings)
