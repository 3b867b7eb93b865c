"""`rnnzoo prepare`: encode a recipe's data once, ahead of its runs."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError
from rnnzoo.system import console
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo prepare ptb_lstm --out tokens/ptb"


def add_arguments(parser: Parser) -> None:
    parser.usage = "rnnzoo prepare RECIPE [--out FOLDER] [--vocabulary MODEL] [--json] [--KEY.KEY VALUE ...]"
    parser.takes_keys = True
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name from `rnnzoo list recipes`")
    parser.add_argument(
        "--out",
        type=typed,
        metavar="FOLDER",
        help="for token files, which data: {name: token_files, folder: FOLDER} reads; without it a recipe with "
        "data.streaming: true is prepared in the user's cache, where its runs look",
    )
    parser.add_argument(
        "--vocabulary", metavar="MODEL", help="take the words of a trained model: a run, or a shipped model's name"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--KEY.KEY", metavar="VALUE", help="a key of the recipe, such as --data.vocab_size 10000")


def run(arguments: Namespace) -> int:
    from rnnzoo import recipe as recipes

    if arguments.vocabulary is not None and arguments.out is None:
        raise ZooError("rnnzoo prepare: --vocabulary goes with --out alone.\n  See `rnnzoo prepare --help`.")
    raw = recipes.read(arguments.recipe, arguments.overrides)
    from rnnzoo.experiment.prepare import prepare, prepare_stream
    from rnnzoo.experiment.resolver import resolve
    from rnnzoo.system.quantities import size

    recipe = resolve(raw)
    made = prepare_stream(recipe) if arguments.out is None else prepare(recipe, arguments.out, arguments.vocabulary)
    words = made.spec.inputs["tokens"].size
    if arguments.json:
        facts = {"folder": str(made.store.folder), "new": made.new, "parts": made.parts, "vocabulary": words}
        console.print_json({**facts, "bytes": made.store.size}, indent=2)
        return 0
    rows: list[list[object]] = [[part, counts] for part, counts in made.parts.items()]
    rows += [["vocabulary", f"{words:,} words"], ["size", size(made.store.size)]]
    title = "made" if made.new else "there already, and whole"
    console.table(rows, f"{console.inline(console.short(made.store.folder))}: {title}")
    return 0
