"""Weights & Biases as a tracker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from rnnzoo.runs.folder import slug
from rnnzoo.runs.summary import TrackerPlace
from rnnzoo.runs.trackers.base import TrackedRun, Tracker
from rnnzoo.runs.trackers.wandb_run import open_run
from rnnzoo.system.plain import plain

if TYPE_CHECKING:
    import wandb


class Wandb(WandbLogger, Tracker):
    """Lightning's W&B logger.

    A name means one thing: `train/*`, `val/*` and `test/*` are curves by step, and in W&B's summary their last values;
    `best/*`, in the summary alone, are the dev scores of the checkpoint that was kept.
    """

    unfinished = "`wandb sync` uploads the rest"

    def __init__(self, run: wandb.Run, run_folder: Path) -> None:
        """run: an open W&B run. run_folder: where rnnzoo keeps the run."""
        super().__init__(experiment=run, save_dir=run.settings.wandb_dir, project=run.project, name=run.name, id=run.id)
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
    def log_picture(self, name: str, svg: str, step: int) -> None:
        import wandb

        self.log_metrics({name: wandb.Html(svg, inject=False)}, step)  # type: ignore[dict-item]

    @rank_zero_only
    def log_table(  # type: ignore[override]  # Lightning's logger has a method of the same name
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], step: int
    ) -> None:
        import wandb

        table = wandb.Table(columns=list(columns), data=[list(row) for row in rows], allow_mixed_types=True)
        self.log_metrics({name: table}, step)  # type: ignore[dict-item]

    @rank_zero_only
    def log_checkpoint(self, folder: Path, aliases: Sequence[str], metadata: Mapping[str, object]) -> None:
        """As an artifact that names the files where they are, or has copies where the run deletes them later."""
        import wandb

        artifact = wandb.Artifact(f"model-{self.experiment.id}", "model", metadata=dict(metadata))
        for path in sorted(folder.iterdir()):
            artifact.add_file(str(path), path.name, policy="immutable" if metadata.get("final") else "mutable")
        self.experiment.log_artifact(artifact, aliases=list(aliases))

    @rank_zero_only
    def use_data(self, identity: Mapping[str, object]) -> None:
        """As an input artifact that holds the identity alone. Offline W&B knows no inputs: there the config has it."""
        import wandb

        if self.experiment.offline:
            return
        artifact = wandb.Artifact(slug(str(identity.get("id") or "data")), "dataset", metadata=dict(identity))
        with artifact.new_file("identity.json") as file:
            json.dump(identity, file, indent=2)
        self.experiment.use_artifact(artifact)

    @rank_zero_only
    def summarise(self, facts: Mapping[str, object]) -> None:
        self.experiment.summary.update(plain(dict(facts)))

    def close(self, ok: bool, timeout: float) -> None:
        import wandb

        try:
            self.experiment.finish(exit_code=0 if ok else 1)
        except Exception:  # a tracker is a plugin: W&B's code may raise anything
            wandb.teardown()  # else W&B's own exit handler fails with a traceback
            raise


def open_wandb(run: TrackedRun) -> Wandb | None:
    """Weights & Biases, online or offline as `tracking.mode` and W&B's environment say; None if it is disabled."""
    opened = open_run(run.options, run, run.config, run.name)
    return Wandb(opened, run.path) if opened is not None else None
