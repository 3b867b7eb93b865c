"""A trained model as a folder: tensors in safetensors, the rest in JSON; nothing in it names code.

    checkpoints/best, checkpoints/last      one line of text each: the name of a folder beside them
    checkpoints/step-000001200/
        weights.safetensors                 every tensor once
        meta.json, spec.json                how the model is built; the data it was trained on
        MANIFEST.json                       written last: size and sha256 of each file

It is complete or not there, see `rnnzoo.runs.atomic_folder`. Importing this module does not import torch.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rnnzoo.errors import RunError
from rnnzoo.runs import atomic_folder
from rnnzoo.runs.atomic_folder import MANIFEST
from rnnzoo.system import files
from rnnzoo.system.files import JsonObject

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS, META, SPEC = "weights.safetensors", "meta.json", "spec.json"
FORMAT = atomic_folder.Format(
    "checkpoint", 1, WEIGHTS, (META, SPEC), "Use another checkpoint of the run, or copy it again."
)
POINTERS = ("best", "last")


class Checkpoint(NamedTuple):
    """What a checkpoint folder holds. Tied tensors are one tensor under several names."""

    weights: dict[str, Tensor]
    meta: JsonObject
    spec: JsonObject


# -- writing --------------------------------------------------------------------------------------------------------


def save(folder: Path, weights: dict[str, Tensor], meta: JsonObject, spec: JsonObject) -> None:
    """Write a new checkpoint folder, complete or not at all. Its parents are made.

    weights: tensors on any device; those that share storage are stored once, with the other names in meta's "tied".
    meta, spec: JSON values; "tied" is a reserved key of meta.
    Raises: Unwritable if the system does not let it; RunError if the folder exists, or a weight is not finite. What was
    there before stays.
    """
    if "tied" in meta:
        raise ValueError("'tied' is a reserved key of a checkpoint's meta")
    tensors, tied = _untie(weights)
    bad = next((name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()), None)
    if bad:
        raise RunError(
            f"cannot save a checkpoint as {folder}: '{bad}' is not finite.\n"
            "  Training has broken: try a lower optimizer.lr or trainer.gradient_clip_val.\n"
            "  A buffer that holds infinity by design is to be registered with persistent=False."
        )
    if folder.exists():
        raise RunError(f"cannot save a checkpoint as {folder}: it exists.\n  A checkpoint is never written over.")
    try:
        atomic_folder.write(folder, FORMAT, tensors, {META: meta | {"tied": tied}, SPEC: spec})
    except OSError as error:
        raise files.unwritable(folder, error) from error


def point(pointer: Path, target: str) -> None:
    """Make `pointer` (checkpoints/best, checkpoints/last) name the folder `target` beside it, at once.

    Raises: RunError if the target is not a checkpoint beside the pointer, or the pointer cannot be written.
    """
    _beside(pointer, target)
    files.write_text(pointer, target + "\n")


def _untie(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The distinct tensors, contiguous on the CPU, and for each further name the name that holds its tensor."""
    import torch

    first: dict[tuple[object, ...], str] = {}
    tensors, tied = {}, {}
    for name, tensor in weights.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"weights must be tensors, got {type(tensor).__name__} for '{name}'")
        storage = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        holder = first.setdefault(storage, name) if tensor.numel() else name
        if holder != name:
            tied[name] = holder
            continue
        tensor = tensor.detach()
        owned = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        tensors[name] = tensor.cpu() if owned or tensor.device.type != "cpu" else tensor.clone()
        tensors[name] = tensors[name].contiguous()
    return tensors, tied


# -- reading --------------------------------------------------------------------------------------------------------


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint folder after checking each file against the manifest. Reads no pickle, runs no code.

    Raises: RunError naming the path and what is wrong with it.
    """
    if not folder.is_dir():
        raise _none_at(folder)
    weights, texts = atomic_folder.read(folder, FORMAT)
    meta, spec = texts[META], texts[SPEC]
    tied = meta.pop("tied", {})
    if not isinstance(tied, dict) or any(not isinstance(t, str) or t not in weights for t in tied.values()):
        raise atomic_folder.broken(
            folder, FORMAT, f"{META} is corrupt", "Its map of tied tensors names tensors that are not there."
        )
    return Checkpoint(weights | {name: weights[holder] for name, holder in tied.items()}, meta, spec)


def apply(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Load the weights into a model that has exactly these tensors. Raises: RunError with both sides."""
    check_fit(model, checkpoint)
    model.load_state_dict(checkpoint.weights, strict=True)


def check_fit(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Compare names and shapes with those of a model, which may be on the meta device. Raises: RunError."""
    expected, saved = model.state_dict(), checkpoint.weights
    shapes = {name: (tuple(saved[name].shape), tuple(expected[name].shape)) for name in expected if name in saved}
    wrong = {
        "Only in the checkpoint": sorted(set(saved) - set(expected)),
        "Only in the model": sorted(set(expected) - set(saved)),
        "Other shapes": [
            f"{name} {a} in the checkpoint, {b} in the model" for name, (a, b) in shapes.items() if a != b
        ],
    }
    if any(wrong.values()):
        first = "the checkpoint's weights do not fit this model"
        for name, (saved_shape, shape) in shapes.items():
            if name.endswith("embedding.weight") and saved_shape[0] != shape[0]:
                first = f"the vocabulary of {shape[0]:,} does not match the weights, which are for {saved_shape[0]:,}"
        raise RunError(
            f"{first}.\n"
            + "".join(f"  {what}: {_some(items)}.\n" for what, items in wrong.items() if items)
            + "  Build the model with the settings that the checkpoint was trained with."
        )


def follow(pointer: Path) -> Path:
    """The checkpoint folder that `pointer` names. Raises: RunError."""
    try:
        if not stat.S_ISREG(pointer.lstat().st_mode) or pointer.stat().st_size > 4096:
            raise RunError(f"{pointer} is not a pointer to a checkpoint.\n  It must be a file of one short line.")
        target = files.read_text(pointer, 4096, links=False).strip()
    except FileNotFoundError:
        raise RunError(f"there is no {pointer}.\n  No checkpoint was saved there as '{pointer.name}'.") from None
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {pointer}: {files.reason(error)}.") from error
    return _beside(pointer, target)


def locate(path: Path) -> Path:
    """The checkpoint folder that a path means: itself, or a run's best one, or its last where none is best.

    path: a checkpoint folder, a run's folder, its checkpoints folder, or a pointer in it. Raises: RunError.
    """
    if path.is_file() and path.name in POINTERS:
        return follow(path)
    if (path / MANIFEST).exists():
        return path
    for folder in (path / "checkpoints", path):
        for name in POINTERS:
            if (folder / name).exists():
                return follow(folder / name)
    raise _none_at(path)


def _beside(pointer: Path, target: str) -> Path:
    """The folder `target` in the pointer's folder, and nowhere else."""
    folder = pointer.parent / target
    is_name = target == Path(target).name and target not in ("", ".", "..") and not set(target) & {"\\", "\0"}
    if not is_name or len(target.encode()) > 255 or folder.is_symlink():
        raise RunError(f"{pointer} must name a folder beside it, got {target[:80]!r}.\n  A path is not accepted there.")
    if not folder.is_dir():
        raise RunError(f"{pointer} names {target!r}, and no such checkpoint is there.")
    return folder


def _none_at(path: Path) -> RunError:
    why = "there is no such path" if not path.exists() else "it is a file" if path.is_file() else "none is in it"
    return RunError(
        f"no checkpoint at {path}: {why}.\n"
        f"  A checkpoint is a folder that holds {MANIFEST}; a run keeps its own in checkpoints/."
    )


def _some(items: list[str]) -> str:
    return "; ".join(items[:3]) + (f"; and {len(items) - 3} more" if len(items) > 3 else "")
