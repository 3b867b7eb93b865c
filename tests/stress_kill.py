"""Kill a training again and again, and see that nothing is lost: `python tests/stress_kill.py [KILLS] [SEED]`.

Each time the run is started by `rnnzoo fit --resume auto` and killed by SIGKILL at a random moment. After each kill all
that counts as complete must load, and no more than one interval between training states may be lost. At the end the run
must have the weights of one that was never killed, and no litter. Prints the totals; exits 1 where one is not 0.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from rnnzoo.cli import main
from rnnzoo.errors import RunError
from rnnzoo.runs import checkpoint, snapshot

EVERY = 3  # steps from one training state to the next
RECIPE = [
    "toy_tags",
    *("--trainer.max_epochs", "60", "--trainer.limit_train_batches", "40", "--trainer.limit_val_batches", "2"),
    *("--checkpoint.every_n_steps", str(EVERY), "--checkpoint.every_minutes", "1000", "--tracking.mode", "disabled"),
    *("--trainer.enable_progress_bar", "false"),
]


def start(run: Path, moment: tuple[int, float] | None = None) -> int:
    """Train in a process of its own. Returns its exit code, minus a signal.

    moment: kill it so many training states, and then so many seconds, after its start.
    """
    states = run / "resume"
    before = set(states.glob("step-*"))
    child = os.fork()  # the imports are done: a start takes no seconds
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(main(["fit", *RECIPE, "--run_dir", str(run), "--resume", "auto"]))
    if moment is not None:
        more, seconds = moment
        while more and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if (now := set(states.glob("step-*"))) - before:
                before, more = now, more - 1
            time.sleep(0.002)
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def damaged(run: Path) -> list[str]:
    """What says that it is complete and does not load."""
    faults = []
    for state in snapshot.complete(run / "resume"):
        try:
            snapshot.read(state)
        except RunError as error:
            faults.append(str(error))
    for pointer in checkpoint.POINTERS:
        path = run / "checkpoints" / pointer
        try:
            if path.exists():
                checkpoint.load(checkpoint.follow(path))
        except RunError as error:
            faults.append(str(error))
    return faults


def newest(run: Path) -> int:
    states = snapshot.complete(run / "resume")
    return int(states[0].name.split("-")[1]) if states else 0


def logged(run: Path) -> int:
    """The last step that the metrics file tells, 0 for none."""
    from rnnzoo.runs.record import last_records

    records = last_records(run / "metrics.jsonl", 1)
    return int(records[-1]["step"]) if records else 0


def weights(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.follow(run / "checkpoints" / "last")).weights


def stress(kills: int, seed: int, folder: Path) -> int:
    moments = random.Random(seed)
    assert start(folder / "full") == 0
    run, faults, backwards, too_far, done = folder / "killed", [], 0, 0, 0
    for kill in range(kills):
        before = newest(run)
        code = start(run, (moments.choice((0, 1, 1, 2, 3)), moments.uniform(0.0, 0.3)))
        done += code == -signal.SIGKILL
        faults += damaged(run)
        backwards += newest(run) < before
        too_far += logged(run) - newest(run) > EVERY + 50  # metrics are logged every 50 steps
        if code == 0:  # it came to its end before it was killed
            shutil.rmtree(run)
        if kill % 20 == 19:
            print(f"{kill + 1} starts, at step {newest(run)}", flush=True)
    code = start(run)
    litter = [str(path) for path in run.rglob(".tmp-*")]
    ours, theirs = weights(run), weights(folder / "full")
    different = [name for name in theirs if not torch.equal(ours[name], theirs[name])]
    totals = {
        "kills": done,
        "damaged": len(faults),
        "states that went backwards": backwards,
        "lost more than one interval": too_far,
        "last run's exit code": code,
        "litter": len(litter),
        "weights that differ from those of a run that was not killed": len(different),
    }
    print(*(f"{count:6} {what}" for what, count in totals.items()), sep="\n")
    print(*faults[:5], *litter[:5], sep="\n")
    return int(bool(faults or backwards or too_far or code or litter or different))


if __name__ == "__main__":
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory(prefix="stress-", dir=Path.cwd()) as scratch:  # TMPDIR may be another file system
        sys.exit(stress(int((sys.argv[1:] or ["200"])[0]), int((sys.argv[2:] or ["1"])[0]), Path(scratch)))
