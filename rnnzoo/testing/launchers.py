"""What every launcher promises. Nothing is trained: the processes print a version, or make a mistake."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from rnnzoo import registry
from rnnzoo.launchers.base import Job, Launcher
from rnnzoo.system.files import TEMPORARY
from rnnzoo.testing.base import NotApplicable, checks_in
from rnnzoo.testing.buildable import check_builds_from_json
from rnnzoo.testing.subject import Subject

CANARY = "canary0123456789abcdef0123456789abcdef02"  # of a secret


class LauncherSubject(Subject):
    """A launcher under test, with its settings."""

    kind = "launchers"

    def build(self) -> Launcher:
        """Raises: NotApplicable if it lacks settings or packages."""
        if self.missing_parameters:
            raise NotApplicable(f"no value is given for {', '.join(self.missing_parameters)}")
        for module in getattr(self.maker, "requires", {}):
            if importlib.util.find_spec(module.partition(".")[0]) is None:
                raise NotApplicable(f"{module} is not installed")
        launcher = registry.make(self.maker, self.parameters)
        self.require(isinstance(launcher, Launcher), f"expected a rnnzoo.Launcher, found {type(launcher)}")
        return launcher

    def has(self, method: str) -> bool:
        return getattr(self.maker, method, None) is not getattr(Launcher, method)


def job(*words: str) -> Job:
    """A run that is a command of one process."""
    folder = Path(tempfile.gettempdir()).resolve()
    return Job(words, "made-up", folder / f"{TEMPORARY}no-run", folder)


def check_it_prints_or_starts(subject: LauncherSubject) -> str:
    """It has `script`, or `run`, or both."""
    here = [method for method in ("script", "run") if subject.has(method)]
    subject.require(bool(here), "expected a method script or run, found neither")
    return " and ".join(here)


def check_its_script_runs_the_jobs_words(subject: LauncherSubject) -> None:
    """The same job gives the same text, which holds the job's words, the job's folder and no secret of the machine."""
    if not subject.has("script"):
        raise NotApplicable("it prints no script")
    asked = job("fit", "quickstart", "--run_dir", "a place", "--resume", "auto")
    os.environ["WANDB_API_KEY"], before = CANARY, os.environ.get("WANDB_API_KEY")
    try:
        texts = [subject.build().script(asked) for _ in range(2)]
    finally:
        os.environ.pop("WANDB_API_KEY") if before is None else os.environ.update(WANDB_API_KEY=before)
    subject.require(texts[0] == texts[1], "expected the same script for the same job, found another")
    subject.require(asked.line.partition(" ")[2] in texts[0], f"expected the words {asked.line} in the script")
    subject.require(str(asked.folder) in texts[0], f"expected the folder {asked.folder} in the script")
    subject.require(CANARY not in texts[0], "expected no secret in the script, found one of the environment")


def check_it_gives_the_exit_code_of_its_process(subject: LauncherSubject) -> None:
    """0 for a command that ends well, and the command's own code for a mistake, here 2."""
    if not subject.has("run"):
        raise NotApplicable("it starts no processes")
    for words, wanted in ((("--version",), 0), (("fit", "no such recipe"), 2)):
        code = subject.build().run(job(*words))
        subject.require(code == wanted, f"expected the exit code {wanted} of {' '.join(words)}, found {code}")


SUBJECT = LauncherSubject
CHECKS = (check_builds_from_json, *checks_in(sys.modules[__name__]))
