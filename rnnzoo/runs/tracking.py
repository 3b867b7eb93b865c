"""Where a run's numbers go: always a file of JSON lines, which is the truth; Weights & Biases too, where it can.

A tracker never stops, delays by more than seconds, or changes a training: its first failure is one warning.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import netrc
import os
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs.folder import Run
from rnnzoo.runs.summary import TrackerPlace
from rnnzoo.system.network import PORTS, connects
from rnnzoo.system.plain import plain
from rnnzoo.system.redaction import redact

PROBE_SECONDS = 1.5  # for the server to answer a connection
INIT_SECONDS = 3.0  # for W&B to open a run, where it was not asked for by name
ASKED_INIT_SECONDS = 30.0  # where it was
FINISH_SECONDS = 20.0  # for what is left to upload; the rest stays on disk, for `wandb sync`
PROJECT = "rnnzoo"  # where nobody names one
FROM_FOLDER = {"project", "entity", "mode", "run_group", "run_name", "run_tags", "run_notes"}  # of ./wandb/settings
log = logging.getLogger("rnnzoo")


def make_loggers(options: Mapping[str, Any], run: Run, config: dict[str, Any], name: str | None = None) -> list[Logger]:
    """The loggers of a run: its metrics file, and W&B unless its mode is disabled or it fails.

    options: the recipe's, see `TrackingOptions`. config: the resolved recipe; secrets are taken out. name: what W&B
    calls a run that nobody has named. What the recipe leaves open is as W&B's environment says (WANDB_PROJECT, ...) or
    the settings of `wandb init`, and a default only after these. WANDB_MODE alone goes before the recipe's mode, as it
    is about the machine; disabled always holds.
    """
    chosen = TrackingOptions(**redact(dict(options)))
    loggers: list[Logger] = [MetricsFile(run.metrics)]
    if run.writer:
        wandb_logger = _wandb_logger(chosen, run, config, name or run.id)
        loggers += [wandb_logger] if wandb_logger else []
    return loggers


def where(loggers: Sequence[Logger]) -> TrackerPlace:
    """For the summary: W&B's run id and mode, and its url (online) or its folder in the run's folder (offline)."""
    return next((item.place for item in loggers if isinstance(item, Wandb)), TrackerPlace(mode="disabled"))


def finish(loggers: Sequence[Logger], ok: bool = True, timeout: float = FINISH_SECONDS) -> None:
    """Close the W&B run, waiting at most `timeout` seconds for its upload. For a `finally`; never raises."""
    for item in loggers:
        if isinstance(item, Wandb):
            item.finish(ok, timeout)


def summarise(loggers: Sequence[Logger], scores: Mapping[str, float | None]) -> None:
    """Put a finished run's scores into W&B's summary: `best/*` and `test/*`, of the checkpoint kept. Never raises."""
    for item in loggers:
        if isinstance(item, Wandb):
            item.summarise(scores)


def draw(loggers: Sequence[Logger], name: str, svg: str, step: int) -> None:
    """Keep a picture: in the run's folder, as pictures/<name>-<step>.svg, and in W&B. Rank 0 only; never raises."""
    for item in loggers:
        if isinstance(item, (MetricsFile, Wandb)):
            item.log_picture(name, svg, step)


class MetricsFile(Logger):
    """Appends a JSON line per call: step, epoch, time (seconds since the start) and the metrics; rank 0 only.

    NaN and infinity are null, told in the line's "not_finite". The file is open only while a line is written, so
    what was logged is there whatever happens next. A disk that is full is one warning.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._start = time.monotonic()
        self._warned = False

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def version(self) -> str:
        return self.path.parent.name

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's config.yaml holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        values = {name: float(value) for name, value in metrics.items() if name != "epoch"}
        bad = {name: str(value) for name, value in values.items() if not math.isfinite(value)}
        epoch = int(metrics["epoch"]) if "epoch" in metrics else None
        line = {"step": step, "epoch": epoch, "time": round(time.monotonic() - self._start, 3), **values}
        text = json.dumps(plain(line | ({"not_finite": bad} if bad else {})), allow_nan=False)
        self._write(self.path, text + "\n")

    @rank_zero_only
    def log_picture(self, name: str, svg: str, step: int) -> None:
        path = self.path.parent / "pictures" / f"{name}-{step:06}.svg"
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
        self._write(path, svg)

    def _write(self, path: Path, text: str) -> None:
        try:
            with open(path, "a", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except OSError as error:
            if not self._warned:
                log.warning("metrics are not written to %s: %s. The run goes on.", path, error.strerror)
            self._warned = True


class Wandb(WandbLogger):
    """Lightning's W&B logger that survives W&B: after its first failure it is silent.

    A name means one thing: `train/*`, `val/*` and `test/*` are curves by step, and in W&B's summary their last values;
    `best/*`, in the summary alone, are the dev scores of the checkpoint that was kept.
    """

    def __init__(self, run: Any, run_folder: Path) -> None:
        """run: an open W&B run. run_folder: where rnnzoo keeps the run."""
        super().__init__(experiment=run, save_dir=run.settings.wandb_dir, project=run.project, name=run.name, id=run.id)
        self.broken = False
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)  # the only one: of two that both
        # match a name, W&B takes either
        folder = Path(run.dir).parent
        home = folder.parent.parent  # the run's own folder, unless WANDB_DIR names another
        path = str(folder.relative_to(home) if home == run_folder else folder)
        self.place: TrackerPlace = {"id": run.id, "mode": "offline" if run.offline else "online"}
        if run.offline:
            self.place["path"] = path
        else:
            self.place["url"] = run.url

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the config was given when the run was opened, once."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if not self.broken:
            try:
                super().log_metrics(metrics, step)
            except Exception as error:
                self._break(error)

    @rank_zero_only
    def log_picture(self, name: str, svg: str, step: int) -> None:
        import wandb

        self.log_metrics({name: wandb.Html(svg, inject=False)}, step)

    @rank_zero_only
    def summarise(self, scores: Mapping[str, float | None]) -> None:
        if not self.broken:
            try:
                self.experiment.summary.update(plain(dict(scores)))
            except Exception as error:
                self._break(error)

    def finish(self, ok: bool, timeout: float) -> None:
        def close() -> None:
            try:
                self.experiment.finish(exit_code=0 if ok else 1)
            except Exception as error:
                self._break(error)
                with contextlib.suppress(Exception):  # or W&B's own exit handler fails with a traceback
                    import wandb

                    wandb.teardown()

        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(timeout)
        if closing.is_alive():
            self._break(TimeoutError(f"not finished within {timeout:g} s; `wandb sync` uploads the rest"))

    def _break(self, error: Exception) -> None:
        if not self.broken:
            log.warning("W&B failed: %s. The run goes on without it; its metrics file is complete.", _line(error))
        self.broken = True


def _wandb_logger(options: TrackingOptions, run: Run, config: dict[str, Any], name: str) -> Wandb | None:
    if "disabled" in (options.mode, os.environ.get("WANDB_MODE")):
        return None
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when W&B's service starts: offline means no network
    try:
        import wandb

        session = wandb.setup(wandb.Settings(silent=True)).settings
        _distrust(session, run.path)
        mode = _mode(options, session)
        if mode == "disabled":
            return None
        if mode != "offline":
            try:
                if _reachable(session):
                    seconds = ASKED_INIT_SECONDS if mode == "online" else INIT_SECONDS
                    return _open("online", seconds, options, run, config, name)
                if mode == "online":
                    log.warning("W&B: there is no API key (`wandb login` stores one). Logging offline.")
            except Exception as error:
                log.warning("W&B: %s. Logging offline; `wandb sync` uploads it later.", _line(error))
        return _open("offline", ASKED_INIT_SECONDS, options, run, config, name)
    except (Exception, SystemExit) as error:
        log.warning("W&B failed: %s. The run goes on without it; its metrics file is complete.", _line(error))
        return None


def _mode(options: TrackingOptions, session: Any) -> str:
    """As the environment says, or `wandb offline` or `wandb disabled` here, or the recipe."""
    asked = os.environ.get("WANDB_MODE") or (session.mode if session.mode in ("offline", "dryrun", "disabled") else "")
    return {"run": "online", "shared": "online", "dryrun": "offline"}.get(asked, asked) or options.mode


def _distrust(session: Any, elsewhere: Path) -> None:
    """Take back what a settings file of the current folder has set, but for names.

    Whoever wrote the folder wrote that file too: it is not to say which server gets the user's key, nor by which way.
    session: W&B's settings, changed in place. elsewhere: a folder without such a file.
    """
    import wandb

    own = wandb.Settings(root_dir=str(elsewhere))
    own.settings_system = session.settings_system
    local, users = session.read_system_settings().all(), own.read_system_settings().all()
    strange = {key for key in local if local[key] != users.get(key)} - FROM_FOLDER
    if strange:
        own.update_from_system_settings()
        own.update_from_env_vars(dict(os.environ))
        for key in strange & type(own).model_fields.keys():
            setattr(session, key, getattr(own, key))


def _open(
    mode: Literal["online", "offline"],
    seconds: float,
    options: TrackingOptions,
    run: Run,
    config: dict[str, Any],
    name: str,
) -> Wandb:
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
    }
    session = wandb.setup().settings
    opened = wandb.init(  # what is None is as the session has it, from the environment or a settings file
        project=options.project or session.project or PROJECT,
        group=options.group,
        name=options.run_name or session.run_name or name,
        tags=list(options.tags) or None,
        entity=options.entity,
        dir=None if os.environ.get("WANDB_DIR") else run.path,
        config=redact(config),
        mode=mode,
        reinit="create_new",  # never the run that someone else in this process, or a broken one, has left open
        settings=wandb.Settings(**{k: v for k, v in settings.items() if k in wandb.Settings.model_fields}),
    )
    return Wandb(opened, run.path)


def _reachable(settings: Any) -> bool:
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


def _line(error: BaseException) -> str:
    text = str(redact(str(error))).strip()
    return (text.splitlines()[0].rstrip(".") if text else type(error).__name__)[:200]
