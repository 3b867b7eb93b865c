"""Trained models in repositories of the Hugging Face Hub: `hf://owner/name`, or `hf://owner/name@revision`.

A repository holds the files of one checkpoint, see `rnnzoo.runs.checkpoint`, in its top folder. They alone are
downloaded, of one commit, into the cache folder, and compared with their manifest; nothing of a repository is executed.
Importing this module loads no library.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rnnzoo.errors import RunError
from rnnzoo.runs import atomic_folder, checkpoint
from rnnzoo.runs.atomic_folder import JSON_LIMIT, MANIFEST
from rnnzoo.system import files
from rnnzoo.system.console import inline
from rnnzoo.system.network import answers, hub_errors, within
from rnnzoo.system.paths import cache_folder
from rnnzoo.system.quantities import size
from rnnzoo.system.redaction import without_secrets

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ADDRESS = re.compile(r"hf:/{1,2}([\w.-]{1,96}/[\w.-]{1,96})(?:@([\w./-]{1,200}))?", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
LIMITS = dict.fromkeys((MANIFEST, checkpoint.META, checkpoint.SPEC), JSON_LIMIT) | {checkpoint.WEIGHTS: 8 * 2**30}
log = logging.getLogger("rnnzoo")
PATIENCE = 60.0  # seconds for an answer, and that a download may be slow for
LEAST_RATE = 2**15  # bytes a second, from then on


class _Model(NamedTuple):
    """What an address names, and the folder for its commits."""

    repository: str
    revision: str  # a commit, branch or tag
    cache: Path

    @property
    def note(self) -> Path:
        """The file with the commit that a branch or tag meant when it was last fetched."""
        return self.cache / f"{self.revision.replace('/', '--')}.txt"

    def known(self) -> Path | None:
        """The folder of what was fetched before."""
        commit = self.revision
        if not COMMIT.fullmatch(commit):
            with contextlib.suppress(OSError, ValueError):
                commit = files.read_text(self.note, 100).strip()
        folder = self.cache / commit
        return folder if COMMIT.fullmatch(commit) and atomic_folder.is_complete(folder) else None


def is_address(name: str | Path) -> bool:
    """Whether a model is asked for by an address of the Hub."""
    return str(name).startswith("hf:/")


def fetch(address: str | Path) -> Path:
    """The folder of a model's files on this machine, named by the repository's commit.

    A commit that was fetched before is not fetched again. Where the Hub does not answer, or HF_HUB_OFFLINE says not to
    ask it, a branch or tag is what it was when it was last fetched.

    Raises: RunError for what is no address or no model, without a network, before a repository's conditions are
    accepted, for files that are too large or damaged.
    """
    parts = ADDRESS.fullmatch(str(address))
    if parts is None:
        raise RunError(
            f"'{inline(str(address), 200)}' is no address of a model on the Hub.\n"
            "  Write hf://owner/name, or hf://owner/name@revision with a commit, branch or tag."
        )
    from huggingface_hub import HfApi, constants

    revision = parts[2] or "main"
    model = _Model(parts[1], revision, cache_folder("models") / parts[1].replace("/", "--"))
    known = model.known()
    if known is not None and known.name == revision:
        return known
    endpoint = without_secrets(constants.ENDPOINT)
    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else f"{endpoint} does not answer"
    if constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT):
        if known is not None:
            return known
        raise _failed(model, why, "Try again with a network. What was fetched once is kept, and needs none.")
    try:
        return _fetch(HfApi(), model)
    except hub_errors() as error:
        mistake = _mistake(model, error)
        if known is None or mistake is not None:
            raise mistake or _unanswered(model, error) from error
        log.warning(
            "%s\n  What was fetched before is taken, commit %s.",
            _unanswered(model, error).messages[0].splitlines()[0],
            known.name,
        )
        return known


def _fetch(api: HfApi, model: _Model) -> Path:
    """The files of the commit that a revision means now, downloaded where they are not there yet."""
    errors, ask = hub_errors(), functools.partial(api.model_info, revision=model.revision, files_metadata=True)
    info = within(PATIENCE, lambda: ask(model.repository), errors)
    commit, sizes = str(info.sha), {file.rfilename: file.size or 0 for file in info.siblings or ()}
    if not COMMIT.fullmatch(commit):
        raise ValueError("the answer names no commit")
    _check_files(model, sizes)
    folder = model.cache / commit
    if not atomic_folder.is_complete(folder):
        model.cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=files.TEMPORARY, dir=model.cache))
        try:
            seconds = PATIENCE + sum(sizes[name] for name in LIMITS) / LEAST_RATE
            within(seconds, lambda: _download(api, model.repository, commit, scratch), errors)
            _check_content(model, scratch)
            _place(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    files.write_text(model.note, commit + "\n")
    return folder


def _check_files(model: _Model, sizes: Mapping[str, int]) -> None:
    """Refuse a repository by the names and sizes of its files, before any is downloaded. Raises: RunError."""
    if missing := [name for name in LIMITS if name not in sizes]:
        raise _failed(
            model,
            f"it is not a model of rnnzoo, as it has no {missing[0]}",
            f"Such a repository has {', '.join(LIMITS)} in its top folder.",
        )
    if large := [name for name, limit in LIMITS.items() if sizes[name] > limit]:
        most = size(LIMITS[large[0]])
        raise _failed(
            model, f"its {large[0]} has {size(sizes[large[0]])}", f"The most that is fetched of it is {most}."
        )


def _check_content(model: _Model, folder: Path) -> None:
    try:
        atomic_folder.check(folder, checkpoint.FORMAT)
    except RunError as error:
        why = str(error).splitlines()[0].split(": ", 1)[-1].rstrip(".")
        raise _failed(
            model, f"what came is damaged: {why}", "Try again; else its owner has to upload it again."
        ) from error


def _download(api: HfApi, repository: str, commit: str, folder: Path) -> None:
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    for name in LIMITS:
        api.hf_hub_download(repository, name, revision=commit, local_dir=folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes


def _place(scratch: Path, folder: Path) -> None:
    try:
        os.replace(scratch, folder)
    except OSError:
        if not atomic_folder.is_complete(folder):  # another process was not faster
            raise


def _mistake(model: _Model, error: Exception) -> RunError | None:
    """An answer of the Hub's that says what is wrong with the question; None for any other error."""
    from huggingface_hub import constants, errors

    page = f"{without_secrets(constants.ENDPOINT)}/{model.repository}"
    if isinstance(error, errors.GatedRepoError):
        return _failed(model, "its owner asks to accept conditions", f"Accept them at {page}, then: hf auth login")
    if isinstance(error, errors.RevisionNotFoundError):
        return _failed(model, "there is no such revision", f"Its revisions are listed at {page}/tree/main")
    if isinstance(error, errors.RepositoryNotFoundError):
        return _failed(model, "there is none, or it is private", f"See {page}; for a private one: hf auth login")
    return None


def _unanswered(model: _Model, error: Exception) -> RunError:
    """The Hub does not work, or not as far as here."""
    why = without_secrets(files.reason(error.__cause__ or error))
    return _failed(model, f"{type(error).__name__}: {inline(why, 200)}", "Try again later.")


def _failed(model: _Model, why: str, remedy: str) -> RunError:
    return RunError(
        f"cannot fetch the model '{model.repository}, revision {model.revision}' from the Hub: {why}.\n  {remedy}"
    )
