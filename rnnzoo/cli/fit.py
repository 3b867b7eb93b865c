"""`rnnzoo fit`: train a recipe, test its best checkpoint, log it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError
from rnnzoo.system import console
from rnnzoo.system.launcher import rank
from rnnzoo.system.paths import typed

if TYPE_CHECKING:
    from rnnzoo.experiment.resume import Resumption
    from rnnzoo.recipe import Recipe

AUTO = "auto"  # --resume of whatever is in --run_dir
LR = "--optimizer.lr"
EXAMPLE = "rnnzoo fit imdb_bilstm --model.architecture.cell gru --seed 2 --trainer.max_epochs 3"


def add_arguments(parser: Parser) -> None:
    parser.usage = (
        "rnnzoo fit RECIPE|--resume RUN [--run_dir DIR] [--folds K] [--seed N] [--print_config] [--KEY.KEY VALUE ...]\n"
        "       rnnzoo fit RECIPE --launch NAME [--nodes N] [--devices N] [--launch.KEY VALUE ...] ...\n"
        "       rnnzoo fit RECIPE --find_lr [--run_dir DIR] [--json] [--KEY.KEY VALUE ...]"
    )
    parser.takes_keys = True
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="a YAML file, or a name from `rnnzoo list recipes`")
    parser.add_argument("--run_dir", type=typed, metavar="DIR", help="folder of the run (default: runs/RECIPE/ID)")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help=f"continue a run where it stopped; {AUTO}: with that in --run_dir, if any",
    )
    parser.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="train K times, each time with another K-th of the rows of train and dev as dev (cross-validation)",
    )
    parser.add_argument(
        "--find_lr",
        action="store_true",
        help="try rising learning rates for some steps, draw the loss, suggest a rate, and train nothing",
    )
    parser.add_argument("--json", action="store_true", help="with --find_lr: print one JSON object")
    parser.add_argument(
        "--launch", metavar="NAME", help="start the processes by a launcher, see `rnnzoo list launchers`"
    )
    parser.add_argument("--nodes", type=int, metavar="N", help="with --launch: machines")
    parser.add_argument("--devices", type=int, metavar="N", help="with --launch: processes on each machine")
    parser.add_argument("--print_config", action="store_true", help="print the complete recipe and do nothing else")
    parser.add_argument("--KEY.KEY", metavar="VALUE", help="a key of the recipe, such as --model.head.dropout 0.3")


def run(arguments: Namespace) -> int:
    from rnnzoo import recipe as recipes
    from rnnzoo import runs

    if arguments.folds is not None and arguments.resume is not None:
        raise ZooError(
            "rnnzoo fit: --folds needs no --resume.\n  The same command goes on with the folds that are left."
        )
    if arguments.find_lr and (arguments.folds is not None or arguments.resume is not None):
        raise ZooError("rnnzoo fit: --find_lr trains nothing, and goes with neither --folds nor --resume.")
    if arguments.json and not arguments.find_lr:
        raise ZooError("rnnzoo fit: --json goes with --find_lr alone.\n  A run's summary.json has its numbers.")
    if arguments.launch is not None:
        return _launch(arguments)
    if arguments.nodes is not None or arguments.devices is not None:
        raise ZooError(
            "rnnzoo fit: --nodes and --devices go with --launch NAME alone.\n"
            "  Without it, --trainer.devices N starts N processes on this machine."
        )
    auto = arguments.resume == AUTO
    if arguments.resume is not None and (not auto or runs.has_begun(arguments.run_dir)):
        return _resume(arguments)
    if arguments.recipe is None:
        raise ZooError("rnnzoo fit: the following arguments are required: RECIPE.\n  See `rnnzoo fit --help`.")
    if arguments.folds is not None:
        return _folds(arguments)
    if not auto:
        runs.refuse_used(arguments.run_dir)
    raw = recipes.read(arguments.recipe, arguments.overrides)  # before torch is imported: a missing file is quick
    from rnnzoo.experiment.resolver import resolve

    resolved = resolve(raw)
    if arguments.print_config:
        from rnnzoo.system.redaction import redact

        console.print(recipes.dump(redact(resolved)), end="")
        return 0
    if arguments.find_lr:
        return _find_lr(resolved, arguments)
    if raw.root.value.get("sweep") is not None and rank() == 0:
        console.print_error(f"This is one run, without the recipe's sweep: rnnzoo sweep {arguments.recipe}")
    if auto and (aside := runs.set_aside(arguments.run_dir)):
        console.print_error(
            f"the run {arguments.run_dir} was ended before its first training state was saved: it begins anew.\n"
            f"  What it had written is kept in {aside}"
        )
    return _fit(resolved, arguments.run_dir)


def _launch(arguments: Namespace) -> int:
    """Start the processes of the run by a launcher, and give their exit code."""
    from rnnzoo.runs import refuse_used

    wrong = [flag for flag in ("folds", "find_lr", "print_config") if getattr(arguments, flag)]
    if wrong or arguments.recipe is None or arguments.resume not in (None, AUTO):
        what = f"--{wrong[0]}" if wrong else "a run to resume" if arguments.resume else "no recipe"
        raise ZooError(
            f"rnnzoo fit: --launch cannot start {what}.\n"
            "  It starts one run of a RECIPE, which goes on with --resume auto --run_dir DIR."
        )
    if arguments.resume is None:
        refuse_used(arguments.run_dir)
    from rnnzoo.experiment.launch import prepare

    where = (arguments.run_dir, arguments.nodes, arguments.devices)
    launcher, job = prepare(arguments.launch, arguments.recipe, arguments.overrides, *where)
    return launcher.run(job)


def _folds(arguments: Namespace) -> int:
    """Train each fold in a process of its own; the same command goes on with those that are left."""
    from rnnzoo import recipe as recipes
    from rnnzoo.runs import ROOT, slug

    count = arguments.folds
    if not 2 <= count <= 1000:
        raise ZooError(f"rnnzoo fit: --folds must be from 2 to 1000, got {count}.")
    raw = recipes.read(arguments.recipe, arguments.overrides)
    from rnnzoo.sweep import folds

    folder = arguments.run_dir or ROOT / f"{slug(raw.name)}-folds{count}"
    outcome = folds.run(raw, count, folder)
    names = list(outcome.means)
    rows: list[list[object]] = [["fold", *names, "run"]]
    for fold in outcome.folds:
        values = {outcome.metric: fold.dev, **fold.test}
        rows.append([fold.number, *(values.get(name) for name in names), console.short(fold.folder)])
    console.table(rows)
    console.print()
    for name, mean in outcome.means.items():
        spread = "" if mean.spread is None else f" +- {console.printable(mean.spread)}"
        console.print(f"{name}  {console.printable(mean.mean)}{spread} ({len(mean.values)} folds)")
    if outcome.failed:
        why = [f"{run.label}: {reason}" for run, reason in outcome.failed]
        raise ZooError(f"not every fold came to its end: {'; '.join(why)}\n  The same command tries them again.")
    return 0


def _find_lr(recipe: Recipe, arguments: Namespace) -> int:
    """Print a learning rate to begin with, and how to use it."""
    import shlex

    from rnnzoo.experiment.find_lr import find_lr

    with contextlib.redirect_stdout(sys.stderr):
        found = find_lr(recipe, arguments.run_dir)
    if rank() > 0:
        return 0
    rate = f"{found.suggestion:g}"
    line = shlex.join(["rnnzoo", "fit", arguments.recipe, *_without(LR, arguments.overrides), LR, rate])
    low, high = found.curve[0][0], found.curve[-1][0]
    if arguments.json:
        facts = {"recipe": recipe["name"], "suggestion": found.suggestion, "now": found.now, "range": [low, high]}
        console.print_json({**facts, "command": line, "picture": str(found.picture), "curve": found.curve}, indent=2)
        return 0
    tried = f"{low:.2g} to {high:.2g} in {len(found.curve)} steps"
    console.print(f"learning rate to begin with: {rate} (the recipe has {found.now:g}; tried: {tried})")
    console.print(f"drawn: {console.short(found.picture)}")
    console.print(f"to use it: {line}")
    return 0


def _without(flag: str, words: list[str]) -> list[str]:
    """The words of a recipe's keys without one of them and its value."""
    kept = [word for word in words if not word.startswith(f"{flag}=")]
    while flag in kept:
        place = kept.index(flag)
        del kept[place : place + 2]
    return kept


def _resume(arguments: Namespace) -> int:
    from rnnzoo.experiment.resume import AtItsEnd, prepare

    auto = arguments.resume == AUTO
    run = arguments.run_dir if auto else arguments.resume
    try:
        resumption = prepare(run, arguments.overrides, auto)
    except AtItsEnd as done:
        if rank() == 0:
            console.print_error(f"{done}")
        return 0
    if rank() == 0:
        console.print_error(f"{resumption}.")
    return _fit(resumption.recipe, resumption=resumption)


def _fit(recipe: Recipe, run_dir: Path | None = None, resumption: Resumption | None = None) -> int:
    from rnnzoo.experiment.fit import fit
    from rnnzoo.runs import report

    with contextlib.redirect_stdout(sys.stderr):  # progress; standard output has the result alone
        summary, finished = fit(recipe, run_dir, resumption)
    if finished.writer:
        report.show_result(summary, finished.path)
    return 0
