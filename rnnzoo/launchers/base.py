"""What every launcher is: it prints the script that starts a run elsewhere, or starts the run's processes itself.

A launcher runs the same command as a user does, `rnnzoo fit RECIPE --run_dir DIR --resume auto ...`, once in each
process. It decides where; never what is computed.
"""

from __future__ import annotations

import shlex
import sys
from abc import ABC
from dataclasses import dataclass
from pathlib import Path

from rnnzoo.errors import ZooError


@dataclass(frozen=True)
class Job:
    """A run to be started, whose recipe has been resolved: it holds no mistake that can be known here.

    words: of the command after `rnnzoo`. They name the folder of the run, go on with what is in it (`--resume auto`),
    and say how many processes there are (`--trainer.devices`, `--trainer.num_nodes`): each process runs the same words.
    name: of the recipe. run_dir: of the run, as in `words`; paths are relative to `folder`, an absolute path.
    nodes, devices: how many machines, and how many processes on each.
    """

    words: tuple[str, ...]
    name: str
    run_dir: Path
    folder: Path
    nodes: int = 1
    devices: int = 1

    @property
    def command(self) -> tuple[str, ...]:
        """The command of one process on this machine, by this Python."""
        return (sys.executable, "-m", "rnnzoo", *self.words)

    @property
    def line(self) -> str:
        """The command as a shell reads it, on any machine: `rnnzoo fit ...`."""
        return shlex.join(["rnnzoo", *self.words])


class Launcher(ABC):  # noqa: B024  # a launcher has either of two methods
    """Prints a script, or starts processes, or both; the other method is left as it is here.

    Its parameters are its settings, `--launch.KEY VALUE`. requires: modules that it needs beside its own package, each
    with what to install.
    """

    requires: dict[str, str] = {}  # noqa: RUF012

    def script(self, job: Job) -> str:
        """What `rnnzoo launch` prints: a file, or lines, that run the job's words in `job.folder`.

        The same job gives the same script. Raises: ZooError if it only starts processes, or lacks a setting.
        """
        raise ZooError(f"{type(self).__name__} prints no script.\n  It starts the processes: rnnzoo fit --launch.")

    def run(self, job: Job) -> int:
        """Start the job's processes and wait for them, as `rnnzoo fit --launch` does.

        A request to stop goes on to them. Returns the exit code of the process that failed first; 0 if none did; 128
        plus the number of a signal that ended it. Raises: ZooError if it only prints a script, or cannot start them.
        """
        raise ZooError(f"{type(self).__name__} starts no processes.\n  It prints a script for them: rnnzoo launch.")
