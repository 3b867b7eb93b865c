"""Where compared runs come from: folders that `rnnzoo fit` left, W&B's `.wandb` files, a project on W&B's server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rnnzoo import runs
from rnnzoo.compare.collect import ComparedRun, LeftOut, collect
from rnnzoo.compare.wandb_files import join, read_wandb_file, wandb_files
from rnnzoo.compare.wandb_runs import Logged, compared
from rnnzoo.errors import RunError


def gather(
    paths: Sequence[str | Path], project: str | None = None, root: Path = runs.ROOT
) -> tuple[list[ComparedRun], list[LeftOut]]:
    """The finished runs that paths name, see `collect`, and those of a project of W&B's; and what is left out.

    paths: `.wandb` files and W&B's folders too. project: "ENTITY/PROJECT". Raises: RunError, or ZooError where W&B's
    server does not give the project.
    """
    named = {path: [] if runs.is_run(path) else wandb_files(path) for path in map(Path, paths)}
    found, left_out = collect([path for path, files in named.items() if not files], root)
    logged: list[Logged] = []
    for file in dict.fromkeys(file for files in named.values() for file in files):
        try:
            logged.append(read_wandb_file(file))
        except RunError as error:
            left_out.append(LeftOut(file, str(error).splitlines()[0].rstrip(".")))
    logged = join(logged)
    if project is not None:
        from rnnzoo.compare.wandb_api import read_project

        logged += read_project(project)
    counts = Counter(entry.name for entry in logged)
    for entry in logged:
        if counts[entry.name] > 1:
            entry.name = f"{entry.name} {entry.id}"
        try:
            run = compared(entry)
        except RunError as error:
            run = str(error).splitlines()[0].rstrip(".")
        except RecursionError:
            run = "its config is nested too deeply"
        if isinstance(run, str):
            left_out.append(LeftOut(entry.path, run))
        else:
            found.append(run)
    return found, left_out
