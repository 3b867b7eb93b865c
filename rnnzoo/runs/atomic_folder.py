"""Folders that are complete or not there: JSON, tensors, and last a manifest with the size and sha256 of each file.

A folder is written under a temporary name and renamed when it is complete, so a crash leaves the one before or the new
one, never half of one. Nothing in it names code. Importing this module does not import torch.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnzoo.errors import RunError
from rnnzoo.system import files
from rnnzoo.system.files import TEMPORARY

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST = "MANIFEST.json"
JSON_LIMIT = 64 * 2**20  # bytes


class Format(NamedTuple):
    """A kind of folder: its name in messages, the number of its format, its files, and the remedy for a broken one."""

    name: str  # "checkpoint"
    version: int
    tensors: str  # the file of tensors
    texts: tuple[str, ...]  # the JSON files
    remedy: str

    @property
    def files(self) -> set[str]:
        return {self.tensors, *self.texts}


def write(folder: Path, form: Format, tensors: Mapping[str, Tensor], texts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a new folder, see `unused`. Its parents are made.

    tensors: contiguous, on the CPU, none sharing memory with another. texts: JSON values by file name.
    Raises: OSError, also if the folder is there already; what was there before stays.
    """
    if folder.exists():
        raise FileExistsError(errno.EEXIST, "it is there already", str(folder))
    temporary = folder.with_name(f"{TEMPORARY}{folder.name}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        for name in form.texts:
            _write_through(temporary / name, dumps(texts[name]))
        permissions = stat.S_IMODE((temporary / form.texts[0]).stat().st_mode)
        _save_tensors(tensors, temporary / form.tensors, permissions)
        sizes = {name: (temporary / name).stat().st_size for name in sorted(form.files)}
        listed = {name: {"size": size, "sha256": files.sha256(temporary / name)} for name, size in sizes.items()}
        _write_through(temporary / MANIFEST, dumps({"format_version": form.version, "files": listed}))
        files.sync_folder(temporary)
        os.replace(temporary, folder)
        files.sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # gone already where all went well


def read(folder: Path, form: Format) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """The tensors and the JSON values by file name, after `check`.

    Reads no pickle, runs no code. Raises: RunError naming the path and what is wrong with it.
    """
    check(folder, form)
    return _load_tensors(folder, form), {name: _read_json(folder, name, form) for name in form.texts}


def check(folder: Path, form: Format) -> None:
    """Compare each file with the manifest. Raises: RunError naming the path and what is wrong with it."""
    for name, entry in _manifest(folder, form).items():
        size = _regular(folder, name, form).st_size
        if size != entry["size"]:
            how = "truncated" if size < entry["size"] else "corrupt"
            why = f"It has {size} bytes, its manifest says {entry['size']}."
            raise broken(folder, form, f"{name} is {how}", why)
        digest = _sha256(folder, name, form)
        if digest != entry["sha256"]:
            why = f"Its sha256 is {digest[:12]}..., its manifest says {entry['sha256'][:12]}..."
            raise broken(folder, form, f"{name} is corrupt", why)


def unused(folder: Path) -> Path:
    """The folder, or where it is there the next one of its name: step-12, step-12-2, step-12-3, ...

    A folder is never written over: to put one into the place of another takes two steps, and a crash between them would
    leave neither.
    """
    again = re.compile(re.escape(folder.name) + r"(?:-(\d{1,9}))?")
    matches = [match for path in folder.parent.glob("*") if (match := again.fullmatch(path.name))]
    last = max((int(match[1] or 1) for match in matches), default=0)
    return folder.with_name(f"{folder.name}-{last + 1}") if last else folder


def is_complete(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def remove(folder: Path) -> None:
    """Delete a folder at once: it is complete until it is gone."""
    doomed = folder.with_name(f"{TEMPORARY}{folder.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):  # a folder too many is no reason to end a training
        os.replace(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Delete what a crash left half written or half deleted."""
    for litter in parent.glob(f"{TEMPORARY}*"):
        if litter.is_dir() and not litter.is_symlink():
            shutil.rmtree(litter, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                litter.unlink()


def dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def broken(folder: Path, form: Format, what: str, why: str, remedy: str | None = None) -> RunError:
    return RunError(f"cannot load the {form.name} {folder}: {what}.\n  {why}\n  {remedy or form.remedy}")


def _save_tensors(tensors: Mapping[str, Tensor], path: Path, permissions: int) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:
        hidden = re.search(r"os error (\d+)", str(error))  # the system's error is in the text of safetensors' own
        cause = OSError(int(hidden[1]), os.strerror(int(hidden[1]))) if hidden else OSError(str(error))
        raise cause from error
    path.chmod(permissions)  # safetensors makes a file that its owner alone may read
    files.sync(path)


def _write_through(path: Path, text: str) -> None:
    with open(path, "x", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        files.sync_open(file)


def _manifest(folder: Path, form: Format) -> dict[str, dict[str, Any]]:
    """Size and sha256 by file name, checked in form."""
    if not is_complete(folder):
        raise broken(folder, form, f"it is not an rnnzoo {form.name}", f"It has no {MANIFEST}, which is written last.")
    manifest = _read_json(folder, MANIFEST, form)
    version, listed = manifest.get("format_version"), manifest.get("files")
    if isinstance(version, int) and version > form.version:
        why = f"It has format {version}, this rnnzoo reads up to {form.version}."
        raise broken(folder, form, "a newer rnnzoo wrote it", why, "Upgrade: pip install --upgrade rnnzoo.")
    if not (version == form.version and isinstance(listed, dict) and set(listed) == form.files):
        why = f"Its {MANIFEST} does not list the files of one."
        raise broken(folder, form, f"it is not an rnnzoo {form.name}", why)
    for entry in listed.values():
        if not (isinstance(entry, dict) and type(entry.get("size")) is int and isinstance(entry.get("sha256"), str)):
            why = f"Its {MANIFEST} does not give the sizes and digests of its files."
            raise broken(folder, form, f"it is not an rnnzoo {form.name}", why)
    return listed


def _regular(folder: Path, name: str, form: Format) -> os.stat_result:
    """The status of a file that is neither missing nor a link, a folder, a pipe or a device."""
    try:
        status = (folder / name).lstat()
    except OSError:
        raise broken(folder, form, f"{name} is missing", "It is not complete.") from None
    if not stat.S_ISREG(status.st_mode):
        why = "Links, pipes and devices are not followed."
        raise broken(folder, form, f"{name} is not a regular file", why)
    return status


def _sha256(folder: Path, name: str, form: Format) -> str:
    try:
        return files.sha256(folder / name, links=False)
    except OSError as error:
        raise broken(folder, form, f"{name} cannot be read", f"{files.reason(error)}.") from error


def _read_json(folder: Path, name: str, form: Format) -> dict[str, Any]:
    if _regular(folder, name, form).st_size > JSON_LIMIT:
        raise broken(folder, form, f"{name} is too large", f"It may have {JSON_LIMIT} bytes.")
    try:
        value = files.read_json(folder / name, JSON_LIMIT, links=False)
    except (OSError, ValueError) as error:
        why = f"{type(error).__name__}: {files.reason(error)[:120]}"
        raise broken(folder, form, f"{name} is corrupt", why) from error
    if not isinstance(value, dict):
        why = f"It holds a {type(value).__name__} where a mapping belongs."
        raise broken(folder, form, f"{name} is corrupt", why)
    return value


def _load_tensors(folder: Path, form: Format) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(folder / form.tensors)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise broken(folder, form, f"{form.tensors} is corrupt", f"safetensors: {str(error)[:120]}") from error
