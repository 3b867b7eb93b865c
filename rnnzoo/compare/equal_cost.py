"""Dev scores at equal cost: the best that each run had reached by so many steps, tokens or seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnnzoo.compare.alike import monitor
from rnnzoo.compare.collect import ComparedRun
from rnnzoo.compare.curves import ALIASES, AXES
from rnnzoo.errors import ZooError, unknown

COSTS = ("parameters", "tokens", "cpu_seconds", "train_seconds")
CURVE_COSTS = {"tokens": "tokens_seen", "cpu_seconds": "cpu_seconds", "train_seconds": "train_seconds"}
METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class At:
    """A cost at which dev curves are read: an axis of AXES, as "cpu_seconds", and how much of it."""

    axis: str
    value: float

    def __str__(self) -> str:
        return f"{self.axis} {_plain(self.value)}"


@dataclass(frozen=True)
class Measured:
    """What a run scores and what that cost; None where it is not known. notes: what of its files could not be read."""

    scores: dict[str, float | None]
    costs: dict[str, float | None]
    notes: tuple[str, ...] = ()


def parse_at(text: str) -> At:
    """ "cpu_seconds=300", "tokens=2e6", "epoch=3". Raises: ZooError."""
    name, equals, amount = text.partition("=")
    axis = ALIASES.get(name.strip(), name.strip())
    if axis not in AXES:
        raise ZooError(unknown("--at: there is no axis", name.strip(), [*AXES, *ALIASES]))
    try:
        value = float(amount.replace(",", "").replace("_", ""))
    except ValueError:
        value = math.nan
    if not (equals and math.isfinite(value) and value > 0):
        raise ZooError(f"--at: takes AXIS=AMOUNT, an amount above 0, got '{text}'.\n  As in: --at cpu_seconds=300")
    return At(axis, value)


def at_end(run: ComparedRun) -> Measured:
    """What a run scored with the checkpoint that was kept, and what its training cost."""
    facts: dict[str, object] = {**run.facts}
    return Measured(dict(run.scores), {cost: _number(facts.get(cost)) for cost in COSTS})


def at_cost(run: ComparedRun, at: At) -> Measured | str:
    """The dev scores of the checkpoint that was best up to a cost, or why there are none. Raises: RunError."""
    name, mode = monitor(run)
    curves = run.read_curves("val")
    if not curves.lines:
        return f"it has no dev scores in its {METRICS}"
    last = curves.last(at.axis)
    if last is None:
        return f"its {METRICS} does not say {at.axis}; train it again with this rnnzoo"
    ended = max(last[at.axis], _number({**run.facts}.get(OF_SUMMARY[at.axis])) or 0.0)
    if ended < at.value:
        return f"it ended before {at}, at {_plain(ended)}"
    best, until = curves.best(f"val/{name}", mode, at.axis, at.value), curves.last(at.axis, at.value)
    if best is None or until is None:
        return f"it had no val/{name} that is a number by {at}"
    scores = {key: value if math.isfinite(value) else None for key, value in best.items() if key.startswith("val/")}
    spent = {cost: until.get(axis) for cost, axis in CURVE_COSTS.items()}
    unread = curves.unreadable
    notes = (f"{unread} line{'s' * (unread > 1)} of its {METRICS} cannot be read",) if unread else ()
    return Measured(scores, {"parameters": _number(run.facts.get("parameters")), **spent}, notes)


OF_SUMMARY = {  # keys of a summary, by the axis whose end they are
    "tokens_seen": "tokens",
    "step": "steps",
    "epoch": "epochs",
    "train_seconds": "train_seconds",
    "cpu_seconds": "cpu_seconds",
}


def _plain(value: float) -> str:
    """ "300", "1,000,000", "12.5"."""
    return f"{value:,.0f}" if value == round(value) or value >= 1000 else f"{value:.6g}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
