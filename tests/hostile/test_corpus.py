"""Files of strangers are refused in words, soon, in little memory, and nothing in them is run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo.system.console import UNSAFE

SECONDS, MEGABYTES = 2.0, 300.0  # of processor time, beyond a harmless command's; of memory, beyond what was there
LONG = ("recipes", "names", "data", "states", "starts", "models")
LEAST = {
    "recipes": 70,
    "shown": 70,
    "names": 35,
    "data": 95,
    "vectors": 30,
    "models": 160,
    "states": 85,
    "starts": 70,
}  # entries


def outcomes(group: str, folder: Path) -> list[dict]:
    """What a process of its own made of each entry of a group."""
    caches = ("RNNZOO_CACHE", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR")  # torch leaves the last in the environment
    own = {"HOME": "home", "TMPDIR": "tmp"} | dict.fromkeys(caches, "cache")
    for name in set(own.values()):
        (folder / name).mkdir()
    environment = os.environ | {key: str(folder / name) for key, name in own.items()}
    command = [sys.executable, "-B", str(Path(__file__).with_name("child.py")), group, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def fault(outcome: dict) -> str | None:
    """What an entry did that it must not; None for nothing."""
    printed = outcome["out"] + outcome["err"]
    if outcome["code"] not in ([0, 2] if outcome["wanted"] is None else [outcome["wanted"]]):
        return f"exit code {outcome['code']}, not {outcome['wanted']}"
    if outcome["seen"]:
        return f"the hook saw {outcome['seen'][:3]}"
    if "executed" in outcome["left"] or (outcome["left"] and not outcome["leaves"]):
        return f"it left {outcome['left'][:3]}"
    if UNSAFE.search(printed) or "Traceback" in printed:
        return f"it printed {printed[-500:]!r}"
    if outcome["wanted"] == 2 and (outcome["out"] or not outcome["err"].strip()):
        return f"it printed {outcome['out'][-200:]!r} and said {outcome['err'][-200:]!r}"
    if outcome["seconds"] > SECONDS or outcome["megabytes"] > MEGABYTES:
        return f"it took {outcome['seconds']:.1f} s and {outcome['megabytes']:.0f} MiB"
    return None


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices are made")
@pytest.mark.parametrize("group", [pytest.param(g, marks=[pytest.mark.slow] * (g in LONG)) for g in LEAST])
def test_what_means_harm_or_is_broken_is_refused(group, tmp_path):
    found = outcomes(group, tmp_path)
    assert len(found) >= LEAST[group]
    assert [f"{outcome['name']}: {problem}" for outcome in found if (problem := fault(outcome))] == []


def test_the_hook_sees_what_it_is_there_for(tmp_path):
    """So that a group in which nothing was seen says something."""
    (tmp_path / "in").mkdir()
    script = (
        "import os, pathlib, pickle, socket, subprocess, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from child import Watch\n"
        "watch = Watch(pathlib.Path('in'))\n"
        "watch.armed = True\n"
        "open('in/file', 'w').close(), open('out', 'w').close(), open('/dev/zero', 'rb').close()\n"
        "os.system(''), os.remove('out'), subprocess.run(['true'])\n"
        "exec(compile('1', os.path.abspath('in/code'), 'exec'))\n"
        "pickle.loads(pickle.dumps(os.getcwd))\n"
        "socket.socket().connect_ex(('127.0.0.1', 9))\n"
        "watch.armed = False\n"
        "print(*watch.take(), sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    for event in (
        *("open out to write", "open /dev/zero, a device", "os.system", "os.remove out", "subprocess.Popen"),
        *("compile ", "exec ", "pickle.find_class", "socket.connect"),
    ):
        assert event in done.stdout
    assert "in/file" not in done.stdout
