"""Which folder a run's name or path means."""

from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path

from rnnzoo.errors import RunError, nearest
from rnnzoo.runs import hub_models, pretrained_models

ROOT = Path("runs")


def find(run: str | Path, root: Path = ROOT) -> Path:
    """The folder of a run, of a shipped model, or of one that is fetched from the Hub.

    run: a folder, a run's `<recipe>/<id>` or `<id>` under `root`, a shipped model's name, or `hf://owner/name`.
    Raises: RunError naming the nearest runs if there is none.
    """
    if hub_models.is_address(run):
        return hub_models.fetch(run)
    path = Path(run)
    by_id = glob.glob(f"{glob.escape(str(root))}/*/{glob.escape(path.name)}") if path.name == str(run) else []
    for candidate in (path, root / path, *map(Path, by_id)):
        if is_run(candidate):
            return candidate
    if shipped := pretrained_models.find(run):
        return shipped
    siblings = {str(p): p for folder in (path, path.parent, root, root / path) for p in _runs_under(folder)}
    trained = pretrained_models.names()
    match = nearest(str(run), [*siblings, *trained]) or nearest(path.name, [p.name for p in siblings.values()])
    newest = sorted(siblings, key=lambda name: siblings[name].name)[-4:]
    why = "there is no such folder" if not os.path.exists(path) else "it holds no summary.json or config.yaml"
    raise RunError(
        f"no run at {str(run)[:200]}: {why}.\n"
        + (f"  Did you mean '{match}'?\n" if match else "")
        + (f"  Runs near it: {', '.join(newest)}." if newest else f"  No run is near it, nor in {root}/.")
        + (f"\n  Trained models that come with rnnzoo: {', '.join(trained)}." if trained else "")
    )


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run; never an error, also for what can be no path."""
    return any(os.path.isfile(folder / name) for name in ("summary.json", "config.yaml"))


def _runs_under(folder: Path) -> list[Path]:
    """The runs in a folder or in its folders."""
    with contextlib.suppress(OSError):
        return [path.parent for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/summary.json")]
    return []
