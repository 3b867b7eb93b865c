"""`rnnzoo new-plugin`: write a package with a part of your own."""

from __future__ import annotations

from rnnzoo.cli.check import KINDS
from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo new-plugin mgu --kind cell"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the part's name in recipes, as in my_cell")
    parser.add_argument("--kind", default="cell", choices=KINDS, help="(default: cell)")
    parser.add_argument("--folder", type=typed, metavar="DIR", help="where to write it (default: rnnzoo-NAME, here)")


def run(arguments: Namespace) -> int:
    from rnnzoo import templates

    templates.write(arguments.kind, arguments.name, arguments.folder)
    return 0
