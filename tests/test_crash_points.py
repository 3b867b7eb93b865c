"""A crash within a save loses nothing; `python tests/crash_points.py` crashes at each call, this at one in ten."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler")
def test_after_a_crash_within_a_save_the_old_or_the_new_state_loads_and_the_next_start_leaves_nothing_else():
    script = str(Path(__file__).with_name("crash_points.py"))
    done = subprocess.run([sys.executable, script, "10"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    totals = [line for line in done.stdout.splitlines() if " times " in line]
    assert len(totals) == 4 and all(int(line.split()[0]) for line in totals)
    assert all(line.endswith("; 0 faults") for line in totals)
