"""Launchers: the script that one prints runs the command of a run, and `rnnzoo fit --launch` gives its exit code."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo import registry
from rnnzoo.cli import main
from rnnzoo.errors import RecipeError, ZooError
from rnnzoo.experiment.launch import build, prepare
from rnnzoo.launchers.base import Job, Launcher
from rnnzoo.launchers.torchrun import TorchRun

HOSTS = ["--launch.hosts", "[10.0.0.1, 10.0.0.2]"]


class Recorder(Launcher):
    """Starts nothing, and keeps the job."""

    jobs: list[Job] = []  # noqa: RUF012

    def __init__(self, queue: str = "short") -> None:
        self.queue = queue

    def run(self, job: Job) -> int:
        self.jobs.append(job)
        return 7


@pytest.fixture
def recorder():
    registry.register("launchers", "recorder", Recorder)
    yield Recorder.jobs
    registry.unregister("launchers", "recorder")
    Recorder.jobs.clear()


def test_fit_hands_a_job_to_the_launcher_and_exits_with_its_code(recorder, here):
    words = ["fit", "quickstart", "--launch", "recorder", "--devices", "2", "--launch.queue", "long", "--seed", "3"]
    assert main([*words, "--run_dir", "out"]) == 7
    (job,) = recorder
    assert (job.name, job.run_dir, job.folder, job.nodes, job.devices) == ("quickstart", Path("out"), here, 1, 2)
    wanted = "fit quickstart --run_dir out --resume auto --seed 3 --trainer.devices 2"
    assert shlex.join(job.words) == wanted and job.command == (sys.executable, "-m", "rnnzoo", *job.words)


def test_a_job_without_a_folder_gets_one_of_its_own(recorder, here):
    (_, one), (_, two) = (prepare("recorder", "quickstart", []) for _ in range(2))
    assert one.run_dir.parent == two.run_dir.parent == Path("runs/quickstart") and one.run_dir != two.run_dir


def test_a_launcher_that_only_starts_prints_no_script(recorder, here, capsys):
    assert main(["launch", "recorder", "quickstart"]) == 2
    assert capsys.readouterr().err.startswith("Recorder prints no script.\n")


def test_mistakes_of_the_recipe_and_of_the_launchers_settings_are_told_together(capsys):
    assert main(["launch", "torchrun", "quickstart", "--model.pooling", "x", "--launch.prot", "1"]) == 2
    told = capsys.readouterr().err
    assert "model.pooling: must be" in told and "launch.prot: unknown key.\n  Did you mean 'port'?" in told


def test_the_settings_of_a_launcher_have_types_and_ranges():
    assert build("torchrun", ["--launch.port", "29600"]).port == 29600
    with pytest.raises(RecipeError, match=r"launch\.port: must be .*got 99999"):
        build("torchrun", ["--launch.port", "99999"])
    with pytest.raises(RecipeError, match="no launcher is named 'slum'"):
        build("slum", [])


def test_the_lines_of_torchrun_meet_at_the_first_host_and_run_one_command(here):
    launcher, job = prepare("torchrun", "quickstart", HOSTS, nodes=2, devices=3)
    lines = [shlex.split(line) for line in launcher.script(job).splitlines() if line.startswith("torchrun")]
    assert [line[line.index("-m") + 2 :] for line in lines] == [list(job.words)] * 2
    for node, line in enumerate(lines):
        flags = dict(zip(line[1 : line.index("-m") : 2], line[2 : line.index("-m") : 2], strict=True))
        assert (flags["--nnodes"], flags["--nproc_per_node"], flags["--node_rank"]) == ("2", "3", str(node))
        assert (flags["--master_addr"], flags["--local_addr"]) == ("10.0.0.1", f"10.0.0.{node + 1}")
    assert subprocess.run(["sh", "-n"], input=launcher.script(job), text=True, check=False).returncode == 0


def test_torchrun_needs_an_address_for_each_node():
    launcher, job = prepare("torchrun", "quickstart", [], nodes=2)
    with pytest.raises(ZooError, match="must be the addresses of 2 nodes, got 0"):
        launcher.script(job)


@pytest.mark.parametrize("flag", ["--nodes", "--devices"])
def test_how_many_processes_is_a_launchers_business_alone(flag, capsys):
    assert main(["fit", "quickstart", flag, "2"]) == 2
    assert "go with --launch NAME alone" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--folds", "3"], ["--find_lr"], ["--resume", "some/run"]])
def test_what_is_no_single_new_run_is_not_launched(words, capsys):
    assert main(["fit", "quickstart", "--launch", "torchrun", *words]) == 2
    assert capsys.readouterr().err.startswith("rnnzoo fit: --launch cannot start ")


def test_machines_that_do_not_come_are_counted_and_the_address_is_named():
    error = TorchRun(hosts=["10.0.0.1", "10.0.0.2"])._nobody(
        Exception("Timed out after 3 seconds waiting for clients. 1/2 clients joined."), "10.0.0.1", 2
    )
    assert str(error).startswith("cannot start the run: 1 of 2 machines came to 10.0.0.1:29500 within 600 seconds.\n")


DIES = """
import os, signal, sys, time
if os.environ["RANK"] == sys.argv[1]:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(300)
"""


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_process_that_is_killed_ends_the_others_with_one_readable_error(rank, here, capfd):
    """The other one would sleep for minutes; the exit code is a shell's for SIGKILL."""

    class Dying(Job):
        command = (sys.executable, "-c", DIES, rank)

    assert TorchRun().run(Dying(("fit",), "made-up", Path("out"), here, devices=2)) == 128 + 9
    told = capfd.readouterr().err
    assert told.startswith(
        f"process {rank} of 2 on {os.uname().nodename} was ended by SIGKILL, and the others with it.\n"
    )
    assert told.count("was ended by") == 1 and "Traceback" not in told
