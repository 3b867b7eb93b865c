"""What the Hub has: data sets of about a name, a repository's branches, the configurations of a data set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from rnnzoo.errors import DataError, nearest
from rnnzoo.system.console import inline
from rnnzoo.system.network import SECONDS, hub_errors, within

Answer = TypeVar("Answer")


def full_id(hub_id: str) -> str:
    """The id with its owner: the Hub still knows some data sets by their name alone.

    Raises: DataError for such a name that it does not know.
    """
    if "/" in hub_id:
        return hub_id
    from huggingface_hub import HfApi, constants

    found = _asked(lambda: HfApi().dataset_info(hub_id, timeout=constants.HF_HUB_ETAG_TIMEOUT).id)
    if found is None or "/" not in found:
        hint = like(hub_id)
        raise DataError(
            f"the id '{hub_id}' of a data set of the Hub has no owner.\n"
            + (f"  {hint}\n" if hint else "")
            + "  Write owner/name, as in fancyzhx/ag_news."
        )
    return str(found)


def like(hub_id: str) -> str:
    """A sentence with data sets of the Hub that have about this name; empty if none is found in time."""
    from huggingface_hub import HfApi

    name = hub_id.rpartition("/")[2]
    found = _asked(lambda: [item.id for item in HfApi().list_datasets(search=name, limit=5)])
    if not found:  # such as one with a letter too many
        found = _asked(
            lambda: [item.id for item in HfApi().list_datasets(search=name[: max(3, len(name) // 2)], limit=50)]
        )
    near = nearest(hub_id, found or ()) or next(iter(found or ()), None)
    return f"Did you mean '{inline(near, 100)}'?" if near else ""


def revisions(hub_id: str) -> str:
    """A sentence with a repository's branches and tags; empty if they are not told in time."""
    from huggingface_hub import HfApi

    refs = _asked(lambda: HfApi().list_repo_refs(hub_id, repo_type="dataset"))
    names = [] if refs is None else [ref.name for ref in (*refs.branches, *refs.tags)]
    return f"Found: {inline(', '.join(names[:20]), 200)}, and commits." if names else ""


def _asked(question: Callable[[], Answer]) -> Answer | None:
    """What the Hub answers, in time; None if it does not."""
    with contextlib.suppress(*hub_errors(), TimeoutError):
        return within(SECONDS, question, hub_errors())
    return None


def wrong_config(hub_id: str, revision: str | None, config_name: str | None) -> DataError | None:
    """The message for a configuration that there is not, or none where there are several; None if that is not it."""
    from datasets import get_dataset_config_names
    from datasets.exceptions import DatasetsError

    names: list[str] = []
    with contextlib.suppress(*hub_errors(), DatasetsError):  # whatever kept the data set from being read
        names = list(get_dataset_config_names(hub_id, revision=revision))
    if not names:
        return None
    known = f"\n  Found: {inline(', '.join(names[:30]), 400)}{', ...' if len(names) > 30 else ''}."
    if config_name is None and len(names) > 1:
        return DataError(f"the data set '{hub_id}' has several configurations.{known}\n  Name one: config: {names[0]}.")
    if config_name is None or config_name in names:
        return None
    near = nearest(config_name, names)
    hint = f"\n  Did you mean '{near}'?" if near else ""
    return DataError(f"data.config: '{hub_id}' has no configuration '{config_name}'.{hint}{known}")
