"""`rnnzoo check`: whether a part keeps its contract."""

from __future__ import annotations

from rnnzoo import registry
from rnnzoo.cli.parser import Namespace, Parser

KINDS = tuple(registry.SINGULAR.values())
EXAMPLE = "rnnzoo check lstm"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("name", nargs="+", metavar="NAME", help="names from `rnnzoo list`; 'all' for every cell")
    parser.add_argument("--kind", default="cell", choices=KINDS, help="(default: cell)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: Namespace) -> int:
    from rnnzoo.testing import command

    return command.run(arguments.kind, arguments.name, arguments.json)
