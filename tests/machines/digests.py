"""Digests of one recipe's weights under 1, 2 and 4 processes: `python tests/machines/digests.py [RECIPE --KEY VALUE]`.

Each run is the command line with `--trainer.exact true`. Two of the runs are killed, all their processes at once, once
they have saved a state, and go on by `--resume`. With `--hosts`, two network namespaces (root, Linux) have a process
each. Exits 1 if any digest differs.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import two_hosts

from rnnzoo.runs import snapshot

RECIPE = ["quickstart", "--data.examples", "400", "--trainer.max_epochs", "20", "--model.head.dropout", "0.3"]
SAME = ("--trainer.exact", "true", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
SAME += ("--tracking.mode", "disabled", "--checkpoint.every_n_steps", "5")
PROCESSES = (1, 2, 4)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "rnnzoo", *words]


def digest(run: Path) -> str:
    """Of the names, shapes and bytes of the last and the best weights."""
    found = hashlib.sha256()
    for which in ("last", "best"):
        weights = two_hosts.checkpoint.load(two_hosts.checkpoint.follow(run / "checkpoints" / which)).weights
        for name in sorted(weights):
            found.update(f"{name} {tuple(weights[name].shape)} ".encode() + weights[name].numpy().tobytes())
    return found.hexdigest()[:16]


def whole(run: Path, recipe: str, processes: int, keys: list[str]) -> None:
    words = ("fit", recipe, *SAME, *keys, "--run_dir", str(run), "--trainer.devices", str(processes))
    subprocess.run(command(*words), check=True, capture_output=True)


def cut_off(run: Path, recipe: str, processes: int, keys: list[str]) -> None:
    """Kill a run once there is a training state, and go on."""
    words = ("fit", recipe, *SAME, *keys, "--run_dir", str(run), "--trainer.devices", str(processes))
    started = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not snapshot.complete(run / "resume") and started.poll() is None:
        time.sleep(0.05)
    if started.poll() is not None:
        raise SystemExit("the run was over before it could be killed: give more epochs")
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    subprocess.run(command("fit", "--resume", str(run)), check=True, capture_output=True)


def main(words: list[str]) -> int:
    hosts = "--hosts" in words
    words = [word for word in words if word != "--hosts"]
    recipe, *keys = words or RECIPE
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)

        def tell(what: str, run: Path) -> None:
            found[what] = digest(run)
            print(f"{what:36} {found[what]}", flush=True)

        for processes in PROCESSES:
            run = folder / str(processes)
            whole(run, recipe, processes, keys)
            tell(f"{processes} processes" if processes > 1 else "1 process", run)
        for processes in PROCESSES[:2]:
            run = folder / f"cut-{processes}"
            cut_off(run, recipe, processes, keys)
            tell(f"{processes} {'process' if processes == 1 else 'processes'}, killed, resumed", run)
        if hosts:
            with two_hosts.hosts():
                lines = two_hosts.printed("hosts", *SAME, *keys, recipe=recipe)
                two_hosts.finish(two_hosts.start(lines, folder))
            tell("two hosts, a process each", folder / "hosts")
    different = len(set(found.values())) > 1
    print("DIFFERENT" if different else "all the same")
    return int(different)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
