"""A comparison as tables on the terminal."""

from __future__ import annotations

from rnnzoo.compare.comparison import Comparison, Spread
from rnnzoo.system import console
from rnnzoo.system.console import printable
from rnnzoo.system.quantities import amount, duration

ARROWS = {"max": " ↑", "min": " ↓", None: ""}


def show(comparison: Comparison) -> None:
    """Print it."""
    counts = f"{amount(len(comparison.runs), 'run')} in {amount(len(comparison.groups), 'group')}"
    console.print(f"{comparison.task}: {counts}, on {comparison.data}")
    metrics = comparison.metrics
    head = [
        "",
        "n",
        *(metric.name + ARROWS[metric.mode] for metric in metrics),
        "parameters",
        "tokens",
        "CPU",
        "engine",
    ]
    rows = [head]
    for group in comparison.groups:
        costs = [score(group.costs["parameters"]), score(group.costs["tokens"]), _time(group.costs["cpu_seconds"])]
        scores = [score(group.scores[metric.name]) for metric in metrics]
        rows.append([group.name, str(len(group.runs)), *scores, *costs, group.engine])
    console.table(rows)
    for sentence in (*comparison.verdicts, *comparison.notes):
        console.print(sentence)
    for run in comparison.left_out:
        console.print(f"left out: {console.short(run.path)}: {run.why}")


def score(spread: Spread) -> str:
    """ "0.8945 ± 0.0015"; "NaN in 1 of 3"."""
    if spread.mean is None:
        return "unknown" if not spread.n else f"NaN in {spread.missing} of {len(spread.values)}"
    return printable(spread.mean) + (f" ± {printable(spread.std)}" if spread.std else "")


def _time(spread: Spread) -> str:
    return "unknown" if spread.mean is None else duration(spread.mean)
