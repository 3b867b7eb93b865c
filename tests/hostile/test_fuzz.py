"""Each reader is fed a few files that nobody writes; `python tests/fuzz.py` goes on for as long as it is told."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import fuzz
from fuzz_targets import TARGETS

LONG = ("recipe", "checkpoint", "state", "resume", "show")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in TARGETS])
def test_a_reader_refuses_what_it_cannot_read_and_fails_in_no_other_way(name):
    findings = fuzz.Findings(TARGETS[name]())
    fuzz.by_hypothesis(findings, examples=40, seed=1)
    assert not findings.found, str(findings)
    assert findings.executions >= 20
