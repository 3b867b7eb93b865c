"""The script for sbatch, run by bash with stand-ins for SLURM's commands. tests/machines/slurm.py has a real SLURM."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from rnnzoo.cli import main
from rnnzoo.errors import RecipeError
from rnnzoo.experiment.launch import prepare
from rnnzoo.launchers.base import Job
from rnnzoo.launchers.slurm import Slurm

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the script is for bash")
COMMANDS = {  # stand in for SLURM's, and for the system's where another machine answers otherwise
    "srun": 'printf "%s\\n" "$MASTER_ADDR $MASTER_PORT $GLOO_SOCKET_IFNAME" "$@" > srun.txt; exit "$CODE"',
    "scontrol": 'case "$1" in requeue) echo "$2" >> requeued.txt; exit "$REFUSED";;'
    ' show) case "$2" in hostnames) printf "node1\\nnode2\\n";; *) echo "  NodeAddr=$ADDR Node=$3";; esac;; esac',
    "getent": 'echo "$FOUND STREAM $2"',
    "hostname": "echo 10.0.0.9 10.1.0.9",
    "ip": 'echo "2: net$5 inet"',
}


def run(here, launcher, job, code=0, **environment):
    """Run a script as the shell of job 70007; it ends as bash did, with the lines of srun's words."""
    (here / "bin").mkdir(exist_ok=True)
    for name, line in COMMANDS.items():
        (here / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (here / "bin" / name).chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    clean |= {"PATH": f"{here / 'bin'}:{os.environ['PATH']}", "CODE": str(code), "REFUSED": "0", "ADDR": "10.0.0.1"}
    clean |= {"FOUND": "10.0.0.7", "SLURM_JOB_ID": "70007", "SLURM_JOB_NODELIST": "node[1-2]"} | environment
    return subprocess.run(
        ["bash"], input=launcher.script(job), env=clean, cwd=here, capture_output=True, text=True, check=False
    )


def a_job(folder, *words, nodes=2):
    return Job(words or ("fit", "quickstart"), "made-up", Path("out"), folder, nodes, 1)


def headers(script):
    return [shlex.split(line)[1:] for line in script.splitlines() if line.startswith("#SBATCH")]


def test_the_script_asks_for_what_was_asked_for_and_runs_the_jobs_words(here):
    keys = ["--launch.time", "1-12:00:00", "--launch.gpus", "a100:4", "--launch.cpus", "8", "--launch.memory", "64G"]
    keys += ["--launch.partition", "long", "--launch.account", "me", "--launch.options", "[--exclusive]"]
    launcher, job = prepare("slurm", "quickstart", keys, Path("out"), nodes=2, devices=4)
    wanted = "--job-name=quickstart --nodes=2 --ntasks-per-node=4 --cpus-per-task=8 --partition=long --account=me "
    wanted += "--mem=64G --gpus-per-node=a100:4 --time=1-12:00:00 --signal=USR1@120 --requeue --open-mode=append "
    assert headers(launcher.script(job)) == [[word] for word in (wanted + "--exclusive").split()]
    line = next(line for line in launcher.script(job).splitlines() if line.startswith("srun "))
    assert line == f"srun --nodes 2 --ntasks-per-node 4 --cpus-per-task 8 {job.line}"
    assert "--resume auto" in job.line and "--trainer.num_nodes 2 --trainer.devices 4" in job.line


def test_no_word_of_a_job_is_run_by_the_shell(here):
    evil = "$(touch run); `touch run`\ntouch run\n#SBATCH --uid=0 '\" & touch run"
    (here / evil.replace("/", "")).mkdir()
    job = Job(("fit", evil), evil, Path(evil), here / evil, 2, 1)
    ended = run(here, Slurm(venv=""), job)
    assert ended.returncode == 0 and not [path for path in here.rglob("run") if path.name == "run"]
    words = (here / evil / "srun.txt").read_text()
    assert words.endswith(f"rnnzoo\nfit\n{evil}\n")
    assert not [line for line in Slurm(venv="").script(job).splitlines() if "--job-name" in line and "$" in line]


@pytest.mark.parametrize(
    ("address", "found", "wanted"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("node1", "10.0.0.7", "10.0.0.7"),
        ("node1", "127.0.1.1", "10.0.0.9"),  # Debian's own line in /etc/hosts
        ("fd00::1", "", "fd00::1"),
    ],
)
def test_the_processes_meet_at_a_number_by_the_network_that_it_is_on(address, found, wanted, here):
    assert run(here, Slurm(venv=""), a_job(here), ADDR=address, FOUND=found).returncode == 0
    first = (here / "srun.txt").read_text().splitlines()[0]
    assert first == f"{wanted} {15000 + 70007 % 17000} net{wanted}"
    run(here, Slurm(venv="", port=2000, interface="ib0"), a_job(here), ADDR=address, FOUND=found)
    assert (here / "srun.txt").read_text().splitlines()[0] == f"{wanted} 2000 ib0"


@pytest.mark.parametrize("code", [138, 140])
def test_a_job_that_was_warned_is_queued_again(code, here):
    ended = run(here, Slurm(venv="", requeues=3), a_job(here), code, SLURM_RESTART_COUNT="2")
    assert (here / "requeued.txt").read_text() == "70007\n" and ended.returncode == code
    assert "job 70007 is queued again, 3 of at most 3 times" in ended.stderr


def test_a_job_is_queued_again_no_more_often_than_the_setting_says(here):
    ended = run(here, Slurm(venv="", requeues=3), a_job(here), 138, SLURM_RESTART_COUNT="3")
    assert ended.returncode == 138 and not (here / "requeued.txt").exists()
    assert ended.stderr.startswith("rnnzoo: job 70007 was queued again 3 times, the most of --launch.requeues")


def test_a_job_that_slurm_does_not_queue_again_says_how_to_go_on(here):
    ended = run(here, Slurm(venv=""), a_job(here), 138, REFUSED="1")
    assert ended.returncode == 138 and "submitted again, goes on." in ended.stderr


@pytest.mark.parametrize("code", [0, 1, 2, 130, 137, 143])
def test_any_other_end_is_the_jobs_own(code, here):
    ended = run(here, Slurm(venv=""), a_job(here), code)
    assert ended.returncode == code and not (here / "requeued.txt").exists()


def test_lines_of_setup_run_first_in_the_virtual_environment(here):
    (here / "an env" / "bin").mkdir(parents=True)
    (here / "an env" / "bin" / "activate").write_text("ACTIVE=yes\n")
    setup = ['echo "$ACTIVE" > before.txt; test ! -e srun.txt']
    assert run(here, Slurm(venv=str(here / "an env"), setup=setup), a_job(here)).returncode == 0
    assert (here / "before.txt").read_text() == "yes\n"
    assert run(here, Slurm(venv=str(here / "none")), a_job(here)).returncode == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"time": "3:00"}, "launch.time: must be hours, minutes and seconds, got '3:00'.\n  Twelve hours are \"12:00"),
        ({"time": "00:00:00"}, "launch.time: must be hours"),
        ({"time": "00:02:00"}, "launch.warning: must be below launch.time, 120 seconds, got 120."),
        ({"partition": "a\nrm -rf x"}, "launch.partition: must be one word such as gpu-long, got 'a\\nrm -rf x'."),
        ({"account": ""}, "launch.account: must be one word such as my-project, got ''."),
        ({"options": ["--a\n#SBATCH --b"]}, "launch.options: must be options of sbatch, each in one word, got"),
        ({"interface": "eth0; ls"}, "launch.interface: must be the name of a network such as eth0, got 'eth0; ls'."),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused_by_its_key(settings, told):
    with pytest.raises(RecipeError) as caught:
        Slurm(**settings)
    assert str(caught.value).startswith(told)


def test_all_mistakes_of_the_settings_are_told_at_once(capsys):
    assert main(["launch", "slurm", "quickstart", "--launch.time", "60", "--launch.qos", "'a b'"]) == 2
    told = capsys.readouterr().err
    assert "launch.qos: must be one word" in told and "launch.time: must be hours" in told


def test_fewer_cards_than_processes_are_refused(here):
    with pytest.raises(RecipeError, match=r"launch\.gpus: must be 2 or more, one for each process of a node, got 1"):
        Slurm(gpus=1).script(Job(("fit",), "x", Path("out"), here, 1, 2))


def test_slurm_prints_a_script_and_starts_nothing(capsys):
    assert main(["fit", "quickstart", "--launch", "slurm"]) == 2
    assert capsys.readouterr().err.startswith("Slurm starts no processes.\n  It prints a script for them: rnnzoo lau")
