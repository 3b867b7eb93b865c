"""Ranks are believed where a launcher says all of it, and nowhere else."""

import json
import os
import subprocess
import sys

import pytest

from rnnzoo.system.launcher import World, forget_leftovers, world

STEP = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"RANK": "1"}, None),
        ({"LOCAL_RANK": "1", "MASTER_ADDR": "localhost"}, None),
        ({"RANK": "1", "WORLD_SIZE": "1"}, None),
        ({"RANK": "two", "WORLD_SIZE": "4"}, None),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, World(1, 2, 2)),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, World(1, 2, None)),  # Lightning's own processes
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"}, None),  # srun --pty bash
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # the shell of a job, which srun has not started
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, World(3, 4, None)),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "2(x2)"}, World(3, 4, 2)),
        ({**STEP, "SLURM_STEP_TASKS_PER_NODE": "3,1"}, World(3, 4, None)),
        ({**STEP, "RANK": "0", "WORLD_SIZE": "2"}, World(0, 2, None)),  # torchrun within srun
    ],
    ids=str,
)
def test_processes_are_together_where_a_number_and_how_many_there_are_stand_side_by_side(environment, found):
    assert world(environment) == found


def test_a_process_keeps_its_rank_when_lightning_has_taken_the_number_of_processes_out_of_its_environment():
    code = "import os; from rnnzoo.system.launcher import rank; del os.environ['WORLD_SIZE']; print(rank())"
    launched = os.environ | {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}
    assert subprocess.run([sys.executable, "-c", code], env=launched, capture_output=True, text=True).stdout == "1\n"


def test_leftover_ranks_are_dropped_and_named_and_a_launchers_stay():
    environment = {"RANK": "1", "LOCAL_RANK": "0", "PATH": "x"}
    assert "RANK=1" in (forget_leftovers(environment) or "") and environment == {"PATH": "x"}
    assert forget_leftovers(environment) is None
    launched = {"RANK": "1", "WORLD_SIZE": "2"}
    assert forget_leftovers(launched) is None and launched == {"RANK": "1", "WORLD_SIZE": "2"}


@pytest.mark.slow
def test_a_rank_left_in_the_environment_trains_prints_and_leaves_a_summary(tmp_path):
    command = [
        sys.executable,
        "-m",
        "rnnzoo",
        "fit",
        "toy_tags",
        "--run_dir",
        str(tmp_path / "run"),
        "--trainer.max_epochs",
        "1",
        "--tracking.mode",
        "disabled",
    ]
    told = subprocess.run(command, env=os.environ | {"RANK": "1"}, capture_output=True, text=True)
    assert told.returncode == 0 and "test/" in told.stdout and "RANK=1" in told.stderr
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.slow
def test_torchrun_makes_one_run_of_its_processes(tmp_path):
    port = "--rdzv-endpoint=localhost:0"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--rdzv-backend=c10d",
        port,
        "-m",
        "rnnzoo",
        "fit",
        "toy_tags",
        "--run_dir",
        str(tmp_path / "run"),
        "--trainer.accelerator",
        "cpu",
        "--trainer.max_epochs",
        "1",
        "--tracking.mode",
        "disabled",
    ]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stderr
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["processes"] == 2
