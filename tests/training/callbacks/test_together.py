"""Processes that torchrun has started with different commands are refused before the first step."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo import runs
from rnnzoo.training.callbacks.together import differences

JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda part: st.dictionaries(st.text("ab", max_size=2), part)
)
EACH = """
import os, sys
from rnnzoo.cli import main
words, rank = sys.argv[1:], os.environ["RANK"]
sys.exit(main([word.replace("RANK", rank) for word in words]))
"""
FIT = ("fit", "quickstart", "--data.examples", "64", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "1")
FIT += ("--tracking.mode", "disabled", "--trainer.enable_progress_bar", "false")


@given(JSON, JSON)
def test_there_are_differences_where_two_are_not_equal(one, two):
    assert bool(list(differences({"key": one}, {"key": two}))) == (one != two)


def test_a_difference_is_named_by_its_dotted_key_with_both_values():
    one, two = {"recipe": {"lr": 0.1, "seed": 1}}, {"recipe": {"lr": 0.2, "seed": 1, "name": "a"}}
    assert list(differences(one, two)) == [("recipe.lr", "0.1", "0.2"), ("recipe.name", "nothing", "a")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (
            ["--run_dir", "run", "--optimizer.lr", "0.00RANK5"],
            "process 1 differs from process 0 in recipe.optimizer.lr",
        ),
        (["--run_dir", "run-RANK"], "does not see the run's folder as process 0"),
    ],
)
def test_two_processes_of_different_runs_are_refused_before_they_train(words, why, here):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
    done = subprocess.run(
        [*launch, sys.executable, "-c", EACH, *FIT, *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0 and why in done.stderr
    (folder,) = (path for path in here.glob("run*") if (path / "summary.json").exists())
    summary = runs.read(folder)["summary"]
    assert summary["status"] == "failed" and "steps" not in summary
    assert not list(folder.glob(".together-*"))
