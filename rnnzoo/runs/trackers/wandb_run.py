"""A run of Weights & Biases, opened as the recipe, the environment and this machine allow."""

from __future__ import annotations

import contextlib
import logging
import netrc
import os
import sys
import types
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs.trackers.base import TrackedRun
from rnnzoo.runs.trackers.guard import first_line
from rnnzoo.system.network import PORTS, connects
from rnnzoo.system.redaction import redact

if TYPE_CHECKING:
    import wandb

PROBE_SECONDS = 1.5  # for the server to answer a connection
INIT_SECONDS = 3.0  # for W&B to open a run, where it was not asked for by name
ASKED_INIT_SECONDS = 30.0  # where it was
FINISH_SECONDS = 20.0  # for what is left to upload; the rest stays on disk, for `wandb sync`
PROJECT = "rnnzoo"  # where nobody names one
FROM_FOLDER = {"project", "entity", "mode", "run_group", "run_name", "run_tags", "run_notes"}  # of ./wandb/settings
log = logging.getLogger("rnnzoo")


def open_run(options: TrackingOptions, run: TrackedRun, config: Recipe, name: str) -> wandb.Run | None:
    """An open W&B run, online where that is asked for and possible, else offline; None if disabled."""
    if "disabled" in (options.mode, os.environ.get("WANDB_MODE")):
        return None
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when W&B's service starts: offline means no network
    import wandb

    session = wandb.setup(wandb.Settings(silent=True)).settings
    distrust(session, run.path)
    mode = _mode(options, session)
    if mode == "disabled":
        return None
    opening = partial(_open, options=options, run=run, config=config, name=name)
    online = _open_online(mode, session, opening) if mode != "offline" else None
    return online or opening("offline", ASKED_INIT_SECONDS)


def _open_online(mode: str, session: wandb.Settings, opening: Callable[..., wandb.Run]) -> wandb.Run | None:
    """None where there is no key, or the server does not work."""
    try:
        if reachable(session):
            return opening("online", ASKED_INIT_SECONDS if mode == "online" else INIT_SECONDS)
        if mode == "online":
            log.warning("W&B: there is no API key (`wandb login` stores one). Logging offline.")
    except Exception as error:  # a tracker is a plugin: W&B's code may raise anything
        log.warning("W&B: %s. Logging offline; `wandb sync` uploads it later.", first_line(error))
    return None


def _open(
    mode: Literal["online", "offline"],
    seconds: float,
    options: TrackingOptions,
    run: TrackedRun,
    config: Recipe,
    name: str,
) -> wandb.Run:
    """seconds: how long opening may take. name: what the run is called where nobody has named it."""
    import wandb

    settings: dict[str, Any] = {
        "silent": True,
        "console": "off",
        "init_timeout": seconds,
        "finish_timeout": FINISH_SECONDS,
        "save_code": False,
        "disable_git": True,
        "x_disable_meta": True,  # metadata holds the command line
        "x_save_requirements": False,
        "host": "",
        "program": "rnnzoo",  # not the path of the script
    }
    session = wandb.setup().settings
    with _without_launcher():
        return wandb.init(  # what is None is as the session has it, from the environment or a settings file
            project=options.project or session.project or PROJECT,
            group=options.group,
            job_type=options.job_type or session.run_job_type or run.job_type,
            notes=options.notes,
            name=options.run_name or session.run_name or name,
            tags=list(options.tags) or None,
            entity=options.entity,
            dir=None if os.environ.get("WANDB_DIR") else run.path,
            config=redact(config),
            id=run.wandb_id,
            resume="allow" if run.wandb_id else None,
            mode=mode,
            reinit="create_new",  # never the run that someone else in this process, or a broken one, has left open
            settings=wandb.Settings(**{k: v for k, v in settings.items() if k in wandb.Settings.model_fields}),
        )


@contextlib.contextmanager
def _without_launcher() -> Iterator[None]:
    """Spare W&B the second that the import of its launcher takes, of which it only asks for inputs staged by it."""
    name = "wandb.sdk.launch.inputs.internal"
    if name in sys.modules:  # without it nothing can have been staged
        yield
        return
    nothing = types.ModuleType(name)
    nothing.StagedLaunchInputs = lambda: types.SimpleNamespace(apply=lambda run: None)  # type: ignore[attr-defined]
    sys.modules[name] = nothing
    try:
        yield
    finally:
        sys.modules.pop(name, None)


def _mode(options: TrackingOptions, session: wandb.Settings) -> str:
    """As the environment says, or `wandb offline` or `wandb disabled` here, or the recipe."""
    asked = os.environ.get("WANDB_MODE") or (session.mode if session.mode in ("offline", "dryrun", "disabled") else "")
    return {"run": "online", "shared": "online", "dryrun": "offline"}.get(asked, asked) or options.mode


def distrust(session: wandb.Settings, elsewhere: Path) -> None:
    """Take back what a settings file of the current folder has set, but for names.

    Whoever wrote the folder wrote that file too: it must not choose the server that gets the user's key, nor a proxy.
    session: W&B's settings, changed in place. elsewhere: a folder without such a file.
    """
    import wandb

    trusted = wandb.Settings(root_dir=str(elsewhere))
    trusted.settings_system = session.settings_system
    here, users = session.read_system_settings().all(), trusted.read_system_settings().all()
    foreign = {key for key in here if here[key] != users.get(key)} - FROM_FOLDER
    if foreign:
        trusted.update_from_system_settings()
        trusted.update_from_env_vars(dict(os.environ))
        for key in foreign & type(trusted).model_fields.keys():
            setattr(session, key, getattr(trusted, key))


def reachable(settings: wandb.Settings) -> bool:
    """Whether there is an API key. Raises: ConnectionError if there is one and the server does not answer."""
    url = urlsplit(settings.base_url)
    in_environment = any(map(os.environ.get, ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")))
    if not (in_environment or settings.api_key or _in_netrc(url.netloc)):
        return False
    proxy = None if urllib.request.proxy_bypass(url.netloc) else urllib.request.getproxies().get(url.scheme)
    target = urlsplit(proxy) if proxy else url
    if not connects(target.hostname or "", target.port or PORTS.get(target.scheme, 443), PROBE_SECONDS):
        raise ConnectionError(f"{target.hostname} does not answer")
    return True


def _in_netrc(host: str) -> bool:
    path = os.environ.get("NETRC")
    for file in [path] if path else ["~/.netrc", "~/_netrc"]:
        with contextlib.suppress(OSError, netrc.NetrcParseError):
            if netrc.netrc(os.path.expanduser(file)).authenticators(host):
                return True
    return False
