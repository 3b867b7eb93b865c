"""Data sets of the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from rnnzoo.data.base import Columns, Source
from rnnzoo.errors import DataError, Unavailable
from rnnzoo.system.network import answers, hub_errors


class HubSource(Source):
    """A data set of the Hub. A subclass says which, and turns its rows into columns.

    hub_id, config: the repository, and the configuration where it has several. default_revision: the branch to read,
    for repositories whose main branch holds a loading script, which `datasets` does not run.
    revision: the Hub's commit, branch or tag; the newest if not given.
    """

    hub_id: ClassVar[str]
    config: ClassVar[str | None] = None
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


def load_hub(hub_id: str, revision: str | None = None, config_name: str | None = None) -> Any:
    """The `datasets.DatasetDict` of a repository of the Hub, or of one of its configurations.

    A Hub that does not answer is not waited for.

    Raises: DataError if it can neither be fetched nor was fetched before.
    """
    if os.path.exists(hub_id):  # `datasets` would read that, and run on other data in silence
        raise DataError(
            f"'{hub_id}' in {Path.cwd()} has the name of a data set of the Hub, and would be read in its place.\n"
            "  Rename it, or start from another folder."
        )
    from datasets import config, disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    was_offline = config.HF_HUB_OFFLINE
    reached = was_offline or answers(config.HF_ENDPOINT)
    try:
        config.HF_HUB_OFFLINE = was_offline or not reached  # or its clients retry, each of them for half a minute
        parts = load_dataset(hub_id, config_name, revision=revision)
    except (*hub_errors(), DatasetsError) as cause:
        first = f"{type(cause).__name__}: {(str(cause).splitlines() or [''])[0].rstrip('.'):.200}"
        why = first if reached else f"{config.HF_ENDPOINT} does not answer"
        raise Unavailable(
            f"cannot read the data set '{hub_id}, revision {revision or 'main'}' from the Hub: {why}.\n"
            f"  Check the network and the revision. Earlier downloads are kept in {config.HF_DATASETS_CACHE}.\n"
            "  Without a network: `name: text_files` reads your own files, and `rnnzoo fit quickstart` needs none."
        ) from cause
    finally:
        config.HF_HUB_OFFLINE = was_offline
    found = commit_of(next(iter(parts.values())))
    if not reached and re.fullmatch(r"[0-9a-f]{40}", revision or "") and found != revision:
        raise DataError(
            f"the data set '{hub_id}' was fetched before, but not in revision {revision}: found {found}.\n"
            f"  {config.HF_ENDPOINT} does not answer; try again when it does, or leave the revision out."
        )
    return parts


def commit_of(rows: Any) -> str | None:
    """The Hub's commit that a loaded `datasets.Dataset` is from, as its cache folder is named; None if it is not."""
    for file in rows.cache_files:
        name = Path(file["filename"]).parent.name
        if re.fullmatch(r"[0-9a-f]{40}", name):
            return name
    return None
