"""What a run's summary.json holds: its keys and their types, for whoever writes, prints, compares or ships it.

A run of an older version may lack any key, and a stranger's file may hold anything: `well_formed` keeps what fits.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

STATUSES = ("running", "finished", "failed", "interrupted")
Value = TypeVar("Value")
NAMES = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    types.NoneType: "null",
    dict: "a mapping",
    list: "a list",
}


class Hardware(TypedDict, total=False):
    """The machine: its processor, the cores that the process may use, its GPU if there is one."""

    cpu: str
    cores: int | None
    gpu: str | None


class DataFacts(TypedDict, total=False):
    """The data of a run: which, and what encoding found in each split ("train", "dev", "test")."""

    id: str | None
    revision: str | None
    dev: str  # what stands in for the dev split, where a data set has none
    fingerprint: str  # SHA-256 of all examples in their order, as they are encoded
    scored_rows: str  # SHA-256 of the raw rows of the test split, or of dev where there is none: equal for any encoding
    sizes: dict[str, int]  # examples
    labels: dict[str, int]  # how often each occurs in the training split
    truncated: dict[str, int]  # examples cut to max_length
    unknown_share: dict[str, float]  # of the input tokens, 0 to 1
    notes: dict[str, dict[str, object]]


class VectorFacts(TypedDict, total=False):
    """How far a file of word vectors covers the data."""

    file: str
    sha256: str
    found: int  # words
    types: float  # their share of the vocabulary, 0 to 1
    tokens: float  # their share of the training tokens, 0 to 1


class StartPart(TypedDict, total=False):
    """What a part of a model took of the trained one that it started from: all, rows for some of its names, nothing."""

    part: str
    outcome: Literal["taken", "grown", "left"]
    rows: int  # words or labels that both have
    of: int  # words or labels of the new model
    why: str  # it was left as it was drawn


class StartFacts(TypedDict, total=False):
    """The trained model that a run started from."""

    source: str  # as the recipe names it
    path: str  # of its checkpoint
    commit: str  # of its repository, where it is from the Hub
    weights_sha256: str
    recipe: str
    recipe_digest: str
    seed: int | None
    versions: dict[str, str]
    parts: list[StartPart]


class Best(TypedDict, total=False):
    """The checkpoint that was kept: the dev metric that chose it, and its epoch, from 0."""

    monitor: str
    mode: Literal["max", "min"]
    score: float | None
    epoch: int | None


class Speed(TypedDict, total=False):
    """Training alone; None where nothing was measured."""

    examples_per_second: float | None
    tokens_per_second: float | None
    examples_per_cpu_second: float | None
    tokens_per_cpu_second: float | None


class EngineLayer(TypedDict, total=False):
    """One recurrent layer: the path that ran it most often, and why."""

    layer: str
    cell: str
    direction: str
    path: str | None
    calls: dict[str, int]
    why: str


class BadNumbers(TypedDict, total=False):
    """How often a step was left out, or training went back, as a loss or a gradient was not finite."""

    skipped: int
    rolled_back: int


class CalibrationFacts(TypedDict, total=False):
    """How logits become confidences: divided by the temperature. ece: the expected calibration error on a part of the
    data, "dev before" at temperature 1 and "dev after".
    """

    temperature: float
    thresholds: dict[str, float]
    ece: dict[str, float]


class TrackerPlace(TypedDict, total=False):
    """Where Weights & Biases has the run: its page (online), or a folder, from the run's own (offline)."""

    id: str
    mode: str
    url: str
    path: str


class RunFacts(TypedDict, total=False):
    """The facts by which runs are compared; `rnnzoo results --keep` copies them, in this order."""

    status: str  # one of STATUSES
    seed: int
    started: str  # ISO 8601
    commit: str | None
    hardware: Hardware
    threads: int
    processes: int
    precision: str
    versions: dict[str, str]
    parameters: int
    data: DataFacts
    metrics: dict[str, float | None]  # "best/*" of dev and "test/*", of the checkpoint kept
    best: Best
    epochs: int
    steps: int
    tokens: int  # that training has read, in all epochs
    train_seconds: float
    cpu_seconds: float | None
    peak_memory_bytes: float | None
    peak_gpu_memory_bytes: int  # of the first process's device, by torch's allocator
    throughput: Speed


class Summary(RunFacts, total=False):
    """All of a summary."""

    id: str
    recipe: str
    digest: str
    seconds: float  # since the start
    bad_numbers: BadNumbers  # where there were any
    ended_by: str  # a signal's name or an error's first line, where the run did not come to its end
    host: str
    pid: int
    scoring: dict[str, str]  # how metrics were computed, where there are several ways
    directions: dict[str, Literal["max", "min"]]  # which way a metric is better, by its name without the split
    vectors: VectorFacts
    init_from: StartFacts
    extended_at: list[int]  # steps after which a new schedule began, as the run was made longer: no other run is such
    device: str
    precision_reason: str
    engine: list[EngineLayer]
    wandb: TrackerPlace
    calibration: CalibrationFacts  # of tasks that choose among classes


def scores(metrics: Mapping[str, Value]) -> dict[str, Value]:
    """The scores of the checkpoint kept, by their names: `best/*` on dev, `test/*` on test. Older runs say `val/*`."""
    return {f"best/{name[4:]}" if name.startswith("val/") else name: value for name, value in metrics.items()}


# -- values of unknown origin ---------------------------------------------------------------------------------------


def well_formed(summary: Mapping[str, object]) -> Summary:
    """The entries whose values have their types, at every level; the others are left out."""
    return cast(Summary, fitting(summary, Summary))


def fitting(values: Mapping[str, object], of: type) -> dict[str, Any]:
    """The entries whose values have the types that a TypedDict says, at every level."""
    return cast(dict[str, Any], _fitting(dict(values), of))


def mistake(facts: Mapping[str, object], key: str, of: type = Summary) -> str | None:
    """What is wrong with the value at a dotted key: "its epochs is 'x', not a whole number"; None if nothing is.

    of: the TypedDict that has the key.
    """
    value, hint = at(facts, key), of
    for name in key.split("."):
        hint = _hints(hint)[name]
    return f"its {key} is {value!r:.80}, not {_described(hint)}" if _fitting(value, hint) is _WRONG else None


def at(facts: Mapping[str, object], key: str) -> object:
    """The value at a dotted key; None if there is none."""
    value: object = facts
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_WRONG = object()
_hints = functools.cache(get_type_hints)


def _fitting(value: object, hint: object) -> object:
    """The value, without inner entries of another type than the hint's; `_WRONG` if it is of another type itself."""
    origin, arguments = get_origin(hint), get_args(hint)
    if is_typeddict(hint) or origin is dict:
        if not isinstance(value, dict):
            return _WRONG
        hints = _hints(hint) if is_typeddict(hint) else dict.fromkeys(value, arguments[-1])
        inner = {key: _fitting(value[key], hints[key]) for key in hints if key in value}
        return {key: item for key, item in inner.items() if item is not _WRONG}
    if origin is list:
        items = [_fitting(item, arguments[0]) for item in value] if isinstance(value, list) else None
        return _WRONG if items is None else [item for item in items if item is not _WRONG]
    if origin in (Union, types.UnionType):
        return next((fit for arm in arguments if (fit := _fitting(value, arm)) is not _WRONG), _WRONG)
    if origin is Literal:
        fits = value in arguments
    elif hint is float:
        fits = is_number(value)
    else:
        fits = hint is object or type(value) is hint
    return value if fits else _WRONG


def _described(hint: Any) -> str:
    """A type in words: "a finite number or null"."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_described, get_args(hint)))
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    return NAMES[dict if is_typeddict(hint) else get_origin(hint) or hint]
