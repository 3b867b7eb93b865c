"""The script for a machine with a GPU gives one JSON without one, too, and when it is stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="a script for bash")]
SCRIPT = ["bash", str(Path(__file__).with_name("gpu.sh"))]
ENVIRONMENT = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}


def test_without_a_gpu_it_passes_and_skips_by_name_what_needs_one():
    pytest.importorskip("triton")
    command = [*SCRIPT, "--steps", "parity,bench", "--budget", "60"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    report = json.loads(done.stdout)
    steps = report["steps"]
    assert report["machine"]["gpu"] is None and not report["stopped"]
    assert {name for name, step in steps.items() if step == {"status": "skipped", "reason": "no GPU"}} >= {
        "bench cell lstm",
        "bench fit ptb_awd 16-mixed",
    }
    assert done.returncode == 0, steps["parity"]
    assert steps["parity"]["figures"]["differences"]["lstm"]["triton"]["fp32"] < 1e-4


def test_stopped_it_prints_what_it_has():
    process = subprocess.Popen(
        [*SCRIPT, "--steps", "parity"], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("parity: begun")
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    report = json.loads(printed)
    assert report["stopped"] and report["steps"]["parity"] == {"status": "failed", "reason": "stopped within it"}
