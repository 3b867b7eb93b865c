"""`rnnzoo test`: score a run's best checkpoint on its test data. `rnnzoo validate` does it on the dev data."""

from __future__ import annotations

import contextlib
import sys

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import RecipeError
from rnnzoo.system import console
from rnnzoo.system.launcher import rank

EXAMPLE = "rnnzoo test runs/quickstart/ID"


def add_arguments(parser: Parser) -> None:
    parser.usage = f"{parser.prog} RUN [--json] [--dynamic_evaluation] [--trainer.KEY | --data.KEY VALUE ...]"
    parser.takes_keys = True
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its id")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--dynamic_evaluation", action="store_true", help="also let a language model learn from what it has read"
    )


def run(arguments: Namespace) -> int:
    return score(arguments, "test")


def score(arguments: Namespace, part: str) -> int:
    """Print the metrics of a run's best checkpoint on one part of its data: "dev" or "test"."""
    from rnnzoo import recipe as recipes
    from rnnzoo import runs

    changes = recipes.overrides(arguments.overrides)
    sections = ("trainer", "data", "tracking") if part == "test" else ("trainer", "data")
    free = {key: value for key, value in changes.items() if key in sections and isinstance(value, dict)}
    fixed = [key for key in changes if key not in free] + [f"{key}.name" for key in free if "name" in free[key]]
    if fixed:
        keys = ", ".join(f"--{section}.KEY" for section in sections)
        raise RecipeError(f"command line: {fixed[0]}: cannot be changed after training.\n  Free to change: {keys}.")
    folder = runs.find(arguments.run)
    from rnnzoo.experiment.evaluate import evaluate

    with contextlib.redirect_stdout(sys.stderr):
        metrics = evaluate(folder, part, changes, arguments.dynamic_evaluation, confidence=True, track=True)
    if rank() == 0 and arguments.json:
        console.print_json(metrics)
    elif rank() == 0:
        console.table([(name, f"{value:.6f}") for name, value in metrics.items()], f"{arguments.run}, best checkpoint")
    return 0
