"""What W&B costs: `python tests/tracking_costs.py RECIPE [OPTION ...]` trains with it offline and without, in turn.

Processor seconds of training are what a summary says; those of the whole command include W&B's service, a process of
its own. Ratios are of medians.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5


def measure(arguments: list[str], mode: str) -> dict[str, float]:
    """Seconds of one run."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, began = Path(scratch, "run"), time.perf_counter()
        where = {f"WANDB_{name}_DIR": scratch for name in ("DATA", "CACHE", "CONFIG")}
        command = [sys.executable, "-m", "rnnzoo", "fit", *arguments, "--run_dir", str(folder)]
        process = subprocess.Popen(
            [*command, "--trainer.enable_progress_bar", "false", "--tracking.mode", mode],
            env={name: value for name, value in os.environ.items() if name != "WANDB_MODE"} | where,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        summary = json.loads((folder / "summary.json").read_text())
    return {
        "training, processor seconds": summary["cpu_seconds"],
        "command, processor seconds": usage.ru_utime + usage.ru_stime,
        "command, seconds": time.perf_counter() - began,
        "steps": summary["steps"],
    }


def main(arguments: list[str]) -> None:
    found: dict[str, list[dict[str, float]]] = {"offline": [], "disabled": []}
    for _ in range(ROUNDS):
        for mode, rows in found.items():
            rows.append(measure(arguments, mode))
            print(mode, json.dumps(rows[-1]), flush=True)
    for name in found["offline"][0]:
        with_wandb, without = (statistics.median(row[name] for row in rows) for rows in found.values())
        print(f"{name:30} {with_wandb:9.3f} {without:9.3f}  {with_wandb / without:.4f}, {with_wandb - without:+.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
