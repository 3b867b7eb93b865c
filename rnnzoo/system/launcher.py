"""Which processes belong together: what torchrun, SLURM and Lightning say in the environment, if all of it is there.

A lone RANK or LOCAL_RANK is what some other program left behind (a pod of Kubeflow, a shell within torchrun): then
this process is the only one.
"""

import os
from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

STEP = "SLURM_STEP_NUM_TASKS"  # srun sets it; a job's own shell has SLURM_PROCID and SLURM_NTASKS, and is alone
RANKS = {"RANK": "WORLD_SIZE", "LOCAL_RANK": "WORLD_SIZE", "SLURM_PROCID": STEP}  # and what must be with them


class World(NamedTuple):
    """This process's number among all, how many there are, and how many on this host; None if that is not said."""

    rank: int
    size: int
    local_size: int | None


def world(environment: Mapping[str, str] = os.environ) -> World | None:
    """The processes that a launcher has started together; None if this one is alone."""
    return _started(environment)[1]


def in_step(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether it is SLURM's srun that has started this process and others."""
    return _started(environment)[0] == "SLURM_PROCID"


def _started(environment: Mapping[str, str]) -> tuple[str, World] | tuple[None, None]:
    """The variable with this process's number, and what it says."""
    for rank, size in RANKS.items():
        numbers = _number(environment, rank), _number(environment, size)
        if numbers[0] is not None and numbers[1] is not None and numbers[0] < numbers[1] and numbers[1] > 1:
            return rank, World(numbers[0], numbers[1], _local_size(environment, rank, numbers[1]))
    return None, None


def rank() -> int:
    """Which process of a run this is; 0 is the one that writes."""
    processes = world() or STARTED_AS
    return 0 if processes is None else processes.rank


def forget_leftovers(environment: MutableMapping[str, str] = os.environ) -> str | None:
    """Drop numbers of processes that are not this run's, and say so. Lightning would believe them and write nothing."""
    if world(environment) is not None:
        return None
    leftovers = {name: environment.pop(name) for name in (*RANKS, "GROUP_RANK", "NODE_RANK") if name in environment}
    names = ", ".join(f"{name}={value}" for name, value in leftovers.items() if value != "0")
    return f"{names} in the environment is ignored: there is no number of processes with it." if names else None


def _local_size(environment: Mapping[str, str], rank: str, size: int) -> int | None:
    if rank != "SLURM_PROCID":
        return _number(environment, "LOCAL_WORLD_SIZE")
    each, rest = divmod(size, _number(environment, "SLURM_STEP_NUM_NODES") or 1)
    alike = environment.get("SLURM_STEP_TASKS_PER_NODE", "").partition("(")[0] == str(each)  # "2(x3)": 2 on each of 3
    return each if alike and not rest else None


def _number(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name, "")
    return int(value) if value.isdecimal() else None


STARTED_AS = world()  # Lightning takes WORLD_SIZE out of the environment when a trainer is done; the process stays
