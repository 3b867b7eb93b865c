"""A recipe's section `sweep:`, read and checked; mistakes have the line where they were written."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from rnnzoo import registry
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.parts import Parts
from rnnzoo.experiment.resolver import SWEEP, resolve
from rnnzoo.recipe import Node, Raw, Recipe
from rnnzoo.recipe.mistakes import yaml_trap
from rnnzoo.recipe.schema import quoted, signature
from rnnzoo.recipe.sections import ConfirmOptions, MatchOptions, SweepOptions
from rnnzoo.runs.summary import is_number
from rnnzoo.sweep.space import RANGE_KEYS, Choice, Dimension, Range, Space
from rnnzoo.system.quantities import count

log = logging.getLogger("rnnzoo")
NOT_VARIED = {  # and why
    "seed": "seeds are a list of their own: sweep.seeds",
    "name": "it names the recipe of all runs",
    "format": "it is the format of the file",
    "base": "it is read before the sweep",
    "tracking": "it changes nothing that is computed",
    "checkpoint": "it changes nothing that is computed",
    SWEEP: "a sweep has no sweep inside",
}


@dataclass(frozen=True)
class Sweep:
    """A sweep as it was asked for. base: the recipe without the section. recipe: the same, as `rnnzoo fit` runs it.

    mode: which is better, for `options.metric`; None where the task says it, which a run's summary tells.
    """

    base: Raw
    recipe: Recipe
    space: Space
    options: SweepOptions
    confirm: ConfirmOptions
    match: MatchOptions | None
    mode: str | None

    @property
    def seeds(self) -> list[int]:
        return self.options.seeds or [self.recipe["seed"]]


class _Once(logging.Filter):
    """Within the block, a warning is logged once: a sweep resolves a recipe many times."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def __enter__(self) -> None:
        log.addFilter(self)

    def __exit__(self, *_: object) -> None:
        log.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is logged for the first time."""
        message, before = record.getMessage(), len(self._seen)
        self._seen.add(message)
        return len(self._seen) > before


once = _Once()


def without_sweep(raw: Raw) -> Raw:
    """The recipe that `rnnzoo fit` runs."""
    sections = {key: node for key, node in raw.root.value.items() if key != SWEEP}
    return replace(raw, root=raw.root._replace(value=sections))


def read(raw: Raw) -> Sweep:
    """The sweep that a recipe asks for. Raises: RecipeError with all mistakes, of the section and of the recipe."""
    node = raw.root.value.get(SWEEP)
    if node is None or node.value is None:
        raise RecipeError(
            f"{raw.file}: sweep: missing; it says what is varied.\n"
            "  As in `sweep: {keys: {model.architecture.cell: [lstm, gru]}, seeds: [1, 2]}`,\n"
            "  or on the command line: --sweep.keys.model.architecture.cell '[lstm, gru]' --sweep.seeds '[1, 2]'"
        )
    messages: list[str] = []
    recipe: Recipe = {}
    try:
        with once:
            recipe = resolve(without_sweep(raw))
    except RecipeError as error:
        messages += error.messages
    reader = _Reader(raw, recipe)
    sweep = reader.sweep(node)
    messages = [*reader.messages({}), *messages]
    if messages:
        raise RecipeError(*messages)
    return sweep


class _Reader(Parts):
    """Reads the section, and collects what is wrong with it."""

    def __init__(self, raw: Raw, recipe: Recipe) -> None:
        super().__init__(raw)
        self.recipe = recipe

    def sweep(self, node: Node) -> Sweep:
        section = self.mapping(node, SWEEP)
        nested = {name: section.get(name) for name in ("keys", "confirm", "match")}
        found = self.parameters(signature(SweepOptions), section, SWEEP, node, also=tuple(nested))
        options = SweepOptions(**found)
        confirm = ConfirmOptions(**self.options(ConfirmOptions, nested["confirm"], "sweep.confirm"))
        space = dict(self.dimensions(nested["keys"], "sweep.keys", ""))
        self.check_space(nested["keys"] or node, space)
        self.check_method(section, node, options, space)
        mode = self.checked_mode(section, options)
        if len(set(options.seeds or [0])) != len(options.seeds or [0]):
            self.wrong(section["seeds"], "sweep.seeds", "must be different, and at least one.")
        return Sweep(without_sweep(self.raw), self.recipe, space, options, confirm, self.match(nested["match"]), mode)

    # What is varied

    def dimensions(self, node: Node | None, shown: str, above: str) -> Iterator[tuple[str, Dimension]]:
        """The keys below a node, dotted in one word or nested; of a key that is there twice the later one holds."""
        for name, item in self.mapping(node, shown).items():
            key = f"{above}{name}"
            if isinstance(item.value, list):
                if item.value:
                    yield key, Choice(tuple(item.value))
                else:
                    self.wrong(item, f"{shown}.{name}", "has no values.\n  As in [lstm, gru].")
            elif isinstance(item.value, dict) and item.value and not item.value.keys() & {"low", "high"}:
                yield from self.dimensions(item, f"{shown}.{name}", f"{key}.")
            elif isinstance(item.value, dict) and item.value:
                if (found := self.range(item, f"{shown}.{name}", key)) is not None:
                    yield key, found
            else:
                problem = f"must be a list of values, or a range, got {quoted(item.plain)}.{yaml_trap(item)}"
                self.wrong(item, f"{shown}.{name}", f"{problem}\n  As in [lstm, gru], or {{low: 0.001, high: 0.1}}.")

    def range(self, node: Node, shown: str, key: str) -> Range | None:
        """`{low: 1e-4, high: 1e-2, scale: log}`; whole numbers where the recipe has one there."""
        self.unknown_keys(node.value, f"{shown}.", RANGE_KEYS)
        ends = [self.number(node, node.value.get(name), f"{shown}.{name}") for name in ("low", "high")]
        scale = node.value.get("scale", Node("linear", node.where))
        if scale.value not in ("linear", "log"):
            self.wrong(scale, f"{shown}.scale", f"must be one of linear, log, got {quoted(scale.plain)}.")
        low, high = ends
        if low is None or high is None:
            return None
        if low >= high:
            self.wrong(node, shown, f"is empty: low is {low}, and high is {high}.")
            return None
        if scale.value == "log" and low <= 0:
            self.wrong(node, shown, f"has a logarithmic scale, and low is {low}: it must be more than 0.")
            return None
        whole = isinstance(low, int) and isinstance(high, int) and not isinstance(at(self.recipe, key), float)
        return Range(node, low, high, scale.value == "log", whole)

    def number(self, at: Node, node: Node | None, key: str) -> float | None:
        """A finite number: YAML 1.1 reads 1e-3 as text."""
        if node is None:
            self.wrong(at, key, "missing; a range goes from low to high.")
            return None
        value = node.value
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        if is_number(value):
            return cast(float, value)
        self.wrong(node, key, f"must be a finite number, got {quoted(node.plain)}.{yaml_trap(node)}")
        return None

    def check_space(self, node: Node, space: Space) -> None:
        for key in space:
            section = key.partition(".")[0]
            if section in NOT_VARIED:
                at = node.value.get(key, node) if isinstance(node.value, dict) else node
                self.wrong(at, f"sweep.keys.{key}", f"cannot be varied: {NOT_VARIED[section]}.")

    # How

    def check_method(self, section: Mapping[str, Node], node: Node, options: SweepOptions, space: Space) -> None:
        method = section.get("method", node)
        ranges = [key for key, dimension in space.items() if isinstance(dimension, Range)]
        if options.method == "grid" and ranges:
            others = "random, halving or optuna draw from it"
            self.wrong(method, f"sweep.keys.{ranges[0]}", f"is a range, and a grid needs a list of values; {others}.")
        needs = options.method in ("random", "optuna") or (options.method == "halving" and ranges)
        if needs and options.draws is None:
            self.wrong(method, "sweep.draws", f"missing; it says how many combinations '{options.method}' draws.")
        if options.method == "grid" and options.draws is not None:
            self.wrong(section["draws"], "sweep.draws", "a grid runs all combinations.\n  For some: method: random.")
        if not space and options.method != "grid":
            self.wrong(node, "sweep.keys", "missing; there is nothing to draw.")

    def checked_mode(self, section: Mapping[str, Node], options: SweepOptions) -> str | None:
        """Which is better of the metric that chooses."""
        metric, name = options.metric, ""
        if metric is None:
            if "mode" in section and options.mode:
                self.wrong(section["mode"], "sweep.mode", "belongs to sweep.metric, which is missing.")
            return None
        part, _, name = metric.partition("/")
        if part != "val" or not name:
            hint = "\n  The test part is for the comparison at the end, not for choosing." if part == "test" else ""
            self.wrong(section["metric"], "sweep.metric", f"must be a dev metric, as val/loss, got '{metric}'.{hint}")
            return None
        known = {"loss": "min", **dict([class_monitor(self.recipe)])}
        if options.mode is None and name not in known:
            self.wrong(section["metric"], "sweep.metric", f"needs sweep.mode, max or min: which {metric} is better.")
        return options.mode or known.get(name)

    def match(self, node: Node | None) -> MatchOptions | None:
        if node is None or node.value is None:
            return None
        found = self.options(MatchOptions, node, "sweep.match")
        asked = found["parameters"]
        if isinstance(asked, str):
            found["parameters"] = count(asked)
            if found["parameters"] is None:
                at = node.value["parameters"]
                self.wrong(at, "sweep.match.parameters", f"must be a number such as 1M or 250k, got {quoted(asked)}.")
        return MatchOptions(**found)


def class_monitor(recipe: Recipe) -> tuple[str, str]:
    """The dev metric that the task's class names, and which is better; for some data, a task takes another."""
    try:
        name, mode = registry.load("tasks", recipe["task"]["name"]).monitor
        return str(name), str(mode)
    except Exception:  # a plugin's, or a recipe that has mistakes
        return "loss", "min"


def at(recipe: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key of a resolved recipe; None if there is none."""
    value: Any = recipe
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def tree(key: str, node: Node) -> Node:
    """One setting as the recipe that says nothing else."""
    for name in reversed(key.split(".")):
        node = Node({name: node}, node.where)
    return node
