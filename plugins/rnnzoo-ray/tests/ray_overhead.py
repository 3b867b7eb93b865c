"""What Ray adds to a run of two processes, over torchrun: seconds until the training begins, and the time of a step.

    python ray_overhead.py [ROUNDS]

The launchers take turns; the figures are medians over the rounds. Bars: 10 seconds, 3 %.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ["fit", "quickstart", "--devices", "2", "--trainer.max_epochs", "4", "--trainer.enable_progress_bar", "false"]
BARS = {"seconds": 10.0, "percent": 3.0}


def run(launcher: str, folder: Path) -> tuple[float, float]:
    """Seconds of a run that are not training, and milliseconds of a step."""
    began = time.monotonic()
    command = [sys.executable, "-m", "rnnzoo", *WORDS, "--launch", launcher, "--run_dir", str(folder)]
    environment = os.environ | {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds = time.monotonic() - began
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    trained = summary["train_seconds"]
    return seconds - trained, 1000 * trained / summary["steps"]


def main(rounds: int) -> int:
    found: dict[str, list[tuple[float, float]]] = {"torchrun": [], "ray": []}
    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds):
            for launcher, figures in found.items():
                figures.append(run(launcher, Path(place) / f"{launcher}-{number}"))
                print(number, launcher, *(f"{figure:.2f}" for figure in figures[-1]), flush=True)
    start, step = ({name: statistics.median(column) for name, column in pairs} for pairs in _columns(found))
    seconds, percent = start["ray"] - start["torchrun"], 100 * (step["ray"] / step["torchrun"] - 1)
    print(f"start and end: torchrun {start['torchrun']:.1f} s, ray {start['ray']:.1f} s: {seconds:+.1f} s")
    print(f"step: torchrun {step['torchrun']:.2f} ms, ray {step['ray']:.2f} ms: {percent:+.1f} %")
    return int(seconds > BARS["seconds"] or percent > BARS["percent"])


def _columns(found: dict[str, list[tuple[float, float]]]) -> list[list[tuple[str, list[float]]]]:
    return [[(name, [pair[column] for pair in pairs]) for name, pairs in found.items()] for column in (0, 1)]


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
