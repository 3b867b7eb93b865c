"""Digests of resumed trainings beside those of uninterrupted ones: `python tests/resume_digests.py`."""

import hashlib
import logging
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "training"))

from test_snapshots import TRAININGS, rows, snapshot, train


def digest(weights):
    """Of the names, shapes and bytes of all weights."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(f"{name} {tuple(weights[name].shape)} ".encode() + weights[name].numpy().tobytes())
    return found.hexdigest()[:16]


def main() -> int:
    different = 0
    for training, (name, overrides) in TRAININGS.items():
        for stop_after in (4, 8, 13):
            with tempfile.TemporaryDirectory() as scratch:
                full, stopped = Path(scratch, "full"), Path(scratch, "stopped")
                longer = [*overrides, "--trainer.max_epochs", "3"]
                whole = digest(train(full, name, longer))
                train(stopped, name, longer, stop_after)
                newest, *_ = snapshot.complete(stopped / "resume")
                resumed = digest(train(stopped, name, longer, resume=newest))
                logs = rows(full) == rows(stopped)
            equal = whole == resumed and logs
            different += not equal
            verdict = "equal" if equal else "DIFFERENT"
            print(f"{training:24} stopped after batch {stop_after:2}: {whole} {resumed} {verdict}", flush=True)
    print(f"{different} differ")
    return int(different > 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    sys.exit(main())
