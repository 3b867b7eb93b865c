"""`rnnzoo compare`: finished runs side by side."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace, Parser

EXAMPLE = "rnnzoo compare runs/imdb_bilstm   or   rnnzoo compare RUN RUN"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN | DIR", help="runs' folders or ids, or folders of runs")


def run(arguments: Namespace) -> int:
    from rnnzoo.compare import compare, terminal

    terminal.show(compare(arguments.runs))
    return 0
