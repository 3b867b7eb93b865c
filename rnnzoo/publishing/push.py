"""Send a packed run to a repository of the Hub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rnnzoo.errors import RunError
from rnnzoo.publishing.package import Package
from rnnzoo.system import files
from rnnzoo.system.console import inline
from rnnzoo.system.network import answers, hub_errors, within
from rnnzoo.system.quantities import size
from rnnzoo.system.redaction import without_secrets

if TYPE_CHECKING:
    from huggingface_hub import HfApi

NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?", re.ASCII)
REVISION = re.compile(r"[\w][\w./-]{0,199}", re.ASCII)
PATIENCE = 120.0  # seconds that all but the files may take
LEAST_RATE = 2**15  # bytes a second that files are sent at


def check_name(repository: str, revision: str | None = None) -> None:
    """Raises: RunError for what can be no repository, or no branch."""
    parts = repository.removeprefix("hf://").split("/")
    wrong = len(parts) != 2 or not all(NAME.fullmatch(part) and not re.search(r"--|\.\.", part) for part in parts)
    if wrong or any(part.endswith(".git") for part in parts):
        raise RunError(
            f"'{inline(repository, 200)}' is no name of a repository.\n"
            "  Write owner/name: letters, digits, - _ and . within, such as my-team/reviews-lstm."
        )
    if revision is not None and (not REVISION.fullmatch(revision) or ".." in revision):
        raise RunError(f"'{inline(revision, 200)}' is no name of a branch.\n  Write one like main or v1.")


def push(package: Package, repository: str, private: bool = False, revision: str | None = None) -> str:
    """Send all files of a package in one commit; the repository and the branch are made where there is none.

    Returns the address of the commit. Raises: RunError without a network, a token, or the right to write there.
    """
    from huggingface_hub import HfApi, constants, get_token

    endpoint = without_secrets(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE:
        raise _failed(repository, "HF_HUB_OFFLINE is set", "Unset it to push.")
    if not answers(constants.ENDPOINT):
        raise _failed(repository, f"{endpoint} does not answer", "Try again with a network.")
    if not get_token():
        remedy = "`hf auth login` stores one; or set HF_TOKEN. It must allow writing."
        raise _failed(repository, "there is no token", remedy)
    seconds = PATIENCE + sum(package.sizes().values()) / LEAST_RATE
    try:
        return within(seconds, lambda: _send(HfApi(), package, repository, private, revision), hub_errors())
    except hub_errors() as error:
        raise _mistake(repository, error) from error


def _send(api: HfApi, package: Package, repository: str, private: bool, revision: str | None) -> str:
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    api.create_repo(repository, private=private or None, exist_ok=True)
    if revision not in (None, "main"):
        api.create_branch(repository, branch=str(revision), exist_ok=True)
    commit = api.upload_folder(
        repo_id=repository,
        folder_path=package.folder,
        revision=revision,
        commit_message=f"Push {package.recipe['name']} with rnnzoo",
    )
    return str(commit.commit_url)


def _mistake(repository: str, error: Exception) -> RunError:
    """What went wrong, as one message."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return _failed(repository, "the Hub does not take the token", "`hf auth login` stores another one.")
    if status in (402, 403):
        remedy = "Push to an owner that you may write for, with a token that allows writing (`hf auth whoami`)."
        return _failed(repository, "your token may not write there", remedy)
    if status == 404:
        return _failed(repository, "there is no such owner, repository or branch", "Check the name.")
    why = without_secrets(files.reason(error.__cause__ or error))
    return _failed(repository, f"{type(error).__name__}: {inline(why.splitlines()[0], 200)}", "Try again later.")


def _failed(repository: str, why: str, remedy: str) -> RunError:
    return RunError(f"cannot push to '{repository}' on the Hub: {why}.\n  {remedy}")


def listing(package: Package) -> list[tuple[str, str]]:
    """The files that are sent, with their sizes."""
    return [(name, size(count)) for name, count in package.sizes().items()]
