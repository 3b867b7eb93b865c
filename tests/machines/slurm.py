"""A real SLURM of two nodes on this machine runs the script that `rnnzoo launch slurm` prints.

`sudo python tests/machines/slurm.py` warns a job in the middle of its training and repeats itself with SIGTERM, sees it
saved, queued again by its own script and finished, and prints how its weights differ from those of two processes
without a stop, and its scores from those of one process. A job that is there already does nothing; one that a user
cancels, or whose process is killed, is not queued again. Exits 1 if anything is not as it should be. Needs Linux, root,
and Debian's packages slurm-wlm and munge; it starts daemons of its own in a temporary folder, and ends them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from rnnzoo import runs
from rnnzoo.runs import checkpoint, snapshot

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")
SECONDS = 30  # within which a job ends that has lost a process
PATIENCE = 600  # seconds until something is taken not to happen
KEYS = ("--data.examples", "64", "--tracking.mode", "disabled", "--trainer.accelerator", "cpu")
KEYS += ("--trainer.enable_progress_bar", "false", "--checkpoint.every_n_steps", "5", "--trainer.max_epochs", "100")
HALF = ("--data.batch_size", "32")  # of an epoch, which is one step
CONF = """
ClusterName=rnnzoo
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
ReturnToService=2
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 State=UNKNOWN
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 State=UNKNOWN
PartitionName=main Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
"""


def sh(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def until(what: str, true: Callable[[], object]) -> float:
    """Wait for something; the seconds that it took."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > PATIENCE:
            raise SystemExit(f"not within {PATIENCE} seconds: {what}")
        time.sleep(0.1)
    return time.monotonic() - began


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def processes(**environment: str) -> list[int]:
    """The processes of this machine that have these values in their environment, but for this one."""
    wanted = {f"{name}={value}".encode() for name, value in environment.items()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted <= {*(folder / "environ").read_bytes().split(b"\0")} and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def of_job(number: str, **environment: str) -> list[int]:
    """The processes of a job of this cluster."""
    return processes(SLURM_CONF=os.environ["SLURM_CONF"], SLURM_JOB_ID=number, **environment)


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """A controller and two nodes, and no trace of them afterwards."""
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    (folder / "state").mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(folder=folder, host=socket.gethostname().partition(".")[0], ports=free_ports(3)))
    os.environ["SLURM_CONF"] = str(conf)
    munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket"]
    munged += [f"--{name}-file={folder}/munged.{name}" for name in ("pid", "log", "seed")]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for words in (munged, ["slurmctld", "-D"], ["slurmd", "-D", "-N", "node1"], ["slurmd", "-D", "-N", "node2"]):
            with (folder / "daemons.log").open("ab") as log:
                daemons.append(subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True))
            if words is munged:
                until("the socket of munged", (folder / "munge.socket").exists)
        until("two idle nodes", lambda: sh("sinfo", "-h", "-o", "%D %t").strip() == "2 idle")
        yield
    finally:
        subprocess.run(["scancel", "--full", "--signal=KILL", "--user=root"], check=False, capture_output=True)
        for daemon in reversed(daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            daemon.kill()
            daemon.wait()
        for number in processes(SLURM_CONF=str(conf)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def submit(run: str) -> str:
    """The number of a new job, which runs the script that is printed for a run."""
    command = [sys.executable, "-m", "rnnzoo", "launch", "slurm", "toy_tags", "--nodes", "2", "--devices", "1"]
    command += ["--launch.time", "01:00:00", "--launch.warning", "60", "--launch.output", f"{Path.cwd()}/%x-%j.log"]
    Path("job.sh").write_text(sh(*command, "--run_dir", run, *KEYS, *HALF))
    return sh("sbatch", "--parsable", "job.sh").strip()


def job(number: str) -> dict[str, str]:
    """What SLURM knows of a job, such as JobState and Restarts."""
    return dict(re.findall(r"(\w+)=(\S*)", sh("scontrol", "show", "job", number)))


def ended(number: str) -> bool:
    return job(number)["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def saved(run: str, after: int = 0) -> Callable[[], bool]:
    """Whether there is a training state after more steps than `after`."""
    return lambda: any(int(path.name.split("-")[1]) > after for path in snapshot.complete(Path(run, "resume")))


def weights(run: str) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.follow(Path(run, "checkpoints", "last"))).weights


def scores(run: str) -> dict[str, float]:
    found = runs.read(run)["summary"]["metrics"]
    return {name: value for name, value in found.items() if name.startswith("test/")}


def fit(run: str, *keys: str) -> None:
    """Train on this machine, without SLURM."""
    sh(sys.executable, "-m", "rnnzoo", "fit", "toy_tags", "--run_dir", run, *KEYS, *keys)


def warned(run: str) -> bool:
    """Warn a job in its training, and see it finish after it was queued again."""
    number = submit(run)
    until("a training state", saved(run))
    sh("scancel", "--signal=USR1", number)
    for _ in range(3):  # as SLURM does, which repeats itself by several ways
        subprocess.run(["scancel", "--signal=TERM", number], check=False, capture_output=True)
    until("the job is queued again", lambda: job(number)["Restarts"] == "1")
    summary = runs.read(run)["summary"]
    print(f"warned: {summary['status']} by {summary.get('ended_by')}; queued again: {job(number)['Restarts']} time")
    until("it waits", lambda: job(number)["JobState"] == "PENDING")
    sh("scontrol", "update", f"jobid={number}", "StartTime=now")  # else a job that is queued again waits two minutes
    until("the job's end", lambda: ended(number))
    print(f"  then {job(number)['JobState']} with {job(number)['ExitCode']}; {runs.read(run)['summary']['status']}")
    return job(number)["JobState"] == "COMPLETED" and summary.get("ended_by") == "SIGUSR1"


def again(run: str) -> bool:
    """Submit the script of a run that is finished."""
    before = Path(run, "summary.json").read_bytes()
    number = submit(run)
    until("the job's end", lambda: ended(number))
    print(f"a job whose run is finished: {job(number)['JobState']} with {job(number)['ExitCode']}")
    return job(number)["JobState"] == "COMPLETED" and Path(run, "summary.json").read_bytes() == before


def killed(run: str) -> bool:
    """Kill one process of a job: the other ends."""
    number = submit(run)
    until("a training state", saved(run))
    for process in of_job(number, SLURM_PROCID="1", SLURM_STEP_ID="0"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    seconds = until("the job's end", lambda: ended(number) or job(number)["Restarts"] != "0")
    print(f"a process killed: {job(number)['JobState']} after {seconds:.1f} s, restarts: {job(number)['Restarts']}")
    return job(number)["JobState"] == "FAILED" and seconds <= SECONDS


def cancelled(run: str) -> bool:
    """Cancel a job that goes on with a run: it saves what it has, and is not queued again."""
    before = max(int(path.name.split("-")[1]) for path in snapshot.complete(Path(run, "resume")))
    number = submit(run)
    until("a later training state", saved(run, before))
    sh("scancel", number)
    until("the job's end", lambda: ended(number) and not of_job(number))
    facts, summary = job(number), runs.read(run)["summary"]
    print(f"cancelled: {facts['JobState']}, restarts: {facts['Restarts']}; the run: {summary['status']}")
    return (facts["JobState"], facts["Restarts"], summary["status"]) == ("CANCELLED", "0", "interrupted")


def main() -> int:
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        print(f"skipped: no {', '.join(missing)} here (apt-get install slurm-wlm munge)")
        return 0
    if os.name != "posix" or os.geteuid():
        print("needs root, which may start SLURM's daemons")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and clean up
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)):
        os.chdir(name)
        try:
            done = [warned("cut"), again("cut")]
            fit("whole", *HALF, "--trainer.devices", "2", "--trainer.strategy", "ddp")
            fit("one", "--data.batch_size", "64")
            apart = max(float((value - weights("whole")[key]).abs().max()) for key, value in weights("cut").items())
            print(f"weights of the job and of two processes without a stop differ by {apart:.1e}")
            print(f"  the job:     {json.dumps(scores('cut'))}\n  one process: {json.dumps(scores('one'))}")
            gap = max(abs(value - scores("one")[key]) for key, value in scores("cut").items())
            done += [killed("other"), cancelled("other")]
        except BaseException:
            for log in Path(name).glob("*-*.log"):
                print(f"--- {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)
            raise
        finally:
            os.chdir("/")
    return int(not all(done) or apart > 0 or gap > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
