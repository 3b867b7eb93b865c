"""Weights & Biases as a tracker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs.folder import Run
from rnnzoo.runs.summary import TrackerPlace
from rnnzoo.runs.trackers.base import Tracker
from rnnzoo.runs.trackers.wandb_run import first_line, open_run
from rnnzoo.system.plain import plain

if TYPE_CHECKING:
    import wandb

FAILED = "W&B failed: %s. The run continues without it; its metrics file is complete."
log = logging.getLogger("rnnzoo")


class Wandb(WandbLogger, Tracker):
    """Lightning's W&B logger, silent after W&B's first failure.

    A name means one thing: `train/*`, `val/*` and `test/*` are curves by step, and in W&B's summary their last values;
    `best/*`, in the summary alone, are the dev scores of the checkpoint that was kept.
    """

    def __init__(self, run: wandb.Run, run_folder: Path) -> None:
        """run: an open W&B run. run_folder: where rnnzoo keeps the run."""
        super().__init__(experiment=run, save_dir=run.settings.wandb_dir, project=run.project, name=run.name, id=run.id)
        self.broken = False
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)  # the only one: of two that both
        # match a name, W&B takes either
        folder = Path(run.dir).parent
        home = folder.parent.parent  # the run's own folder, unless WANDB_DIR names another
        self._place: TrackerPlace = {"id": run.id, "mode": "offline" if run.offline else "online"}
        if run.offline:
            self._place["path"] = str(folder.relative_to(home) if home == run_folder else folder)
        else:
            self._place["url"] = run.url or ""

    @property
    def place(self) -> TrackerPlace:
        return self._place

    @rank_zero_only
    def log_hyperparams(self, params: object, *args: object, **kwargs: object) -> None:
        """Nothing: the config was given when the run was opened, once."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if not self.broken:
            self._attempt(lambda: super(Wandb, self).log_metrics(metrics, step))

    @rank_zero_only
    def log_picture(self, name: str, svg: str, step: int) -> None:
        import wandb

        self.log_metrics({name: wandb.Html(svg, inject=False)}, step)

    @rank_zero_only
    def summarise(self, scores: Mapping[str, float | None]) -> None:
        if not self.broken:
            self._attempt(lambda: self.experiment.summary.update(plain(dict(scores))))

    def close(self, ok: bool, timeout: float) -> None:
        """Close the run, waiting at most `timeout` seconds for its upload."""

        def work() -> None:
            import wandb

            finished = self._attempt(lambda: self.experiment.finish(exit_code=0 if ok else 1))
            if not finished:  # without a teardown, W&B's own exit handler fails with a traceback
                self._attempt(wandb.teardown)

        closing = threading.Thread(target=work, daemon=True)
        closing.start()
        closing.join(timeout)
        if closing.is_alive():
            self._break(TimeoutError(f"not finished within {timeout:g} s; `wandb sync` uploads the rest"))

    def _attempt(self, work: Callable[[], object]) -> bool:
        """Whether W&B did some work without failing."""
        try:
            work()
            return True
        except Exception as error:  # a tracker is a plugin: W&B's code may raise anything
            self._break(error)
            return False

    def _break(self, error: Exception) -> None:
        if not self.broken:
            log.warning(FAILED, first_line(error))
        self.broken = True


def make_wandb(options: TrackingOptions, run: Run, config: Recipe, name: str) -> Wandb | None:
    """The logger of an open W&B run; None if W&B is disabled, or fails."""
    try:
        opened = open_run(options, run, config, name)
        return Wandb(opened, run.path) if opened is not None else None
    except (Exception, SystemExit) as error:  # a tracker is a plugin: W&B's code may raise anything, and exit
        log.warning(FAILED, first_line(error))
        return None
