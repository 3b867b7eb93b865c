"""Two hosts train one run: network namespaces with addresses and host names of their own, one process in each.

`sudo python tests/machines/two_hosts.py` prints how the weights and scores differ from those of one process with the
same global batch, how long one host goes on after the other is killed, and whether the same lines then finish the run
with the weights of one that was never cut off. Exits 1 if anything is not as it should be. Needs Linux, root and `ip`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from rnnzoo import runs
from rnnzoo.runs import checkpoint, snapshot

HOSTS = {"rnnzoo-a": "10.87.0.1", "rnnzoo-b": "10.87.0.2"}  # namespaces, and the address of each
SECONDS = 30  # within which a host ends that has lost the other
SAME = ("--data.examples", "64", "--tracking.mode", "disabled", "--trainer.accelerator", "cpu")
SAME += ("--trainer.enable_progress_bar", "false", "--checkpoint.every_n_steps", "5")
SHORT, LONG = ("--trainer.max_epochs", "10"), ("--trainer.max_epochs", "40")  # of one step each
HALF = ("--data.batch_size", "32")


def sh(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def kill(host: str) -> None:
    """End all processes of a host at once."""
    inside = subprocess.run(["ip", "netns", "pids", host], check=False, capture_output=True, text=True).stdout
    for number in inside.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(number), signal.SIGKILL)


@contextlib.contextmanager
def hosts() -> Iterator[None]:
    """Two namespaces, joined by a cable."""
    one, two = HOSTS
    try:
        for name in HOSTS:
            sh("ip", "netns", "add", name)
        sh("ip", "link", "add", "cable", "netns", one, "type", "veth", "peer", "name", "cable", "netns", two)
        for name, address in HOSTS.items():
            sh("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            sh("ip", "-n", name, "link", "set", "cable", "up")
            sh("ip", "-n", name, "link", "set", "lo", "up")
        yield
    finally:
        for name in HOSTS:
            kill(name)
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def printed(run: str, *keys: str, recipe: str = "toy_tags") -> list[str]:
    """The lines of each host, as `rnnzoo launch torchrun` prints them."""
    command = [sys.executable, "-m", "rnnzoo", "launch", "torchrun", recipe, "--nodes", "2", "--devices", "1"]
    command += ["--launch.hosts", json.dumps([*HOSTS.values()]), "--run_dir", run, *keys]
    script = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return script.split("\n# host ")[1:]


def start(lines: list[str], folder: Path) -> list[subprocess.Popen[bytes]]:
    """Each host's lines in its namespace, with a host name of its own; what they print is in `host-N.log`."""
    found = []
    for number, (name, text) in enumerate(zip(HOSTS, lines, strict=True)):
        words = ["ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", f"hostname {name}\n# {text}"]
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        with (folder / f"host-{number}.log").open("ab") as log:
            found.append(subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True))
    return found


def finish(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.wait(300):
            raise SystemExit(f"a host ended with {process.returncode}; see host-*.log")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.follow(run / "checkpoints" / "last")).weights


def furthest(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    """The largest difference between two sets of weights."""
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def scores(run: Path) -> dict[str, float]:
    found = runs.read(run)["summary"]["metrics"]
    return {name: value for name, value in found.items() if name.startswith("test/")}


def cut_off(folder: Path, lines: list[str], run: Path) -> float:
    """Start a run, kill one host once there is a training state; seconds until the other has ended."""
    processes = start(lines, folder)
    while not snapshot.complete(run / "resume"):
        time.sleep(0.05)
    kill([*HOSTS][1])
    began = time.monotonic()
    processes[0].wait(300)
    processes[1].wait()
    return time.monotonic() - began


def main() -> int:
    if os.name != "posix" or os.geteuid() or not shutil.which("ip"):
        print("needs root, and `ip` of Linux")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and clean up
    with tempfile.TemporaryDirectory() as name, hosts():
        folder = Path(name)
        os.chdir(folder)
        alone = [sys.executable, "-m", "rnnzoo", "fit", "toy_tags", *SAME, *SHORT, "--run_dir", "one"]
        subprocess.run([*alone, "--data.batch_size", "64"], check=True, capture_output=True)
        finish(start(printed("two", *SAME, *SHORT, *HALF), folder))
        apart = furthest(weights(folder / "one"), weights(folder / "two"))
        print(f"one process and two hosts: weights differ by at most {apart:.1e}")
        print(f"  one process: {scores(folder / 'one')}\n  two hosts:   {scores(folder / 'two')}")
        finish(start(printed("whole", *SAME, *LONG, *HALF), folder))
        lines = printed("cut", *SAME, *LONG, *HALF)
        seconds = cut_off(folder, lines, folder / "cut")
        print(
            f"one host killed: the other ended after {seconds:.1f} s; {runs.read(folder / 'cut')['summary']['status']}"
        )
        finish(start(lines, folder))
        resumed = furthest(weights(folder / "cut"), weights(folder / "whole"))
        print(f"the same lines again: weights differ from those of a run without a stop by {resumed:.1e}")
    return int(apart > 1e-5 or seconds > SECONDS or resumed > 0)


if __name__ == "__main__":
    sys.exit(main())
