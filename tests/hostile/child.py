"""Run a group of the corpus under an audit hook: `python tests/hostile/child.py GROUP FOLDER [NAME ...]`.

One line of JSON for each entry: what was printed, the exit code, the seconds of processor time beyond those of a
harmless command, the MiB of memory beyond what the process had before, and what the hook saw that no reader does.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from corpus import GROUPS
from making import Entry

SOURCE = str(Path(__file__).resolve().parents[2])
WAIT = 30  # seconds: an entry that takes longer has blocked
LAUNCH = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pty.spawn",
)
NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto", "urllib.Request")
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink", "os.chmod")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEVICES = ("/dev/null", "/dev/urandom")


class Watch:
    """The audit hook, which stays for the life of the process: what it saw between two calls of `take`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen, self.armed = os.path.realpath(folder), [], False
        paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        installed = {name.split(".")[0] for path in paths for name in os.listdir(path)}
        self.modules = {*sys.stdlib_module_names, *installed, "rnnzoo", *(name.split(".")[0] for name in sys.modules)}
        sys.addaudithook(self)

    def __call__(self, event: str, values: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event == "import" and values[0].split(".")[0] not in self.modules and _asked_by_rnnzoo():
            self.seen.append(f"import {values[0]}")
        elif event in ("exec", "compile"):
            name = values[0].co_filename if event == "exec" else values[1]
            if isinstance(name, str) and os.path.isabs(name) and self._inside(name):
                self.seen.append(f"{event} {name}")
        elif event == "ctypes.dlopen" and values[0] is None:
            return  # the process itself
        elif event == "subprocess.Popen" and values[0] == "git" and str(values[2]) == SOURCE:
            return  # a run notes rnnzoo's own commit
        elif event in LAUNCH or event in NETWORK or event in ("pickle.find_class", "ctypes.dlopen"):
            self.seen.append(f"{event} {values!r:.200}")
        elif event == "open":
            self._opened(*values)
        elif event in CHANGES:
            self.seen += [f"{event} {path}" for path in values if isinstance(path, str) and not self._inside(path)]

    def _opened(self, path: object, mode: object, flags: object) -> None:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str):
            return
        real = os.path.realpath(path)
        if real.startswith("/dev/") and real not in DEVICES:
            self.seen.append(f"open {path}, a device")
        elif isinstance(flags, int) and flags & WRITES and real not in DEVICES and not self._inside(path):
            self.seen.append(f"open {path} to write")

    def _inside(self, path: str) -> bool:
        return os.path.realpath(path).startswith(self.folder + os.sep)

    def take(self) -> list[str]:
        seen, self.seen = self.seen, []
        return seen


def _asked_by_rnnzoo() -> bool:
    """Whether an import is rnnzoo's own, and not one of a library that tries what else is installed."""
    frame: types.FrameType | None = sys._getframe(2)
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None and f"{os.sep}rnnzoo{os.sep}" in frame.f_code.co_filename


def peak(reset: bool = False) -> float:
    """The most memory since the last reset, in MiB."""
    if reset:
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def blocked(*_: object) -> None:
    raise RuntimeError(f"blocked for {WAIT} seconds")


def run(entry: Entry, folder: Path, watch: Watch, wait: int = WAIT) -> dict[str, Any]:
    """Make an entry in a folder of its own and run its command in this process."""
    from rnnzoo.cli import main

    folder.mkdir()
    os.chdir(folder)
    entry.make()
    sys.path.insert(0, str(folder))  # where a module of an entry would be imported from
    before = set(folder.rglob("*"))
    out, err = io.StringIO(), io.StringIO()
    began, least = time.process_time(), peak(reset=True)
    signal.alarm(wait)
    watch.armed = True
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code: object = main(entry.command)
    except BaseException:
        code = traceback.format_exc()
    finally:
        watch.armed = False
        signal.alarm(0)
        sys.path.remove(str(folder))
    seconds, most = time.process_time() - began, peak()
    left = sorted(str(path.relative_to(folder)) for path in set(folder.rglob("*")) - before)
    os.chdir(folder.parent)
    shutil.rmtree(folder)
    return {
        "code": code,
        "out": out.getvalue(),
        "err": err.getvalue(),
        "seconds": seconds,
        "megabytes": most - least,
        "left": left,
        "seen": watch.take(),
    }


WARM_UP = {  # what a group's commands import and read when all is well; the last is the measure for the others
    "recipes": [
        ("fit", "quickstart", "--print_config"),
        ("fit", "quickstart", "--model.architecture.hidden_size", "9999999"),
    ],
    "shown": [("results", "quickstart"), ("show", "quickstart")],
    "names": [
        ("predict", "quickstart", "--text", "good"),
        ("fit", "quickstart", "--data.examples", "8", "--trainer.devices", "[3]"),
        ("vectors", "train", "--data", "no_such_file", "--out", "v.txt"),
        ("check", "no_such_cell"),
        ("gradients", "no_such_run"),
        ("new-plugin", "lstm"),
        ("list", "cells"),
    ],
    "data": [("fit", "quickstart", "--data.examples", "8", "--trainer.devices", "[3]")],
    "vectors": [("vectors", "evaluate", "no_such_file")],
    "starts": [("fit", "quickstart", "--data.examples", "64", "--init_from", "no_such_run")],
    "states": [("fit", "quickstart", "--print_config")],
    "models": [
        ("test", "quickstart", "--trainer.devices", "[3]"),
        ("predict", "quickstart", "--file", "no_such_file"),
        ("predict", "quickstart", "--text", "good"),
    ],
}


def main(group: str, folder: Path, wanted: list[str]) -> None:
    signal.signal(signal.SIGALRM, blocked)
    watch = Watch(folder)
    usual = 0.0
    for number, command in enumerate(WARM_UP[group] * 2):
        usual = run(Entry(lambda: None, command), folder / f"warm-{number}", watch, wait=0)["seconds"]
    for number, (name, entry) in enumerate(GROUPS[group]().items()):
        if wanted and name not in wanted:
            continue
        result = run(entry, folder / str(number), watch)
        result["seconds"] -= usual
        print(json.dumps(result | {"name": name, "wanted": entry.code, "leaves": entry.leaves}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
