"""A test of a trained model in the trackers of its recipe: a run of its own, of job type `test`.

It has the name, the group and the config of the training's run, and names that run in its config, under `trained`.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from lightning.pytorch.callbacks import Callback

from rnnzoo.data.datamodule import ZooData
from rnnzoo.experiment import tracked
from rnnzoo.experiment.facts import run_facts, run_name
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.runs import predictions, tracking
from rnnzoo.runs.record import read_summary
from rnnzoo.runs.summary import Summary, well_formed
from rnnzoo.runs.trackers.base import TrackedRun
from rnnzoo.system import files
from rnnzoo.system.launcher import rank
from rnnzoo.system.redaction import redact
from rnnzoo.training.callbacks.predictions import Predictions
from rnnzoo.training.module import ZooModule

NAMED_BY_THE_TEST = ("job_type", "notes", "checkpoints")  # of a recipe's tracking: said of the training alone


class TrackedTest:
    """One test. run: the folder of the training's run. scratch: for what the test keeps of each example."""

    def __init__(self, run: Path, recipe: Recipe, scratch: Path) -> None:
        self.run, self.recipe, self.scratch = run, recipe, scratch

    def observers(self, data: ZooData) -> list[Callback]:
        """What keeps the results of single examples, as far as the recipe has them kept."""
        kept = self.recipe["tracking"]["predictions"]
        if kept == "none":
            return []
        data.prepare()
        file, task = self.scratch / predictions.FILE, self.recipe["task"]["name"]
        return [Predictions(file, task, data.fingerprint, data.scored_rows, kept == "all")]

    def log(self, module: ZooModule, data: ZooData, metrics: Mapping[str, float]) -> None:
        """Open the trackers, give them the scores, the tables and the plots, and close them. Never raises."""
        if rank() > 0:
            return
        trained = well_formed(read_summary(self.run))
        step = trained.get("steps", 0)
        facts: dict[str, Any] = {**run_facts(self.recipe, module, data), "metrics": dict(metrics), "steps": step}
        facts |= {"best": trained["best"]} if "best" in trained else {}
        summary = cast(Summary, facts)
        place = trained.get("wandb", {})
        link = {"run": trained.get("id", self.run.name)} | ({"wandb": place["id"]} if "id" in place else {})
        config = tracked.config(self.recipe, summary) | {"trained": link}
        name = f"test-{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}"
        loggers = tracking.make_trackers(
            TrackedRun(
                self.run,
                self.run / "trackers" / name,
                name,
                run_name(self.recipe),
                redact(config),
                tracking.options_of(self.recipe["tracking"]),
                step,
                job_type="test",
            )
        )
        ok = False
        try:
            tracking.use_data(loggers, config["facts"]["data"])
            for logger in loggers:
                logger.log_metrics(dict(metrics), step)
            tracked.attempt(loggers, self.scratch, summary)
            ok = True
        finally:
            tracking.finish(loggers, ok=ok)


@contextlib.contextmanager
def tracked_test(run: Path, recipe: Recipe, overrides: Mapping[str, Mapping[str, Any]]) -> Iterator[TrackedTest | None]:
    """A test to track; None where nothing tracks it.

    recipe: of the training's run. overrides: what is said now, on the command line, checked.
    """
    changed = {section: {**recipe[section], **changes} for section, changes in overrides.items()}
    own = {key: value for key, value in asdict(TrackingOptions()).items() if key in NAMED_BY_THE_TEST}
    options = {**asdict(TrackingOptions()), **recipe["tracking"], **own, **overrides.get("tracking", {})}
    no_wandb = "disabled" in (options["mode"], os.environ.get("WANDB_MODE"))
    if no_wandb and not options["also"]:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix=files.TEMPORARY) as scratch:
        yield TrackedTest(run, recipe | changed | {"tracking": options}, Path(scratch))
