"""The first training step of a process, which builds the engine's code or loads it from the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict

from rnnzoo.bench import timing
from rnnzoo.bench.cases import Case
from rnnzoo.bench.cells import random_input, training
from rnnzoo.bench.contenders import contenders
from rnnzoo.engine.recurrence import report
from rnnzoo.errors import ZooError
from rnnzoo.system.files import JsonObject

FIRST_CALL = """
import json, sys
from rnnzoo.bench.first_call import first_call
print(json.dumps(first_call(**json.loads(sys.argv[1]))))
"""


def first_calls(cell: str, case: Case, engine: str = "auto", device: str = "cpu") -> JsonObject:
    """Seconds of the first training step of a process, with an empty cache of built code and with a full one.

    Each runs in a process of its own, where torch is loaded and warm and the cell has not run; `_cpu_s` are of the
    processor, the compiler's among them.
    """
    arguments = json.dumps({"cell": cell, "case": asdict(case), "engine": engine, "device": device})
    seconds: JsonObject = {}
    with tempfile.TemporaryDirectory(prefix="rnnzoo-bench-") as cache:
        caches = {"RNNZOO_CACHE": "", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
        folders = {name: os.path.join(cache, folder) for name, folder in caches.items()}
        for name in ("first_build", "later_load"):
            command = [sys.executable, "-c", FIRST_CALL, arguments]
            done = subprocess.run(command, env=os.environ | folders, capture_output=True, text=True)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line[:1].strip()]
                raise ZooError(f"the first call of '{cell}' in a process of its own failed: {(lines or ['?'])[-1]}")
            wall, cpu, seconds["engine"] = json.loads(done.stdout.splitlines()[-1])
            seconds |= {f"{name}_s": wall, f"{name}_cpu_s": cpu}
    return seconds


def first_call(cell: str, case: JsonObject, engine: str, device: str) -> tuple[float, float, list[dict[str, object]]]:
    """The engine's first training step after one of the reference loop: seconds of the wall and of the processor."""
    shape = Case(**case | {"lengths": tuple(case["lengths"])})
    with timing.conditions(1, device):
        x = random_input(len(shape.lengths), shape.time, shape.input_size).to(device)
        entrants = contenders(cell, shape, engine, ["reference"], device)
        training(entrants["reference loop"], x, shape)()
        wall, cpu = timing.wall(device), sum(os.times()[:4])  # the last two of them are of finished children
        training(entrants["engine"], x, shape)()
        seconds = timing.wall(device) - wall, sum(os.times()[:4]) - cpu
    return *seconds, report(entrants["engine"].module)
