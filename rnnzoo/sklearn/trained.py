"""A trained network inside an estimator: trained in a folder that is then removed, kept as the bytes of its files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnzoo.errors import DataError, RunError
from rnnzoo.runs import atomic_folder, checkpoint
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject

if TYPE_CHECKING:
    from rnnzoo.inference.predictor import Predictor

FILES = (atomic_folder.MANIFEST, checkpoint.WEIGHTS, checkpoint.META, checkpoint.SPEC)
SUMMARY, ESTIMATOR = "summary.json", "estimator.json"
Files = dict[str, bytes]


class InvalidData(DataError, ValueError):
    """X or y that cannot be learned from, or asked."""


def train(recipe: Any, parts: Mapping[str, Any], sections: Mapping[str, Any], show: bool) -> tuple[Files, JsonObject]:
    """Train on rows in memory. Returns the files of the best checkpoint, and the run's summary.

    Raises: InvalidData, RecipeError, RunError.
    """
    from lightning.pytorch.utilities.seed import isolate_rng

    from rnnzoo.inference.fit import train as run

    with tempfile.TemporaryDirectory(prefix="rnnzoo-") as folder, files.short_lived(), isolate_rng():
        try:
            summary, path = run(recipe, data=parts, sections=sections, run_dir=Path(folder) / "run", show=show)
        except DataError as error:
            raise InvalidData(*error.messages) from error
        best = checkpoint.locate(path)
        return {name: files.read_bytes(best / name, files.DATA_LIMIT) for name in FILES}, summary


def restored(kept: Files) -> Predictor:
    """The model of a checkpoint's files. Raises: RunError, PluginError."""
    from lightning.pytorch.utilities.seed import isolate_rng

    from rnnzoo.inference.predictor import Predictor

    with tempfile.TemporaryDirectory(prefix="rnnzoo-") as folder, isolate_rng():
        write(kept, Path(folder))
        return Predictor(checkpoint.load(Path(folder)))


def write(kept: Files, folder: Path) -> None:
    """Write the files of a checkpoint into a folder. Raises: Unwritable."""
    for name in FILES:
        files.write_bytes(folder / name, kept[name])


class Saved(NamedTuple):
    """What the folder of an estimator holds. facts: of the estimator itself."""

    files: Files
    summary: JsonObject
    facts: JsonObject


def read(folder: Path) -> Saved:
    """What an estimator's `save` wrote. Raises: RunError."""
    try:
        kept = {name: files.read_bytes(folder / name, files.DATA_LIMIT) for name in FILES}
        found = [files.json_value(files.read_text(folder / name), nan=True) for name in (SUMMARY, ESTIMATOR)]
    except (OSError, ValueError) as error:
        raise RunError(
            f"no estimator can be loaded from {folder}: {files.reason(error)}.\n"
            "  An estimator's `save` writes such a folder. `rnnzoo.load` reads any run."
        ) from error
    if not all(isinstance(value, dict) for value in found):
        raise RunError(f"no estimator can be loaded from {folder}: {ESTIMATOR} does not hold a mapping.")
    return Saved(kept, *found)
