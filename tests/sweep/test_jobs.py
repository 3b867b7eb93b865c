"""Processes of a sweep: what they are given, and what follows on failures."""

import pytest

from rnnzoo import recipe as recipes
from rnnzoo.errors import RunError
from rnnzoo.sweep import options, runner
from rnnzoo.sweep.jobs import Ended, environment
from rnnzoo.sweep.journal import Journal
from rnnzoo.sweep.plan import Planner, planned
from rnnzoo.sweep.runner import Runner


def test_a_process_does_not_get_what_is_another_runs():
    given = {"WANDB_SERVICE": "x", "WANDB_RUN_ID": "x", "RNNZOO_RUN_DIR": "x", "RANK": "0", "WANDB_PROJECT": "mine"}
    assert environment(0, 1, given) == {"WANDB_PROJECT": "mine", "WANDB_JOB_TYPE": "sweep"}


def test_processes_share_the_cores_and_the_gpus(monkeypatch):
    monkeypatch.setattr("rnnzoo.sweep.jobs.cores", lambda: 8)
    each = [environment(slot, 3, {"CUDA_VISIBLE_DEVICES": "4,7"}) for slot in range(3)]
    assert [own["OMP_NUM_THREADS"] for own in each] == ["2"] * 3
    assert [own["CUDA_VISIBLE_DEVICES"] for own in each] == ["4", "7", "4"]
    assert environment(0, 3, {"OMP_NUM_THREADS": "5"})["OMP_NUM_THREADS"] == "5"


@pytest.fixture
def sweeping(tmp_path):
    words = ["--sweep.keys.optimizer.lr", "[0.1, 0.2, 0.3, 0.4]", "--sweep.failures", "2"]
    sweep = options.read(recipes.read("quickstart", words))
    journal = Journal(tmp_path, {})
    yield Runner(sweep, journal, 1), planned(Planner(sweep).configurations(), sweep.seeds)
    journal.close()


@pytest.mark.parametrize(("ends", "stops"), [("ffff", True), ("pfpf", False), ("pffp", True), ("fppf", False)])
def test_so_many_failures_in_a_row_end_a_sweep_and_others_are_told(sweeping, monkeypatch, capsys, ends, stops):
    doing, runs = sweeping
    ways = {"f": ("failed", "no memory"), "p": ("paused", "")}

    def work(jobs, at_once):
        for job, end in zip(jobs, ends, strict=False):
            yield Ended(job, *ways[end], 1.0)

    monkeypatch.setattr(runner, "work", work)
    if stops:
        with pytest.raises(RunError, match="2 runs in a row failed; the last: no memory"):
            doing.do(runs)
    else:
        doing.do(runs)
        assert len(doing.failed) == 2
    assert "failed: no memory" in capsys.readouterr().err
