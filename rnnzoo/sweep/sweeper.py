"""A sweep from its plan to its best combination, which is run again before it is believed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rnnzoo.errors import RunError
from rnnzoo.sweep import scores
from rnnzoo.sweep.journal import Journal
from rnnzoo.sweep.options import Sweep
from rnnzoo.sweep.plan import Configuration, Planner, Run, planned
from rnnzoo.sweep.runner import Runner
from rnnzoo.sweep.scores import Mean
from rnnzoo.sweep.search import METHODS, ranked
from rnnzoo.system import console
from rnnzoo.system.quantities import amount

MOST_SEED = 2**32 - 1


class Outcome(NamedTuple):
    """What a sweep came to.

    metric: the dev metric that chose. mode: which of it is better, "max" or "min". ranked: the combinations with their
    dev scores over the seeds of the search, the best first. again: the runs of the best one with new seeds. confirmed:
    its dev score over these. test: its test scores over these, by name. runs: the folders of the search's runs.
    failed: runs, each with the reason.
    """

    metric: str
    mode: str
    ranked: list[tuple[Configuration, Mean]]
    again: list[Run]
    confirmed: Mean | None
    test: dict[str, Mean]
    runs: list[Path]
    failed: list[tuple[Run, str]]


def run(sweep: Sweep, planner: Planner, folder: Path, at_once: int) -> Outcome:
    """Do what is left of a sweep in its folder, `at_once` runs at a time.

    Raises: RecipeError, DataError before anything starts; RunError where too many runs in a row failed, or none has a
    score; Stopped at a signal.
    """
    journal = Journal(folder, _facts(sweep))
    try:
        return _run(sweep, planner, Runner(sweep, journal, at_once))
    finally:
        journal.close()


def _run(sweep: Sweep, planner: Planner, runner: Runner) -> Outcome:
    configurations = METHODS[sweep.options.method](planner, runner)
    runs = planned(configurations, sweep.seeds)
    metric, mode = runner.chosen_by(runs)
    in_order = ranked(configurations, sweep.seeds, runner.score, mode)
    if not in_order:
        reason = next((f": {why}" for _, why in runner.failed.values()), "")
        raise RunError(f"no run of the sweep {console.short(runner.journal.folder)} has a dev score{reason}.")
    best = in_order[0][0]
    again = [best.run(seed) for seed in new_seeds(sweep.seeds, sweep.confirm.seeds)]
    if again:
        console.print_error(f"Best so far: {best.label}. It runs again before it is believed:")
        runner.journal.add(again, "confirm")
        runner.do(again, amount(len(again), "new seed"))
    return Outcome(
        metric,
        mode,
        in_order,
        again,
        scores.mean([runner.score(one) for one in again]),
        _test_scores(runner, again),
        [runner.folder(one) for one in runs if runner.folder(one).is_dir()],
        [*runner.failed.values()],
    )


def _test_scores(runner: Runner, runs: Sequence[Run]) -> dict[str, Mean]:
    metrics = [summary.get("metrics", {}) for run in runs if (summary := runner.summary(run)) is not None]
    names = sorted({name for one in metrics for name in one if name.startswith("test/")})
    means = {name: scores.mean([one.get(name) for one in metrics]) for name in names}
    return {name: mean for name, mean in means.items() if mean is not None}


def new_seeds(used: Sequence[int], count: int) -> list[int]:
    """The next seeds after those that were used."""
    after = itertools.chain(range(max(used) + 1, MOST_SEED + 1), range(MOST_SEED + 1))
    return list(itertools.islice((seed for seed in after if seed not in used), count))


def _facts(sweep: Sweep) -> dict[str, object]:
    keys = {key: [node.plain for node in dimension.ends] for key, dimension in sweep.space.items()}
    return {"name": sweep.recipe["name"], "method": sweep.options.method, "keys": keys, "seeds": sweep.seeds}
