"""One process of a run falls; how long the others take to end, and what they say.

`python tests/machines/killed_ranks.py [WAY ...] [--places ...] [--how ...]`. Ways of starting two processes:
  lightning   rnnzoo fit --trainer.devices 2 --trainer.strategy ddp
  launch      rnnzoo fit --launch torchrun --devices 2
  torchrun    torchrun --nproc_per_node 2 -m rnnzoo fit
  hosts       two of torchrun's agents with addresses of their own
  slurm       two processes with the environment that srun gives, and no scheduler that ends them
Prints a line for each case: seconds from the fall to the end of the last process, exit codes, first lines of messages.
Exits 1 where one took longer than it may, ended well, left a process behind, or (not by torchrun itself, which prints
an account of its own) said more or less than one message.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

FALLING = Path(__file__).parent / "falling"
TIMEOUT = int(os.environ.get("RNNZOO_TIMEOUT", "60"))  # seconds that a process waits for another one here
WITHIN = 30  # seconds in which all have ended
LIMIT = 180 + 3 * TIMEOUT  # until a case is given up
FIT = ("fit", "toy_tags", "--data.examples", "200", "--data.batch_size", "8", "--trainer.accelerator", "cpu")
FIT += ("--trainer.max_epochs", "3", "--trainer.enable_progress_bar", "false", "--tracking.mode", "disabled")
FIT += ("--resume", "auto", "--run_dir", "run", "--checkpoint.every_n_steps", "5")
TWO = ("--trainer.devices", "2", "--trainer.strategy", "ddp")
PLACES = ("data", "rendezvous", "epoch", "validation", "saving")
HOW = ("kill", "stop", "error", "memory")
RNNZOO = (sys.executable, "-m", "rnnzoo")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


class Start(NamedTuple):
    """One command that is started, and what it finds in its environment."""

    words: tuple[str, ...]
    environment: dict[str, str]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def lightning() -> list[Start]:
    return [Start((*RNNZOO, *FIT, *TWO), {})]


def launch() -> list[Start]:
    return [Start((*RNNZOO, *FIT, "--launch", "torchrun", "--devices", "2"), {})]


def torchrun() -> list[Start]:
    return [Start((*TORCHRUN, "--standalone", "--nproc_per_node", "2", "-m", "rnnzoo", *FIT), {})]


def hosts() -> list[Start]:
    port = str(free_port())
    agent = (*TORCHRUN, "--nnodes", "2", "--nproc_per_node", "1", "--master_addr", "127.0.0.1", "--master_port", port)
    words = [
        (*agent, "--node_rank", str(node), "--local_addr", f"127.0.0.{node + 1}", "-m", "rnnzoo", *FIT)
        for node in (0, 1)
    ]
    return [Start(each, {}) for each in words]


def slurm() -> list[Start]:
    common = {"SLURM_NTASKS": "2", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "made-up", "SLURM_STEP_NUM_TASKS": "2"}
    common |= {"SLURM_STEP_NUM_NODES": "1", "SLURM_NTASKS_PER_NODE": "2"}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
    return [
        Start((*RNNZOO, *FIT, *TWO), common | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)})
        for rank in (0, 1)
    ]


WAYS: dict[str, Callable[[], list[Start]]] = {
    "lightning": lightning,
    "launch": launch,
    "torchrun": torchrun,
    "hosts": hosts,
    "slurm": slurm,
}


class Outcome(NamedTuple):
    """seconds: from the fall to the last end. codes: of the commands. printed: of each. left: processes that stayed."""

    seconds: float
    codes: list[int]
    printed: list[str]
    left: list[int]


def own_environment() -> dict[str, str]:
    """That of this process, without numbers of processes of someone else."""
    mine = ("RANK", "WORLD_SIZE", "MASTER_", "SLURM_", "LOCAL_", "GROUP_", "NODE_", "TORCHELASTIC")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    return kept | {"OMP_NUM_THREADS": "1", "RNNZOO_TIMEOUT": str(TIMEOUT)}


def members(mark: str) -> list[int]:
    """The processes that have a mark in their environment, and have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            ended = folder.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not ended and mark.encode() in folder.joinpath("environ").read_bytes():
                found.append(int(folder.name))
    return found


def fall(starts: list[Start], folder: Path, place: str, rank: int, how: str) -> Outcome:
    """Start a run, let one process fall, and wait until the others have ended."""
    folder.mkdir()
    fallen = folder / "fallen"
    environment = own_environment() | {"FALL": f"{place} {rank} {how}", "FALLEN": str(fallen)}
    environment["PYTHONPATH"] = os.pathsep.join([str(FALLING), *filter(None, [os.environ.get("PYTHONPATH")])])
    logs = [folder / f"printed-{number}" for number in range(len(starts))]
    processes = []
    for start, log in zip(starts, logs, strict=True):
        with log.open("wb") as out:
            processes.append(
                subprocess.Popen(start.words, cwd=folder, env=environment | start.environment, stdout=out, stderr=out)
            )
    end = time.monotonic() + LIMIT
    try:
        while not fallen.exists() and time.monotonic() < end and any(each.poll() is None for each in processes):
            time.sleep(0.02)
        number, when = fallen.read_text().split() if fallen.exists() else ("0", "nan")
        waiting = list(processes)
        while waiting and time.monotonic() < end:
            waiting = [
                each for each in waiting if each.poll() is None and not (how == "stop" and each.pid == int(number))
            ]
            time.sleep(0.02)
        if how == "stop" and len(starts) > 1:  # nothing here would end it
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        while (left := members(f"FALLEN={fallen}")) and time.time() - float(when) < WITHIN + TIMEOUT:
            time.sleep(0.1)
        seconds = time.time() - float(when)
    finally:
        for each in members(f"FALLEN={fallen}"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        codes = [each.wait() for each in processes]
    return Outcome(seconds, codes, [log.read_text(errors="replace") for log in logs], left)


def messages(printed: str) -> list[str]:
    """The first lines of messages: the lines that one of two spaces follows, out of what processes have printed."""
    lines = printed.splitlines()
    pairs = zip(lines, [*lines[1:], ""], strict=True)
    return [line for line, after in pairs if after.startswith("  ") and line[:1].islower() and line.endswith(".")]


def mistakes(way: str, how: str, outcome: Outcome) -> list[str]:
    """What is wrong with the end of a run."""
    within = WITHIN + (TIMEOUT if how == "stop" else 0)
    found = [f"{outcome.seconds:.0f} s"] * (not outcome.seconds <= within)
    found += ["left behind"] * bool(outcome.left) + ["exit code 0"] * (0 in outcome.codes)
    told = [line for printed in outcome.printed for line in messages(printed)]
    if way not in ("torchrun", "hosts"):
        found += [f"{len(told)} messages"] * (len(told) != 1)
        traces = sum(printed.count("Traceback (most") for printed in outcome.printed)
        found += [f"{traces} tracebacks"] * (traces != (how == "error"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--places", nargs="+", choices=PLACES, default=PLACES)
    parser.add_argument("--how", nargs="+", choices=HOW, default=HOW)
    parser.add_argument("--ranks", nargs="+", type=int, default=(0, 1))
    parser.add_argument("--show", action="store_true", help="print all that was printed")
    arguments = parser.parse_args()
    wrong = 0
    print(f"{'way':<10} {'place':<11} rank {'how':<7} seconds  codes       first line", flush=True)
    with tempfile.TemporaryDirectory() as name:
        cases = [
            (way, place, rank, how)
            for way in arguments.ways or WAYS
            for place in arguments.places
            for rank in arguments.ranks
            for how in arguments.how
        ]
        for number, (way, place, rank, how) in enumerate(cases):
            outcome = fall(WAYS[way](), Path(name) / str(number), place, rank, how)
            told = [line for printed in outcome.printed for line in messages(printed)]
            codes, problems = ",".join(map(str, outcome.codes)), mistakes(way, how, outcome)
            line = f"{way:<10} {place:<11} {rank:<4} {how:<7} {outcome.seconds:7.1f}  {codes:<10}  {(told or ['-'])[0]}"
            print(line + f"  <- {', '.join(problems)}" * bool(problems), flush=True)
            if arguments.show:
                print("\n".join(outcome.printed), flush=True)
            wrong += bool(problems)
    print(f"{len(cases)} cases, {wrong} not as they should be")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
