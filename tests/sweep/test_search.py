"""The ways through a sweep's combinations, with runs that are made up: each is as good as its learning rate."""

import json

import pytest

from rnnzoo import recipe as recipes
from rnnzoo.errors import RunError
from rnnzoo.sweep import options
from rnnzoo.sweep.jobs import Ended
from rnnzoo.sweep.journal import Journal
from rnnzoo.sweep.plan import Planner
from rnnzoo.sweep.runner import Runner
from rnnzoo.sweep.search import METHODS, ranked


class MadeUp(Runner):
    """Runs that train an epoch at a time in no time. begun: the runs, in their order. epochs: trained, of each."""

    def __init__(self, sweep, journal, most=10**9):
        super().__init__(sweep, journal, 1)
        self.begun, self.epochs, self.most = [], {}, most

    def work(self, jobs, done, of, score=None):
        for job in jobs:
            if len(self.begun) == self.most:
                raise KeyboardInterrupt
            self.begun.append(job.run.name)
            job.folder.mkdir(parents=True, exist_ok=True)
            how = self._train(job)
            self._line(Ended(job, how, "", 1.0), done, of, 1.0, score or self._score)

    def _train(self, job):
        rate, last = job.run.recipe["optimizer"]["lr"], job.run.recipe["trainer"]["max_epochs"]
        path = job.folder / "metrics.jsonl"
        trained = len(path.read_text().splitlines()) if path.exists() else 0
        while trained < last and not (job.enough is not None and job.enough()):
            with path.open("a") as file:
                file.write(json.dumps({"epoch": trained, "val/accuracy": rate + trained / 1000}) + "\n")
            trained += 1
            self.epochs[job.run.name] = self.epochs.get(job.run.name, 0) + 1
        if trained < last:
            return "paused"
        best = {"monitor": "val/accuracy", "mode": "max", "score": rate + (last - 1) / 1000}
        summary = {"status": "finished", "digest": job.run.digest, "best": best}
        (job.folder / "summary.json").write_text(json.dumps(summary))
        return "finished"


def search(folder, *words, most=10**9):
    sweep = options.read(recipes.read("quickstart", ["--data.examples", "48", *words]))
    journal = Journal(folder, {})
    runner = MadeUp(sweep, journal, most)
    try:
        found = METHODS[sweep.options.method](Planner(sweep), runner)
    except KeyboardInterrupt:
        found = None
    finally:
        journal.close()
    return found, runner


RATES = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09]
HALVING = [
    *("--sweep.method", "halving", "--sweep.keys.optimizer.lr", str(RATES), "--trainer.max_epochs", "9"),
]


def test_halving_trains_the_better_third_three_times_as_long(tmp_path):
    found, runner = search(tmp_path, *HALVING)
    assert [c.recipe["optimizer"]["lr"] for c in found] == [0.09]
    assert sorted(runner.epochs.values()) == [1] * 6 + [3] * 2 + [9]
    assert len(runner.begun) == 9 + 3 + 1


@pytest.mark.parametrize("most", [1, 6, 12])
def test_halving_that_was_killed_trains_no_epoch_twice(tmp_path, most):
    _, before = search(tmp_path, *HALVING, most=most)
    found, after = search(tmp_path, *HALVING)
    assert [c.recipe["optimizer"]["lr"] for c in found] == [0.09]
    epochs = {name: before.epochs.get(name, 0) + after.epochs.get(name, 0) for name in after.epochs | before.epochs}
    assert sorted(epochs.values()) == [1] * 6 + [3] * 2 + [9]


OPTUNA = [
    *("--sweep.method", "optuna", "--sweep.draws", "24", "--trainer.max_epochs", "1"),
    *("--sweep.keys.optimizer.lr", "{low: 0.001, high: 0.1, scale: log}"),
    *("--sweep.keys.model.architecture.cell", "[lstm, gru]"),
]


@pytest.mark.slow
def test_optuna_proposes_better_ones_than_it_began_with_and_goes_on_as_it_would_have(tmp_path):
    pytest.importorskip("optuna")
    found, whole = search(tmp_path / "whole", *OPTUNA)
    rates = [c.recipe["optimizer"]["lr"] for c in found]
    assert len(whole.begun) == len({*whole.begun}) and sum(rates[-8:]) > sum(rates[:8])
    _, before = search(tmp_path / "killed", *OPTUNA, most=17)
    _, after = search(tmp_path / "killed", *OPTUNA)
    assert before.begun + after.begun == whole.begun


def test_a_sweep_of_other_values_is_refused_in_its_folder(tmp_path):
    pytest.importorskip("optuna")
    search(tmp_path, *OPTUNA, most=3)
    with pytest.raises(RunError, match="holds another sweep"):
        search(tmp_path, *OPTUNA, "--sweep.keys.model.architecture.cell", "[vanilla]")


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_combination_that_lacks_a_seed_comes_after_those_that_have_all(tmp_path, mode):
    found, _ = search(tmp_path, "--sweep.keys.optimizer.lr", "[0.01, 0.02, 0.03]", "--trainer.max_epochs", "1")
    values = {0.01: [0.2, 0.4], 0.02: [0.9 if mode == "max" else 0.0, None], 0.03: [None, None]}
    order = ranked(found, [1, 2], lambda run: values[run.recipe["optimizer"]["lr"]][run.seed - 1], mode)
    assert [(c.recipe["optimizer"]["lr"], len(mean.values)) for c, mean in order] == [(0.01, 2), (0.02, 1)]
