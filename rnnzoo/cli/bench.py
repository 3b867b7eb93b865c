"""`rnnzoo bench`: how fast a cell or a recipe runs here. The measuring itself is in `rnnzoo.bench`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnnzoo import registry
from rnnzoo.bench import LENGTHS, MODES, RIVALS
from rnnzoo.errors import ZooError, unknown
from rnnzoo.system import console, marked
from rnnzoo.system.launcher import rank

CELL_EPILOG = """\
sizes: A is 200 steps, batch 32, 128 -> 64 (ragged: reviews of 10 to 500 words); B200 and B650 are 35 steps, batch 20,
200 -> 200 and 650 -> 650; C is 32 steps, batch 32, 128 -> 128 (ragged: sentences). Any other: 50x8x16x32.
rivals: torch.nn's layer on padded sequences (wrong where ragged and in both directions) and on packed ones, the
engine's reference loop, and a loop over `cell.forward`; and with more threads than one, the engine with one. A cell
that torch.nn lacks meets nn.LSTM and nn.GRU.
example: rnnzoo bench cell lstm gru --sizes A,C --modes train"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `rnnzoo bench`."""
    kinds = parser.add_subparsers(metavar="cell | fit", title="what to measure", required=True)
    form: dict[str, Any] = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}

    cell = kinds.add_parser("cell", help="one layer of each cell, against torch.nn", epilog=CELL_EPILOG, **form)
    cell.add_argument("names", nargs="+", metavar="NAME", help="cells that `rnnzoo list cells` tells")
    cell.add_argument("--sizes", type=_words, default=["A"], metavar="SIZE,...", help="(default: A)")
    for name, known in (("lengths", LENGTHS), ("modes", MODES), ("rivals", RIVALS)):
        cell.add_argument(
            f"--{name}", type=_among(name, known), default=known, metavar=",".join(known), help="(default: all)"
        )
    cell.add_argument("--directions", choices=("auto", "1", "2"), default="auto", help="(default: 2 where ragged)")
    cell.add_argument("--engine", default="auto", metavar="PATH", help="engine path to measure (default: auto)")
    cell.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    cell.add_argument("--threads", type=_count, default=1, metavar="N", help="1, the default, counts processor time")
    cell.add_argument("--rounds", type=_count, default=7, metavar="N", help="samples of each (default: 7)")
    cell.add_argument("--build", action="store_true", help="time the first call, with an empty and with a full cache")
    cell.add_argument("--scaling", action="store_true", help="time a token at 2,000 steps against one at 200")
    output = cell.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--markdown", action="store_true", help="print the README's table")
    output.add_argument("--update", type=Path, metavar="FILE", help="write that table between FILE's bench markers")
    cell.set_defaults(measure=_cell)

    own = type(parser)(prog="rnnzoo bench fit", add_help=False, allow_abbrev=False)
    own.add_argument("--batches", type=_count, default=20, metavar="N", help="after two to warm up (default: 20)")
    own.add_argument("--threads", type=_count, default=1, metavar="N", help="(default: 1)")
    own.add_argument("--json", action="store_true", help="print one JSON object")
    fit = kinds.add_parser(
        "fit",
        help="some training batches of a recipe",
        epilog="example: rnnzoo bench fit quickstart --engine native",
        usage="rnnzoo bench fit RECIPE [--batches N] [--threads N] [--json] [--KEY.KEY VALUE ...]",
        parents=[own],
        **form,
    )
    fit.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name that `rnnzoo list recipes` tells")
    fit.add_argument("keys", nargs=argparse.REMAINDER, metavar="--KEY.KEY VALUE", help="any key of the recipe")
    fit.set_defaults(measure=_fit, own=own, print_help=fit.print_help)


def run(given: argparse.Namespace) -> int:
    """Measure, print, and return the exit code."""
    return given.measure(given)


def _words(text: str) -> list[str]:
    words = [word for word in text.split(",") if word]
    if not words:
        raise argparse.ArgumentTypeError("must name one, or several with commas between")
    return words


def _among(what: str, known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        for word in _words(text):
            if word not in known:
                raise ZooError(unknown(f"rnnzoo bench: --{what} knows no", word, known))
        return _words(text)

    return parse


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got '{text}'")
    return int(text)


def _cell(given: argparse.Namespace) -> int:
    for name in given.names:
        registry.find("cells", name)
    from rnnzoo.bench import cells, tables, timing

    if given.update:
        marked.read(given.update, tables.MARK)  # what cannot be written is told before anything is measured
    cases = [
        cells.make_case(size, lengths == "ragged", None if given.directions == "auto" else given.directions == "2")
        for size in given.sizes
        for lengths in given.lengths
    ]
    options = {"rounds": given.rounds, "threads": given.threads, "device": given.device, "engine": given.engine}
    report: dict[str, Any] = {
        "machine": timing.facts(),
        "settings": options | {"clock": timing.clock_name(given.threads, given.device)},
        "load_before": timing.load(),
        "results": [],
    }
    quiet = given.json or given.markdown or given.update
    for name in given.names:
        for case in cases:
            for mode in given.modes:
                result = {"name": name} | cells.measure(name, case, mode, rivals=given.rivals, **options)
                report["results"].append(result)
                if not quiet:
                    tables.show_result(result)
    if given.scaling:
        report["scaling"] = [
            {"name": name} | cells.scaling(name, size, **options) for name in given.names for size in given.sizes
        ]
    if given.build:
        report["build"] = [
            {"name": name} | cells.first_calls(name, cases[0], given.engine, given.device) for name in given.names
        ]
    report["load_after"] = timing.load()
    if given.json:
        console.print_json(report)
    elif given.markdown:
        console.print(tables.markdown(report), end="")
    elif given.update:
        tables.update(given.update, tables.markdown(report))
    else:
        tables.show_rest(report)
    return 0


def _fit(given: argparse.Namespace) -> int:
    _, keys = given.own.parse_known_args(given.keys, given)  # what stands behind the recipe
    if {"-h", "--help"} & {*keys}:
        given.print_help()
        return 0
    from rnnzoo import recipe
    from rnnzoo.experiment.resolver import resolve

    resolved = resolve(recipe.read(given.recipe, keys))
    from rnnzoo.bench import recipes, tables

    result = recipes.measure(resolved, given.batches, given.threads)
    if rank() == 0 and given.json:
        console.print_json(result)
    elif rank() == 0:
        tables.show_fit(result)
    return 0
