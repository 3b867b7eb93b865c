"""Whether the disk has room for a run, asked before it begins."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from rnnzoo.errors import RunError
from rnnzoo.system.quantities import size
from rnnzoo.training.module import ZooModule

COPIES = 12  # of the weights: three checkpoints and three training states, the newest of each being written; a state
# has three numbers for each weight where the optimizer, such as Adam, has two
MARGIN = 16 * 2**20  # bytes: metrics, pictures, W&B's files


def check_space(folder: Path, module: ZooModule) -> None:
    """Refuse a folder whose disk has no room for the files of a run; it need not be there yet. Raises: RunError."""
    weights = sum(t.numel() * t.element_size() for t in (*module.model.parameters(), *module.model.buffers()))
    needed = weights * COPIES + MARGIN
    folder = folder.absolute()
    with contextlib.suppress(OSError):  # a file system that does not say
        free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
        if free < needed:
            raise RunError(
                f"cannot start a run in {folder}: the disk has {size(free)} left, and {size(needed)} are needed.\n"
                f"  That is {COPIES} times the weights, for checkpoints and training states, and {size(MARGIN)} more.\n"
                "  Free some space, or choose another folder with --run_dir."
            )
