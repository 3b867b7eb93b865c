"""`rnnzoo list`: what is installed. Imports no part."""

from __future__ import annotations

from rnnzoo.cli import names
from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console

EXAMPLE = "rnnzoo list cells"
HEADER: tuple[str, ...] = ("KIND", "NAME", "DISTRIBUTION", "VERSION")
COMBINATION: tuple[str, ...] = ("TASK", "NEEDS", "ARCHITECTURES")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"{', '.join(names.LISTS)}, combinations")
    parser.add_argument("--json", action="store_true", help="print one JSON array")


def run(arguments: Namespace) -> int:
    if arguments.kind == "combinations":
        rows, header = combinations(), COMBINATION
    else:
        rows, header = names.listed([names.kind_of(arguments.kind)] if arguments.kind else names.LISTS), HEADER
    if arguments.json:
        console.print_json(rows, indent=2)
    else:
        console.table([header, *([row[key.lower()] for key in header] for row in rows)])
    return 0


def combinations() -> list[dict[str, str]]:
    """Each task, the shape of answer it needs, and the architectures that give it by default. Imports all of them."""
    from rnnzoo.experiment.resolver import able_to, loadable

    return [
        {"task": name, "needs": task.needs, "architectures": ", ".join(able_to(task.needs))}
        for name, task in loadable("tasks")
    ]
