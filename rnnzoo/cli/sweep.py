"""`rnnzoo sweep`: train a recipe many times, and run the best again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError
from rnnzoo.system import console
from rnnzoo.system.paths import typed
from rnnzoo.system.quantities import amount

if TYPE_CHECKING:
    from rnnzoo.sweep.options import Sweep
    from rnnzoo.sweep.plan import Planner
    from rnnzoo.sweep.scores import Mean
    from rnnzoo.sweep.sweeper import Outcome

EXAMPLE = "rnnzoo sweep sweep_cells --jobs 2 --match parameters=20k"
SHOWN = 10  # combinations in the table


def add_arguments(parser: Parser) -> None:
    parser.usage = """\
rnnzoo sweep RECIPE [--jobs N] [--sweep_dir DIR] [--match parameters=N]
                    [--print_plan | --wandb] [--KEY.KEY VALUE ...]"""
    parser.takes_keys = True
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file with a section `sweep:`, or a shipped name")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time, each a process (default: 1)")
    parser.add_argument(
        "--sweep_dir", type=typed, metavar="DIR", help="folder of the sweep (default: runs/RECIPE-sweep)"
    )
    parser.add_argument("--match", metavar="parameters=N", help="solve hidden_size so that all have N parameters: 1M")
    parser.add_argument("--wandb", action="store_true", help="print the file for `wandb sweep`, whose agents run fit")
    parser.add_argument("--print_plan", action="store_true", help="print the runs and do nothing else")
    parser.add_argument("--KEY.KEY", metavar="VALUE", help="a key, such as --sweep.draws 20 or --trainer.max_epochs 3")


def run(arguments: Namespace) -> int:
    from rnnzoo import recipe as recipes
    from rnnzoo.runs import ROOT, slug

    if arguments.jobs < 1:
        raise ZooError(f"rnnzoo sweep: --jobs must be 1 or more, got {arguments.jobs}.")
    raw = recipes.read(arguments.recipe, [*arguments.overrides, *_match(arguments.match)])
    from rnnzoo.sweep.options import read
    from rnnzoo.sweep.plan import Planner, planned

    sweep = read(raw)
    planner = Planner(sweep)
    if arguments.print_plan:
        for planned_run in planned(planner.configurations(), sweep.seeds):
            console.print(f"{planned_run.name}  {planned_run.label}")
        return 0
    if arguments.wandb:
        from rnnzoo.sweep.wandb_file import sweep_file

        planner.check_corners()
        console.print(sweep_file(sweep, arguments.recipe, arguments.overrides), end="")
        return 0
    folder = arguments.sweep_dir or ROOT / f"{slug(raw.name)}-sweep"
    return _sweep(sweep, planner, folder, arguments.jobs)


def _match(words: str | None) -> list[str]:
    """`--match parameters=1M` as keys of the recipe. Raises: ZooError."""
    if words is None:
        return []
    name, _, value = words.partition("=")
    if name != "parameters" or not value:
        raise ZooError(f"rnnzoo sweep: --match takes parameters=N, such as parameters=1M, got '{words}'.")
    return ["--sweep.match.parameters", value]


def _sweep(sweep: Sweep, planner: Planner, folder: Path, at_once: int) -> int:
    from rnnzoo.sweep import sweeper

    _show(sweeper.run(sweep, planner, folder, at_once))
    return 0


def _show(outcome: Outcome) -> None:
    """Print the runs side by side, the best combinations, and what became of the best one with new seeds."""
    from rnnzoo.compare import compare, terminal

    if len(outcome.runs) > 1:
        try:
            terminal.show(compare(outcome.runs))
        except ZooError as error:  # such as other test sets, where the data are varied
            console.print_error(f"The runs are not compared: {error}")
        console.print()
    rows: list[list[object]] = [["combination", outcome.metric, "spread", "seeds"]]
    for configuration, score in outcome.ranked[:SHOWN]:
        rows.append([configuration.label, *_columns(score)])
    better = "more" if outcome.mode == "max" else "less"
    console.table(rows, f"{amount(len(outcome.ranked), 'combination')} by {outcome.metric}, {better} is better")
    for run, why in outcome.failed:
        console.print(f"Failed: {run.label}: {why}")
    best, score = outcome.ranked[0]
    ties = sum(other.mean == score.mean for _, other in outcome.ranked) - 1
    tied = f" {amount(ties, 'other')} had the same." if ties else ""
    console.print(f"\nBest: {best.label}, {outcome.metric} {_spoken(score)} in the search.{tied}")
    if outcome.confirmed is not None:
        console.print(
            f"Run again with new seeds: {outcome.metric} {_spoken(outcome.confirmed)}.\n"
            "Believe this one: the first was chosen because it was the best."
        )
    for name, mean in outcome.test.items():
        console.print(f"  {name}  {_spoken(mean)}")


def _columns(score: Mean) -> list[object]:
    return [score.mean, "" if score.spread is None else score.spread, len(score.values)]


def _spoken(score: Mean) -> str:
    spread = "" if score.spread is None else f" +- {console.printable(score.spread)}"
    return f"{console.printable(score.mean)}{spread} ({amount(len(score.values), 'seed')})"
