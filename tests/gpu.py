"""From install to figures on a machine with a GPU, as one JSON on standard output: `bash tests/gpu.sh`.

Each step is a process of its own with a limit of time, within a budget for all, so that one that hangs leaves the
others their turn. A step is "ok", "failed" or "skipped", with the reason. Progress goes to standard error. SIGTERM ends
the step that runs, and what is known by then is printed. Without a GPU, Triton's interpreter runs the kernels, and what
needs the device is skipped. Exits 1 if a step failed. Nothing is read from a network: the figures of the recipes are of
made-up data with the sizes of IMDB and the Penn Treebank.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
PLUGINS = [REPOSITORY / "plugins" / f"rnnzoo-{name}" for name in ("mingru", "lnlstm")]
CELLS = ("lstm", "gru", "vanilla", "mingru", "lnlstm")
SIZES = "A,B200,B650,C"  # those of the README's table
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")
MADE = {"imdb_bilstm": "25,000 words, lognormal lengths of mean 234", "ptb_awd": "10,000 words, 929,589 tokens"}
RNNZOO = [sys.executable, "-m", "rnnzoo"]
FACTS = """
import json, torch
gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
cudnn = torch.backends.cudnn.version() if gpu else None
print(json.dumps({"gpu": gpu, "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": cudnn}))
"""


class Step(NamedTuple):
    """A process of the script. seconds: its limit. parses: whether it prints a JSON, which is its figures."""

    name: str
    command: list[str]
    seconds: float
    needs_gpu: bool = True
    parses: bool = True
    environment: dict[str, str] = {}  # noqa: RUF012  # of a tuple, never changed


class Stopped(Exception):
    """The script was asked to stop."""


def steps(gpu: bool, torch: str | None, data: Path) -> Iterator[Step]:
    """All steps, those first that others build on. torch: the version that is there, and stays."""
    if any(importlib.util.find_spec(name) is None for name in ("rnnzoo", "rnnzoo_mingru", "rnnzoo_lnlstm", "pytest")):
        edits = [part for path in (REPOSITORY, *PLUGINS) for part in ("-e", str(path))]
        kept = [] if torch is None else [f"torch=={torch}"]
        command = [sys.executable, "-m", "pip", "install", "-q", "pytest", *kept, *edits]
        yield Step("install", command, 180, False, False)
    interpreted = {} if gpu else {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    tests = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    tests += ["-m", "not slow", str(HERE / "engine" / "test_triton_gpu.py")]
    tests += [] if gpu else ["-k", "goes_on_to_its_end or of_the_last_state_alone"]
    yield Step("tests", tests, 120, False, False, interpreted)
    yield Step("parity", [sys.executable, str(HERE / "gpu_parity.py"), *CELLS], 90, False, True, interpreted)
    for cell in CELLS:
        bench = [*RNNZOO, "bench", "cell", cell, "--device", "cuda", "--sizes", SIZES, "--rounds", "5", "--json"]
        yield Step(f"bench cell {cell}", bench, 60)
    for precision in PRECISIONS:  # of both recipes in turn, in case the time ends
        for recipe in MADE:
            fit = [*RNNZOO, "bench", "fit", recipe, "--batches", "20", "--json", *made_data(recipe, data)]
            fit += ["--trainer.accelerator", "gpu", "--trainer.precision", precision]
            yield Step(f"bench fit {recipe} {precision}", fit, 60)
    fit = [*RNNZOO, "fit", "quickstart", "--trainer.accelerator", "gpu", "--trainer.precision", "16-mixed"]
    yield Step("fit quickstart 16-mixed", [*fit, "--run_dir", str(data / "run")], 60, parses=False)


def made_data(recipe: str, folder: Path) -> list[str]:
    """Flags that give a recipe made-up files in place of its data; `gpu_data.py` writes them."""
    name, ending = ("text_files", "csv") if recipe == "imdb_bilstm" else ("text_lines", "txt")
    paths = [f"--data.{part}={folder / f'{recipe}.{part}.{ending}'}" for part in ("train", "dev", "test")]
    return [f"--data.name={name}", *paths]


def run(step: Step, seconds: float) -> dict[str, Any]:
    """A step's status, its seconds, and its figures or the end of what it said."""
    began = time.monotonic()
    environment = os.environ | {"WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1"} | step.environment
    process = subprocess.Popen(
        step.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        printed, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        if seconds < step.seconds:
            return {"status": "skipped", "reason": f"the budget of time ended within it, after {seconds:.0f} s"}
        return {"status": "failed", "reason": f"took longer than {seconds:.0f} s"}
    finally:
        end(process)
    result: dict[str, Any] = {"status": "ok", "seconds": round(time.monotonic() - began, 1)}
    if process.returncode:
        return result | {"status": "failed", "reason": f"exit {process.returncode}: {(said + printed)[-1500:]}"}
    if not step.parses:
        return result | {"printed": printed[-300:].strip()}
    try:
        return result | {"figures": json.loads(printed)}
    except ValueError:
        return result | {"status": "failed", "reason": f"printed no JSON: {printed[-500:]}"}


def end(process: subprocess.Popen[str]) -> None:
    """End a step and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def machine() -> dict[str, Any]:
    """The device and the versions, asked in a process of its own; "gpu" is None where there is none."""
    found: dict[str, Any] = {"gpu": None, "python": platform.python_version(), "system": platform.platform()}
    asked = run(Step("facts", [sys.executable, "-c", FACTS], 120), 120)
    found |= asked["figures"] if asked["status"] == "ok" else {"torch": None, "reason": asked["reason"][-300:]}
    found["triton"] = importlib.util.find_spec("triton") is not None
    return found


def reason_to_skip(step: Step, facts: dict[str, Any], left: float) -> str | None:
    """Why a step does not run here; None if it does."""
    if step.needs_gpu and facts["gpu"] is None:
        return "no GPU"
    if step.name == "tests" and not facts["triton"] and facts["gpu"] is None:
        return "no GPU, and Triton is not installed"
    return "the budget of time is spent" if left < 5 else None


def measure(report: dict[str, Any], chosen: list[str] | None, budget: float, data: Path) -> None:
    """Fill the report, step by step."""
    ends = time.monotonic() + budget
    report["machine"] = facts = machine()
    gpu = facts["gpu"] is not None
    listed = list(steps(gpu, facts["torch"], data))
    if chosen is not None:
        listed = [step for step in listed if any(step.name.startswith(name) for name in chosen)]
    report["steps"].update({step.name: {"status": "skipped", "reason": "stopped before it"} for step in listed})
    made = Step("data", [sys.executable, str(HERE / "gpu_data.py"), str(data)], 60, parses=False)
    for step in listed:
        left = ends - time.monotonic()
        if reason := reason_to_skip(step, facts, left):
            report["steps"][step.name] = {"status": "skipped", "reason": reason}
        else:
            report["steps"][step.name] = {"status": "failed", "reason": "stopped within it"}
            print(f"{step.name}: begun", file=sys.stderr, flush=True)
            if step.name.startswith("bench fit") and not any(data.iterdir()):
                report["steps"]["data"] = run(made, min(made.seconds, left))
            report["steps"][step.name] = run(step, max(1, min(step.seconds, ends - time.monotonic())))
        done = report["steps"][step.name]
        print(f"{step.name}: {done['status']} {done.get('reason', '')[-300:]}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=460, help="seconds for all steps (default: 460)")
    parser.add_argument("--steps", help="the beginnings of the names of those that run, with commas (default: all)")
    arguments = parser.parse_args()

    def stop(*_: object) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    began = time.monotonic()
    report: dict[str, Any] = {"machine": {}, "data": f"made up: {MADE}", "stopped": False, "steps": {}}
    with tempfile.TemporaryDirectory(prefix="rnnzoo-gpu-") as folder:
        try:
            measure(report, arguments.steps and arguments.steps.split(","), arguments.budget, Path(folder))
        except Stopped:
            report["stopped"] = True
    report["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(report, indent=1))
    return int(any(step["status"] == "failed" for step in report["steps"].values()))


if __name__ == "__main__":
    sys.exit(main())
