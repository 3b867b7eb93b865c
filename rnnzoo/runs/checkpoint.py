"""A trained model as a folder: tensors in safetensors, the rest in JSON; nothing in it names code.

    checkpoints/best, checkpoints/last      one line of text each: the name of a folder beside them
    checkpoints/step-000001200/
        weights.safetensors                 every tensor once
        meta.json, spec.json                how the model is built; the data it was trained on
        MANIFEST.json                       written last: size and sha256 of each file

A checkpoint is written into a temporary folder and renamed when complete, so a crash leaves the previous one or the new
one, never a part of one. Importing this module does not import torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnzoo.errors import RunError
from rnnzoo.system import files
from rnnzoo.system.files import TEMPORARY

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT_VERSION = 1
WEIGHTS, META, SPEC, MANIFEST = "weights.safetensors", "meta.json", "spec.json", "MANIFEST.json"
POINTERS = ("best", "last")
JSON_LIMIT = 64 * 2**20  # bytes


class Checkpoint(NamedTuple):
    """What a checkpoint folder holds. Tied tensors are one tensor under several names."""

    weights: dict[str, Tensor]
    meta: dict[str, Any]
    spec: dict[str, Any]


# -- writing --------------------------------------------------------------------------------------------------------


def save(folder: Path, weights: dict[str, Tensor], meta: dict[str, Any], spec: dict[str, Any]) -> None:
    """Write a new checkpoint folder, complete or not at all. Its parents are made.

    weights: tensors on any device; those that share storage are stored once, with the other names in meta's "tied".
    meta, spec: JSON values; "tied" is a reserved key of meta.
    Raises: RunError if the folder exists or cannot be written, or a weight is not finite; what was there before stays.
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
    texts = {META: _dumps(meta | {"tied": tied}), SPEC: _dumps(spec)}
    if folder.exists():
        raise RunError(f"cannot save a checkpoint as {folder}: it exists.\n  A checkpoint is never written over.")
    temporary = folder.with_name(f"{TEMPORARY}{folder.name}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        for name, text in texts.items():
            _write_through(temporary / name, text)
        _save_tensors(tensors, temporary / WEIGHTS, stat.S_IMODE((temporary / META).stat().st_mode))
        paths = {name: temporary / name for name in (WEIGHTS, META, SPEC)}
        listed = {name: {"size": path.stat().st_size, "sha256": files.sha256(path)} for name, path in paths.items()}
        _write_through(temporary / MANIFEST, _dumps({"format_version": FORMAT_VERSION, "files": listed}))
        files.sync_folder(temporary)
        os.replace(temporary, folder)
        files.sync_folder(folder.parent)
    except OSError as error:
        raise files.unwritable(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # gone already where all went well


def point(pointer: Path, target: str) -> None:
    """Make `pointer` (checkpoints/best, checkpoints/last) name the folder `target` beside it, at once.

    Raises: RunError if the target is not a checkpoint beside the pointer, or the pointer cannot be written.
    """
    _beside(pointer, target)
    files.write_text(pointer, target + "\n")


def remove(folder: Path) -> None:
    """Delete a checkpoint; whoever reads it meanwhile sees all of it or nothing."""
    doomed = folder.with_name(f"{TEMPORARY}{folder.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):  # a checkpoint that cannot be deleted does not end a training
        os.replace(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def sweep(checkpoints: Path) -> None:
    """Delete what a crash left incomplete in a checkpoints folder."""
    for path in checkpoints.glob(f"{TEMPORARY}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


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


def _save_tensors(tensors: dict[str, Tensor], path: Path, permissions: int) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path)
    except SafetensorError as error:
        raise OSError(f"{error}") from error  # safetensors hides the system's error in its text
    path.chmod(permissions)  # safetensors makes a file that its owner alone may read
    files.sync(path)


def _write_through(path: Path, text: str) -> None:
    with open(path, "x", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


# -- reading --------------------------------------------------------------------------------------------------------


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint folder after checking each file against the manifest. Reads no pickle, runs no code.

    Raises: RunError naming the path and what is wrong with it.
    """
    for name, entry in _manifest(folder).items():
        size = _regular(folder, name).st_size
        if size != entry["size"]:
            how = "truncated" if size < entry["size"] else "corrupt"
            raise _bad(folder, f"{name} is {how}", f"It has {size} bytes, its manifest says {entry['size']}.")
        digest = _sha256(folder, name)
        if digest != entry["sha256"]:
            why = f"Its sha256 is {digest[:12]}..., its manifest says {entry['sha256'][:12]}..."
            raise _bad(folder, f"{name} is corrupt", why)
    meta, spec = _read_json(folder, META), _read_json(folder, SPEC)
    tied = meta.pop("tied", {})
    weights = _load_tensors(folder)
    if not isinstance(tied, dict) or any(not isinstance(t, str) or t not in weights for t in tied.values()):
        raise _bad(folder, f"{META} is corrupt", "Its map of tied tensors names tensors that are not there.")
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


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 by file name, checked in form."""
    if not folder.is_dir():
        raise _none_at(folder)
    if not (folder / MANIFEST).exists():
        raise _bad(folder, "it is not an rnnzoo checkpoint", f"It has no {MANIFEST}, which is written last.")
    manifest = _read_json(folder, MANIFEST)
    version, entries = manifest.get("format_version"), manifest.get("files")
    if isinstance(version, int) and version > FORMAT_VERSION:
        why = f"It has format {version}, this rnnzoo reads up to {FORMAT_VERSION}."
        raise _bad(folder, "a newer rnnzoo wrote it", why, "Upgrade: pip install --upgrade rnnzoo.")
    well_formed = (
        version == FORMAT_VERSION
        and isinstance(entries, dict)
        and set(entries) == {WEIGHTS, META, SPEC}
        and all(
            isinstance(entry, dict) and type(entry.get("size")) is int and isinstance(entry.get("sha256"), str)
            for entry in entries.values()
        )
    )
    if not well_formed:
        raise _bad(folder, "it is not an rnnzoo checkpoint", f"Its {MANIFEST} does not list the files of one.")
    return dict(entries or {})


def _regular(folder: Path, name: str) -> os.stat_result:
    """The status of a file that is neither missing nor a link, a folder, a pipe or a device."""
    try:
        status = (folder / name).lstat()
    except OSError:
        raise _bad(folder, f"{name} is missing", "It is not complete.") from None
    if not stat.S_ISREG(status.st_mode):
        raise _bad(folder, f"{name} is not a regular file", "Links, pipes and devices are not followed.")
    return status


def _sha256(folder: Path, name: str) -> str:
    try:
        return files.sha256(folder / name, links=False)
    except OSError as error:
        raise _bad(folder, f"{name} cannot be read", f"{files.reason(error)}.") from error


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    if _regular(folder, name).st_size > JSON_LIMIT:
        raise _bad(folder, f"{name} is too large", f"It may have {JSON_LIMIT} bytes.")
    try:
        value = files.read_json(folder / name, JSON_LIMIT, links=False)
    except (OSError, ValueError) as error:
        raise _bad(folder, f"{name} is corrupt", f"{type(error).__name__}: {files.reason(error)[:120]}") from error
    if not isinstance(value, dict):
        raise _bad(folder, f"{name} is corrupt", f"It holds a {type(value).__name__} where a mapping belongs.")
    return value


def _load_tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _bad(folder, f"{WEIGHTS} is corrupt", f"safetensors: {str(error)[:120]}") from error


def _none_at(path: Path) -> RunError:
    why = "there is no such path" if not path.exists() else "it is a file" if path.is_file() else "none is in it"
    return RunError(
        f"no checkpoint at {path}: {why}.\n"
        f"  A checkpoint is a folder that holds {MANIFEST}; a run keeps its own in checkpoints/."
    )


RECOPY = "Use another checkpoint of the run, or copy it again."


def _bad(folder: Path, what: str, why: str, remedy: str = RECOPY) -> RunError:
    return RunError(f"cannot load the checkpoint {folder}: {what}.\n  {why}\n  {remedy}")


def _some(items: list[str]) -> str:
    return "; ".join(items[:3]) + (f"; and {len(items) - 3} more" if len(items) > 3 else "")
