"""`rnnzoo fit`: train a recipe, test its best checkpoint, log it."""

from __future__ import annotations

import contextlib
import sys

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo fit imdb_bilstm --model.architecture.cell gru --seed 2 --trainer.max_epochs 3"


def add_arguments(parser: Parser) -> None:
    parser.usage = "rnnzoo fit RECIPE [--run_dir DIR] [--seed N] [--print_config] [--KEY.KEY VALUE ...]"
    parser.takes_keys = True
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name from `rnnzoo list recipes`")
    parser.add_argument("--run_dir", type=typed, metavar="DIR", help="folder of the run (default: runs/RECIPE/ID)")
    parser.add_argument("--print_config", action="store_true", help="print the complete recipe and do nothing else")
    parser.add_argument("--KEY.KEY", metavar="VALUE", help="a key of the recipe, such as --model.head.dropout 0.3")


def run(arguments: Namespace) -> int:
    from rnnzoo import recipe as recipes
    from rnnzoo import runs

    runs.refuse_used(arguments.run_dir)
    raw = recipes.read(arguments.recipe, arguments.overrides)  # before torch is imported: a missing file is quick
    from rnnzoo.experiment.resolver import resolve

    resolved = resolve(raw)
    if arguments.print_config:
        from rnnzoo.system.redaction import redact

        console.print(recipes.dump(redact(resolved)), end="")
        return 0
    from rnnzoo.experiment.fit import fit
    from rnnzoo.runs import report

    with contextlib.redirect_stdout(sys.stderr):  # progress; standard output has the result alone
        summary, finished = fit(resolved, arguments.run_dir)
    if finished.writer:
        report.show_result(summary, finished.path)
    return 0
