"""Data sets of the Hugging Face Hub."""

from __future__ import annotations

import logging
import os
import re
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from rnnzoo.data.base import Columns, Source
from rnnzoo.data.sources.hub_names import like, revisions, wrong_config
from rnnzoo.errors import DataError, Unavailable
from rnnzoo.system.console import inline
from rnnzoo.system.network import answers, hub_errors
from rnnzoo.system.redaction import without_secrets

log = logging.getLogger("rnnzoo")
CONVERTED = "refs/convert/parquet"  # the branch in which the Hub keeps each data set as tables
NO_SCRIPTS = "scripts are no longer supported"  # what `datasets` says of a repository that has one
COMMIT = re.compile(r"[0-9a-f]{40}")


class HubSource(Source):
    """A data set of the Hub. A subclass says which, and turns its rows into columns.

    hub_id, config: the repository, and the configuration where it has several. default_revision: the branch to read,
    for repositories whose main branch holds a loading script, which `datasets` does not run.
    revision: the Hub's commit, branch or tag; the newest if not given.
    """

    hub_id: str
    config: str | None = None
    default_revision: ClassVar[str | None] = None

    def __init__(self, revision: str | None = None) -> None:
        self.revision = revision or self.default_revision
        self._commit: str | None = None

    def read(self) -> dict[str, Columns]:
        parts = load_hub(self.hub_id, self.revision, self.config)
        self._commit = commit_of(next(iter(parts.values())))
        return self.parts(parts)

    @abstractmethod
    def parts(self, parts: Any) -> dict[str, Columns]:
        """The columns of "train", "dev" and perhaps "test", of a `datasets.DatasetDict`."""

    def identity(self) -> dict[str, str | None]:
        return {"id": self.hub_id, "revision": self._commit or self.revision}


class _Problem(NamedTuple):
    """Why the Hub does not give a data set, whether that may pass in seconds, and what there is instead.

    final: no earlier download can be what was asked for.
    """

    why: str
    passing: bool = False
    hint: str = ""
    final: bool = False


def load_hub(hub_id: str, revision: str | None = None, config_name: str | None = None) -> Any:
    """The `datasets.DatasetDict` of a repository of the Hub, or of one of its configurations.

    Where the Hub does not answer, or with an error, an earlier download is read, with a warning.

    Raises: DataError if it can neither be fetched nor was fetched before.
    """
    if os.path.exists(hub_id):  # `datasets` would read that, and run on other data in silence
        raise DataError(
            f"'{hub_id}' in {Path.cwd()} has the name of a data set of the Hub, and would be read in its place.\n"
            "  Rename it, or start from another folder."
        )
    from datasets import config
    from datasets.exceptions import DatasetsError

    problem = None if config.HF_HUB_OFFLINE else _problem(hub_id, revision)
    offline = [config.HF_HUB_OFFLINE] if problem is None else [True, False][: 1 + problem.passing]
    causes: list[Exception] = []
    for try_offline in [] if problem is not None and problem.final else offline:
        try:
            parts = _load(hub_id, revision, config_name, try_offline)
        except (*hub_errors(), DatasetsError) as cause:
            if problem is None and revision is None and NO_SCRIPTS in str(cause):
                log.info("%s: its main branch has a script, which is not run; %s is read.", hub_id, CONVERTED)
                return load_hub(hub_id, CONVERTED, config_name)
            causes.append(cause)
            continue
        if problem is not None and try_offline:
            log.warning("%s: %s. An earlier download is read.", hub_id, problem.why)
            _check_commit(hub_id, revision, parts, problem)
        return parts
    if problem is None and (wrong := wrong_config(hub_id, revision, config_name)):
        raise wrong from causes[-1]
    raise Unavailable(
        f"cannot read the data set '{hub_id}, revision {revision or 'main'}' from the Hub: "
        f"{problem.why if problem else _first_line(causes[-1])}.\n"
        f"{f'  {problem.hint}{chr(10)}' if problem and problem.hint else ''}"
        "  Check the network and the revision, or try again later.\n"
        f"  Earlier downloads are in {config.HF_CACHE_HOME}; HF_HUB_OFFLINE=1 reads them without asking the Hub.\n"
        "  Without a network: `name: text_files` reads your own files, and `rnnzoo fit quickstart` needs none."
    ) from (causes[-1] if causes else None)


def _problem(hub_id: str, revision: str | None) -> _Problem | None:
    """Why the Hub does not give a data set, by one short question: its clients retry each of theirs for long."""
    from huggingface_hub import HfApi, constants, errors

    endpoint = without_secrets(constants.ENDPOINT)
    if not answers(constants.ENDPOINT):
        return _Problem(f"{endpoint} does not answer")
    try:
        HfApi().dataset_info(hub_id, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except errors.RevisionNotFoundError:
        return _Problem(
            f"{endpoint} has no such revision", hint=revisions(hub_id), final=not COMMIT.fullmatch(revision or "")
        )
    except errors.GatedRepoError:
        return _Problem("its owner asks to accept conditions; accept them on its page, then `hf auth login`")
    except errors.RepositoryNotFoundError:
        return _Problem(f"{endpoint} has none, or it is private", hint=like(hub_id))
    except hub_errors() as error:
        slow = "Timeout" in type(error).__name__  # whichever HTTP library it is
        return _Problem(f"{endpoint} does not answer in time" if slow else _first_line(error), passing=not slow)
    return None


def _load(hub_id: str, revision: str | None, config_name: str | None, offline: bool) -> Any:
    from datasets import config, disable_progress_bars, load_dataset

    disable_progress_bars()
    client = logging.getLogger("huggingface_hub")
    was_offline, level = config.HF_HUB_OFFLINE, client.level
    try:
        config.HF_HUB_OFFLINE = offline
        client.setLevel(logging.ERROR)  # it says each time that it tries again
        return load_dataset(hub_id, config_name, revision=revision)
    finally:
        config.HF_HUB_OFFLINE = was_offline
        client.setLevel(level)


def _check_commit(hub_id: str, revision: str | None, parts: Any, problem: _Problem) -> None:
    """Refuse an earlier download of another commit than the one asked for. Raises: DataError."""
    found = commit_of(next(iter(parts.values())))
    if COMMIT.fullmatch(revision or "") and found != revision:
        raise DataError(
            f"the data set '{hub_id}' was fetched before, but not in revision {revision}: found {found}.\n"
            f"  {problem.why}; try again later, or leave the revision out."
        )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {inline(without_secrets((str(error).splitlines() or [''])[0].rstrip('.')), 200)}"


def commit_of(rows: Any) -> str | None:
    """The Hub's commit that a loaded `datasets.Dataset` is from, as its cache folder is named; None if it is not."""
    for file in rows.cache_files:
        name = Path(file["filename"]).parent.name
        if COMMIT.fullmatch(name):
            return name
    return None
