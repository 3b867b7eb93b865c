"""Runs of a project on W&B's server, by W&B's public API, which is imported when it is used."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnzoo.compare.wandb_runs import Logged
from rnnzoo.errors import RunError, ZooError
from rnnzoo.runs.trackers.wandb_run import distrust, first_line, reachable
from rnnzoo.system.console import inline

if TYPE_CHECKING:
    import wandb

SECONDS = 30  # for an answer
MOST = 2000  # runs of a project that are read
PAGE = 100  # runs in an answer
PROJECT = re.compile(r"[\w.-]{1,128}/[\w .-]{1,128}")


def split_project(project: str) -> tuple[str, str]:
    """The entity and the project of "ENTITY/PROJECT". Raises: ZooError."""
    if not PROJECT.fullmatch(project):
        raise ZooError(f"--wandb: takes ENTITY/PROJECT, got '{inline(project, 80)}'.\n  As in: --wandb team/rnnzoo")
    entity, _, name = project.partition("/")
    return entity, name


def connect() -> wandb.Api:
    """W&B's API, by the key and the server that the user has set. Raises: ZooError that says what is missing."""
    import wandb

    session = wandb.setup(wandb.Settings(silent=True)).settings
    with tempfile.TemporaryDirectory() as empty:
        distrust(session, Path(empty))
    try:
        if not reachable(session):
            raise ZooError(
                f"there is no API key for W&B's server {inline(session.base_url, 80)}.\n"
                "  `wandb login` stores one; a run's folder or its .wandb file needs none: rnnzoo compare FILE.wandb"
            )
        return wandb.Api(timeout=SECONDS, overrides={"base_url": session.base_url})
    except ZooError:
        raise
    except ConnectionError as error:
        raise ZooError(
            f"W&B's server is not there: {first_line(error)}.\n  Without a network: rnnzoo compare FILE.wandb"
        ) from error
    except Exception as error:  # a tracker is a plugin: W&B's code may raise anything
        raise failure(error, "the key") from error


def failure(error: Exception, what: str) -> ZooError:
    """What W&B's API says of a request, in a sentence and with what helps."""
    text = first_line(error)
    if re.search(r"401|unauthori[sz]ed|403|permission|relogin|not logged in|invalid api key", text, re.IGNORECASE):
        return ZooError(f"W&B's server refuses the API key: {text}.\n  `wandb login --relogin` stores another one.")
    if re.search(r"could not find project|404|not found", text, re.IGNORECASE):
        return ZooError(
            f"W&B's server knows nothing of {what}: {text}.\n  The form is ENTITY/PROJECT, as in its address."
        )
    return ZooError(f"W&B's server does not give {what}: {text}.")


def read_project(project: str) -> list[Logged]:
    """The runs of "ENTITY/PROJECT", the oldest first; their history is asked for when it is read.

    Raises: ZooError where there is no key, no network, no such project, or the project is too large.
    """
    split_project(project)
    api = connect()
    found: list[Logged] = []
    try:
        for run in api.runs(project, order="+created_at", per_page=PAGE, lazy=False):
            if len(found) == MOST:
                raise ZooError(f"{project} has more than {MOST:,} runs: compare the runs' folders instead.")
            found.append(_logged(project, run))
    except ZooError:
        raise
    except Exception as error:  # a tracker is a plugin: W&B's code may raise anything
        raise failure(error, project) from error
    return found


def _logged(project: str, run: Any) -> Logged:
    def history() -> list[dict[str, object]]:
        try:
            return [dict(row) for row in run.scan_history(use_cache=False)]
        except Exception as error:  # a tracker is a plugin: W&B's code may raise anything
            raise RunError(f"W&B's server does not give the history of {run.id}: {first_line(error)}.") from error

    ended = {"finished": 0, "running": None, "pending": None, "preempting": None}
    return Logged(
        id=str(run.id),
        path=Path(project, str(run.id)),
        name=str(run.name or run.id),
        started=str(run.created_at or ""),
        config=dict(run.config),
        summary=dict(run.summary_metrics or {}),
        exit_code=ended.get(run.state, 1),
        notes=[] if run.state in ended else [f"W&B calls it {inline(str(run.state), 40)}"],
        read_history=history,
    )
