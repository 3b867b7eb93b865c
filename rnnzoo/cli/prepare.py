"""`rnnzoo prepare`: encode a recipe's data once, ahead of its runs."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo prepare ptb_lstm --out tokens/ptb"


def add_arguments(parser: Parser) -> None:
    parser.usage = "rnnzoo prepare RECIPE --out FOLDER [--vocabulary MODEL] [--json] [--KEY.KEY VALUE ...]"
    parser.takes_keys = True
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name from `rnnzoo list recipes`")
    parser.add_argument(
        "--out",
        required=True,
        type=typed,
        metavar="FOLDER",
        help="for the files; data: {name: token_files, folder: FOLDER} reads them",
    )
    parser.add_argument(
        "--vocabulary", metavar="MODEL", help="take the words of a trained model: a run, or a shipped model's name"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--KEY.KEY", metavar="VALUE", help="a key of the recipe, such as --data.vocab_size 10000")


def run(arguments: Namespace) -> int:
    from rnnzoo import recipe as recipes

    raw = recipes.read(arguments.recipe, arguments.overrides)
    from rnnzoo.experiment.prepare import prepare
    from rnnzoo.experiment.resolver import resolve
    from rnnzoo.system.quantities import size

    examples, new = prepare(resolve(raw), arguments.out, arguments.vocabulary)
    parts = {part: {"tokens": own["tokens"], "unknown": own["unknown"]} for part, own in examples.facts.items()}
    words, total = examples.spec.inputs["tokens"].size, examples.store.size
    if arguments.json:
        facts = {"folder": str(arguments.out), "new": new, "parts": parts, "vocabulary": words, "bytes": total}
        console.print_json(facts, indent=2)
        return 0
    rows: list[list[object]] = [[part, f"{own['tokens']:,} tokens"] for part, own in parts.items()]
    rows += [["vocabulary", f"{words:,} words"], ["size", size(total)]]
    title = "made" if new else "there already, and whole"
    console.table(rows, f"{console.inline(console.short(arguments.out))}: {title}")
    return 0
