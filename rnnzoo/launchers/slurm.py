"""SLURM: the script of a job that trains on several machines, and is queued again until the run is finished."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

from rnnzoo.errors import RecipeError
from rnnzoo.launchers.base import Job, Launcher
from rnnzoo.launchers.torchrun import Port
from rnnzoo.limits import Limit, checked

TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):([0-5]\d):([0-5]\d)", re.ASCII)
WORD = re.compile(r"[^\x00-\x20\x7f-\x9f]+")  # of a line of #SBATCH, which ends at a line's end
STARTS = {  # the settings that are an option of sbatch with a word behind it, and an example of it
    "partition": "gpu-long",
    "account": "my-project",
    "qos": "normal",
    "memory": "64G",
    "gpus": "a100:4",
    "output": "/shared/logs/%x-%j.out",
}
OPTIONS = {"memory": "mem", "gpus": "gpus-per-node"}  # of sbatch, where the name is another one

WHERE = """\
# Where the processes meet: the first node's address as a number, as names may lead elsewhere on another node.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(scontrol show node "$first" | sed -n 's/.*NodeAddr=\\([^ ]*\\).*/\\1/p')
case "$address" in
  *:*) ;;
  *[!0-9.]*)
    address=$(getent ahostsv4 "$address" | awk '{print $1; exit}')
    case "$address" in '' | 127.*) address=$(hostname -I | awk '{print $1}') ;; esac ;;
esac
export MASTER_ADDR="${address:-$first}"
"""

AGAIN = """\
# 138 and 140: SLURM has warned (SIGUSR1, SIGUSR2), and the training state is saved. Any other code is the job's own.
code=$?
if [ "$code" -eq 138 ] || [ "$code" -eq 140 ]; then
  restarts="${SLURM_RESTART_COUNT:-0}"
  if [ "$restarts" -ge %(most)d ]; then
    echo "rnnzoo: job $SLURM_JOB_ID was queued again $restarts times, the most of --launch.requeues: it ends here." >&2
    echo "  The same script, submitted again, goes on from the last training state." >&2
  elif scontrol requeue "$SLURM_JOB_ID"; then
    echo "rnnzoo: job $SLURM_JOB_ID is queued again, $((restarts + 1)) of at most %(most)d times." >&2
  else
    echo "rnnzoo: job $SLURM_JOB_ID could not be queued again. The same script, submitted again, goes on." >&2
  fi
fi
exit "$code"
"""


class Slurm(Launcher):
    """Prints a script for sbatch: `srun rnnzoo fit --resume auto` on all nodes, queued again until the run is finished.

    time: limit of one job, "HH:MM:SS" or "D-HH:MM:SS"; None is the partition's. warning: seconds before that limit at
    which SLURM asks for the training state. requeues: how often the job is queued again, at most. gpus: on each node,
    4 or "a100:4". cpus: for each process. memory: of each node, "64G". options: further words for sbatch,
    "--constraint=ib". setup: lines of shell before the training, "module load cuda". venv: folder of a virtual
    environment to activate; None is the one that prints the script, if it is one, and "" is none.
    output: file for what is printed. port: where the processes meet, by default made from the job's number.
    interface: the network between the nodes, by default the one that the first node's address is on.
    """

    @checked
    def __init__(
        self,
        time: str | None = None,
        warning: Annotated[int, Limit(10, 65535)] = 120,
        requeues: Annotated[int, Limit(0, 10_000)] = 20,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        gpus: int | str | None = None,
        cpus: Annotated[int, Limit(1, 4096)] | None = None,
        memory: str | None = None,
        options: list[str] | None = None,
        setup: list[str] | None = None,
        venv: str | None = None,
        output: str | None = None,
        port: Port | None = None,
        interface: str | None = None,
    ) -> None:
        self.time, self.warning, self.requeues, self.cpus = time, warning, requeues, cpus
        self.setup, self.port, self.interface, self.options = setup or [], port, interface, options or []
        self.gpus = None if gpus is None else str(gpus)
        given = {"partition": partition, "account": account, "qos": qos, "memory": memory, "gpus": self.gpus}
        self.words = {name: word for name, word in (given | {"output": output}).items() if word is not None}
        self.venv = (sys.prefix if sys.prefix != sys.base_prefix else "") if venv is None else venv
        if mistakes := self._mistakes():
            raise RecipeError(*mistakes)

    def _mistakes(self) -> list[str]:
        found = []
        if self.time is not None:
            match = TIME.fullmatch(self.time)
            if match is None or not any(map(int, match.groups("0"))):
                found.append(
                    f"launch.time: must be hours, minutes and seconds, got {self.time!r}.\n"
                    '  Twelve hours are "12:00:00", two days "2-00:00:00".'
                )
            elif self.warning >= (seconds := _seconds(match)):
                found.append(f"launch.warning: must be below launch.time, {seconds} seconds, got {self.warning}.")
        for name, word in self.words.items():
            if not WORD.fullmatch(word):
                found.append(f"launch.{name}: must be one word such as {STARTS[name]}, got {word!r}.")
        for word in self.options:
            if not (word.startswith("-") and WORD.fullmatch(word)):
                found.append(
                    f"launch.options: must be options of sbatch, each in one word, got {word!r}.\n"
                    "  For instance --launch.options '[--constraint=ib, --exclusive]'."
                )
        if self.interface is not None and not re.fullmatch(r"[\w.,:^=@-]+", self.interface, re.ASCII):
            found.append(f"launch.interface: must be the name of a network such as eth0, got {self.interface!r}.")
        found += [f"launch.setup: must be lines, got {line!r}." for line in self.setup if "\0" in line]
        return found

    def script(self, job: Job) -> str:
        self._check(job)
        lines = ["#!/bin/bash", *self._header(job), "", f"cd {shlex.quote(str(job.folder))} || exit"]
        if self.venv:
            lines.append(f". {shlex.quote(str(Path(self.venv).absolute() / 'bin' / 'activate'))} || exit")
        lines += [*self.setup, "", *self._meeting(job)]
        if self.cpus:
            lines.append(f'export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-{self.cpus}}}"')
        own = ["--nodes", str(job.nodes), "--ntasks-per-node", str(job.devices)]
        own += ["--cpus-per-task", str(self.cpus)] if self.cpus else []  # srun does not take it from the job
        lines += ["", f"srun {shlex.join(own)} {job.line}", AGAIN % {"most": self.requeues}]
        return "\n".join(lines)

    def _check(self, job: Job) -> None:
        """Raises: RecipeError for settings that do not fit the job."""
        count = (self.gpus or "").rpartition(":")[2]
        if count.isdecimal() and int(count) < job.devices:
            raise RecipeError(
                f"launch.gpus: must be {job.devices} or more, one for each process of a node, got {self.gpus}."
            )

    def _header(self, job: Job) -> list[str]:
        """The lines of #SBATCH."""
        name = re.sub(r"[^\w.-]+", "-", job.name, flags=re.ASCII).strip("-.")[:80] or "rnnzoo"
        words = [f"--job-name={name}", f"--nodes={job.nodes}", f"--ntasks-per-node={job.devices}"]
        words += [f"--cpus-per-task={self.cpus}"] if self.cpus else []
        words += [f"--{OPTIONS.get(name, name)}={word}" for name, word in self.words.items()]
        words += [f"--time={self.time}"] if self.time else []
        words += [f"--signal=USR1@{self.warning}", "--requeue", "--open-mode=append", *self.options]
        return [f"#SBATCH {shlex.quote(word)}" for word in words]

    def _meeting(self, job: Job) -> list[str]:
        """The lines that say where the processes meet, and by which network."""
        port = str(self.port) if self.port else "$((15000 + SLURM_JOB_ID % 17000))"
        lines = [WHERE + f'export MASTER_PORT="{port}"']
        if self.interface:
            lines.append(f"interface={shlex.quote(self.interface)}")
        elif job.nodes > 1:
            lines.append("""interface=$(ip -o addr show to "$MASTER_ADDR" 2>/dev/null | awk '{print $2; exit}')""")
        if self.interface or job.nodes > 1:
            export = 'export GLOO_SOCKET_IFNAME="$interface" NCCL_SOCKET_IFNAME="$interface"'
            lines.append(f'if [ -n "$interface" ]; then {export}; fi')
        return lines


def _seconds(match: re.Match[str]) -> int:
    days, hours, minutes, seconds = map(int, match.groups("0"))
    return 60 * (60 * (24 * days + hours) + minutes) + seconds
