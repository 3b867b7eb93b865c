"""What saving costs a training: `python tests/checkpoint_cost.py RECIPE [OPTION ...]`.

Trains a recipe once and prints the share of its time, and of its processor time, in which training states and
checkpoints were written, at the recipe's own interval.
"""

import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import read
from rnnzoo.training.callbacks.checkpoints import Checkpoints
from rnnzoo.training.callbacks.snapshots import Snapshots


class Timed:
    """A method whose calls are counted and timed."""

    def __init__(self, owner: type, name: str) -> None:
        self.method, self.calls, self.seconds, self.cpu_seconds = getattr(owner, name), 0, 0.0, 0.0
        self.patch = patch.object(owner, name, lambda *arguments: self(*arguments))

    def __call__(self, *arguments: object) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.method(*arguments)
        self.calls += 1
        self.seconds += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu


def main(name: str, *options: str) -> None:
    timed = {"training states": Timed(Snapshots, "_save"), "checkpoints": Timed(Checkpoints, "_save")}
    with tempfile.TemporaryDirectory() as scratch:
        for each in timed.values():
            each.patch.start()
        summary, _ = fit(resolve(read(name, ["--trainer.enable_progress_bar=false", *options])), Path(scratch, "run"))
    wall, cpu = summary["train_seconds"], summary["cpu_seconds"] or float("nan")
    print(f"training: {wall:.1f} s, {cpu:.1f} processor seconds")
    for what, each in timed.items():
        shares = f"{each.seconds / wall:.2%} of the time, {each.cpu_seconds / cpu:.2%} of the processor time"
        print(f"{what}: {each.calls}, {each.seconds:.2f} s, {each.cpu_seconds:.2f} processor seconds; {shares}")


if __name__ == "__main__":
    main(*sys.argv[1:])
