"""What a training needs to go on, as a folder of the run. It holds everything, where a checkpoint holds the model.

resume/step-000001200/
    state.safetensors       every tensor: weights, optimizer, averages, carried states, random states
    state.json              everything else, see `rnnzoo.runs.state`
    MANIFEST.json           written last
"""

from __future__ import annotations

import re
from pathlib import Path

from rnnzoo.errors import RunError
from rnnzoo.runs import atomic_folder, state
from rnnzoo.runs.state import State

FORMAT = atomic_folder.Format(
    "training state", 1, "state.safetensors", ("state.json",), "Use another one of the run, or start it again."
)
KEPT = 2  # the newest, and one to fall back on
NAME = re.compile(r"step-\d{9,}(-\d+){0,2}")


def write(folder: Path, value: State) -> None:
    """Write a training state, see `atomic_folder.unused`, and delete those before the newest `KEPT`.

    Raises: OSError; what was there before stays.
    """
    packed, tensors = state.pack(dict(value))
    apart = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    atomic_folder.write(atomic_folder.unused(folder), FORMAT, apart, {"state.json": {"state": packed}})
    for old in complete(folder.parent)[KEPT:]:
        atomic_folder.remove(old)
    atomic_folder.sweep(folder.parent)


def read(folder: Path) -> State:
    """A training state. Raises: RunError naming the path and what is wrong with it."""
    tensors, texts = atomic_folder.read(folder, FORMAT)
    value = state.unpack(texts["state.json"].get("state"), tensors)
    if not isinstance(value, dict):
        raise RunError(f"cannot load the training state {folder}: it does not hold a mapping.")
    return value


def complete(folder: Path) -> list[Path]:
    """The training states in a run's `resume` folder, the newest first; those that a crash cut short are left out."""
    found = [path for path in folder.glob("step-*") if NAME.fullmatch(path.name) and atomic_folder.is_complete(path)]
    return sorted(found, key=lambda path: [int(number) for number in path.name.split("-")[1:]], reverse=True)
