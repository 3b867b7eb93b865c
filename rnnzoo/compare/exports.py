"""A comparison for other programs: JSON with everything, CSV with a line a run, a page in Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from rnnzoo.compare.collect import ComparedRun
from rnnzoo.compare.comparison import Comparison, Group
from rnnzoo.compare.settings import ABSENT
from rnnzoo.compare.spread import Spread
from rnnzoo.compare.terminal import ARROWS, scores
from rnnzoo.system.console import inline, json_text
from rnnzoo.system.files import JsonObject
from rnnzoo.system.plain import plain

if TYPE_CHECKING:
    from rnnzoo.compare.verdict import Verdict

FORMAT = 1
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute
MARKDOWN = str.maketrans({**{mark: f"\\{mark}" for mark in "\\|`*_[]#~"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"})


def as_json(comparison: Comparison) -> str:
    """One JSON object; a number that is not finite, or not known, is null."""
    at = comparison.at
    value = {
        "format": FORMAT,
        "task": comparison.task,
        "data": comparison.data,
        "at": {"axis": at.axis, "value": at.value} if at else None,
        "main": comparison.main.name,
        "metrics": {metric.name: metric.mode for metric in comparison.metrics},
        "differing": list(comparison.keys),
        "groups": [_group(group) for group in comparison.groups],
        "verdicts": [_verdict(verdict) for verdict in comparison.verdicts],
        "notes": comparison.notes,
        "left_out": [{"path": str(run.path), "why": run.why} for run in comparison.left_out],
    }
    return json_text(plain(value), indent=2) + "\n"


def _group(group: Group) -> JsonObject:
    first = group.runs[0]
    return {
        "name": group.name,
        "digest": group.digest,
        "differing": group.settings,
        "seeds": group.seeds,
        "scores": {name: _spread(spread) for name, spread in group.scores.items()},
        "costs": {name: _spread(spread) for name, spread in group.costs.items()},
        "engine": group.engine,
        "settings": {key: value for key, value in first.settings.items() if key != "seed"},
        "runs": [_run(run, group, index) for index, run in enumerate(group.runs)],
    }


def _verdict(verdict: Verdict) -> JsonObject:
    """Of a pair: how far group a is above group b, in the metric's own unit, with the 95 % interval."""
    found = verdict.difference
    numbers = {"value": found.value, "low": found.low, "high": found.high, "p": verdict.p, "clear": verdict.clear}
    counts = {"seeds": found.seeds, "paired": found.paired, "examples": found.examples}
    return {"a": verdict.a, "b": verdict.b, "metric": verdict.metric, **numbers, **counts, "sentence": str(verdict)}


def _spread(spread: Spread) -> JsonObject:
    return {"mean": spread.mean, "std": spread.std, "n": spread.n, "missing": spread.missing}


def _run(run: ComparedRun, group: Group, index: int) -> JsonObject:
    return {
        "name": run.name,
        "path": str(run.path),
        "seed": run.seed,
        "scores": {name: spread.values[index] for name, spread in group.scores.items()},
        "costs": {name: spread.values[index] for name, spread in group.costs.items()},
    }


def as_csv(comparison: Comparison) -> str:
    """A line a run: its group, its seed, the settings that differ, its scores and costs; empty where not known."""
    keys, metrics = list(comparison.keys), [metric.name for metric in comparison.metrics]
    costs = list(comparison.groups[0].costs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, ["group", "run", "seed", *keys, *metrics, *costs, "engine", "path"]))
    for group in comparison.groups:
        for index, run in enumerate(group.runs):
            numbers = [group.scores[name].values[index] for name in metrics]
            numbers += [group.costs[name].values[index] for name in costs]
            settings = [group.settings.get(key) for key in keys]
            row = [group.name, run.name, run.seed, *settings, *numbers, group.engine, str(run.path)]
            writer.writerow(map(_cell, row))
    return text.getvalue()


def _cell(value: object) -> object:
    """A text that a spreadsheet takes as text, and a whole number without a point."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if value is None or isinstance(value, (int, bool)):
        return value
    text = inline(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def as_markdown(comparison: Comparison) -> str:
    """The table, and below it the verdicts, what to know, and what was left out."""
    keys = list(comparison.keys) if len(comparison.keys) > 1 else []  # a single one is the groups' name
    tail = comparison.main.name.rpartition("/")[2]
    metrics = [metric for metric in comparison.metrics if metric.name.rpartition("/")[2] == tail]
    costs = list(comparison.groups[0].costs)
    heads = [
        "",
        *(comparison.keys[key] for key in keys),
        "n",
        *(m.name + ARROWS[m.mode] for m in metrics),
        *costs,
        "engine",
    ]
    columns = [scores([group.scores[metric.name] for group in comparison.groups]) for metric in metrics]
    lines = [heads, ["---"] * len(heads)]
    for index, group in enumerate(comparison.groups):
        settings = [_text(group.settings.get(key, ABSENT)) for key in keys]
        spent = ["?" if (mean := group.costs[cost].mean) is None else f"{mean:,.0f}" for cost in costs]
        cells = [_text(group.name), *settings, str(len(group.runs)), *(column[index].strip() for column in columns)]
        lines.append([*cells, *spent, _text(group.engine)])
    table = "".join(f"| {' | '.join(line)} |\n" for line in [[_text(head) for head in heads], *lines[1:]])
    out = [f"{run.path}: {run.why}." for run in comparison.left_out]
    at = f" Best on dev by {comparison.at}." if comparison.at else ""
    head = f"{_text(comparison.task)} on {_text(comparison.data)}.{_text(at)}\n\n"
    below = [*map(str, comparison.verdicts), *comparison.notes, *(f"Left out: {line}" for line in out)]
    return head + table + "".join(f"\n{_text(line)}\n" for line in below)


def _text(value: object) -> str:
    """A text that Markdown shows as it is, in a line."""
    return inline(value).translate(MARKDOWN)


WRITERS: dict[str, Callable[[Comparison], str]] = {"json": as_json, "csv": as_csv, "md": as_markdown}
