"""`rnnzoo reproduce`: run a finished run again, and say whether the same comes out."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import RunError, ZooError
from rnnzoo.system import console
from rnnzoo.system.launcher import rank
from rnnzoo.system.paths import typed

if TYPE_CHECKING:
    from rnnzoo.compare.wandb_runs import Logged
    from rnnzoo.experiment.reproduce import Claim, Difference

EXAMPLE = "rnnzoo reproduce runs/quickstart/ID"
DIFFERS_EXIT = 1
WANDB_PATH = re.compile(r"[\w.-]+/[\w .-]+/[\w-]+")


def add_arguments(parser: Parser) -> None:
    parser.usage = "rnnzoo reproduce RUN | FILE | ENTITY/PROJECT/ID [--check] [--anyway] [--run_dir DIR]"
    parser.add_argument(
        "run",
        metavar="RUN",
        help="a run's folder or id, a file of recipes/manifests, W&B's .wandb file, or its path on W&B's server",
    )
    parser.add_argument("--check", action="store_true", help="say what is different today, and train nothing")
    parser.add_argument("--anyway", action="store_true", help="also run it where the data are others")
    parser.add_argument("--run_dir", type=typed, metavar="DIR", help="folder of the new run (default: runs/RECIPE/ID)")


def run(arguments: Namespace) -> int:
    """Exit code 0 if the same comes out, or what differs is within what seeds differ by; 1 if not."""
    from rnnzoo import runs

    runs.refuse_used(arguments.run_dir)
    from rnnzoo.experiment import reproduce as reproducing

    claim, beside = _claims(arguments.run)
    with contextlib.redirect_stdout(sys.stderr):
        recipe = reproducing.pinned(claim)
        found = list(reproducing.differences(claim, recipe))
    _show(found)
    blocking = [difference for difference in found if difference.blocks]
    if arguments.check:
        return DIFFERS_EXIT if blocking else 0
    if blocking and not arguments.anyway:
        raise RunError(
            f"{arguments.run} cannot be reproduced: {blocking[0]}.\n"
            "  Put that back, or run it --anyway on what is there."
        )
    others = reproducing.other_seeds(claim, beside)
    with contextlib.redirect_stdout(sys.stderr):
        result = reproducing.reproduce(claim, recipe, others, arguments.run_dir)
    if rank() == 0:
        console.print(result)
    return 0 if result.outcome in ("equal", "alike") else DIFFERS_EXIT


def _claims(source: str) -> tuple[Claim, list[Claim]]:
    """The run, and those beside it that may be of other seeds. Raises: RunError, ZooError."""
    from rnnzoo import runs
    from rnnzoo.experiment.reproduce import claim_of, siblings

    path = Path(source)
    if path.suffix == ".json":
        from rnnzoo.results import manifests

        facts = manifests.read(path)
        kept = [manifests.read(file) for file in sorted(path.parent.glob("*.json"))]
        return claim_of(source, facts["config"], {**facts}), [claim_of(source, f["config"], {**f}) for f in kept]
    if path.suffix == ".wandb":
        from rnnzoo.compare.wandb_files import read_wandb_file

        return _logged(source, read_wandb_file(path)), []
    if WANDB_PATH.fullmatch(source) and not path.exists():
        return _of_project(source)
    record = runs.read(source)
    folder = Path(record["path"])
    return claim_of(source, record["config"], record["summary"], folder), list(siblings(folder))


def _of_project(source: str) -> tuple[Claim, list[Claim]]:
    """A run of W&B's server by ENTITY/PROJECT/ID, and the others of its project. Raises: ZooError."""
    from rnnzoo.compare.wandb_api import read_project
    from rnnzoo.errors import unknown

    project, _, name = source.rpartition("/")
    found = {logged.id: logged for logged in read_project(project)}
    if name not in found:
        raise RunError(unknown(f"{project} has no run", name, found))
    others = []
    for logged in found.values():
        with contextlib.suppress(ZooError):
            others.append(_logged(logged.id, logged))
    return _logged(source, found[name]), others


def _logged(source: str, logged: Logged) -> Claim:
    """What W&B has of a run. Raises: RunError."""
    from rnnzoo.compare.wandb_runs import compared, settings_of
    from rnnzoo.experiment.reproduce import claim_of

    run = compared(logged)
    if isinstance(run, str):
        raise RunError(f"{source} cannot be reproduced: {run}.")
    return claim_of(source, settings_of(logged), {**run.facts})


def _show(found: list[Difference]) -> None:
    if rank() > 0:
        return
    if found:
        console.print("Different from when it was run:")
        console.table([(d.what, d.now, f"was {d.then}") for d in found])
    else:
        console.print("Nothing is different from when it was run: versions, machine, recipe, data.")
    console.flush()
