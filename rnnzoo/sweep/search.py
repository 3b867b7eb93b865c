"""The ways of a sweep through its combinations: all, the better half again and again, or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from rnnzoo.errors import RecipeError, RunError
from rnnzoo.recipe import Node
from rnnzoo.sweep import proposals, scores
from rnnzoo.sweep.halving import Rung, rungs
from rnnzoo.sweep.jobs import Job
from rnnzoo.sweep.plan import Configuration, Planner, Run, planned
from rnnzoo.sweep.proposals import Trial
from rnnzoo.sweep.runner import Runner
from rnnzoo.sweep.scores import Mean
from rnnzoo.sweep.space import Choice, Settings
from rnnzoo.system import console
from rnnzoo.system.quantities import amount

Search = Callable[[Planner, Runner], list[Configuration]]


def all_of_them(planner: Planner, runner: Runner) -> list[Configuration]:
    """Run every combination to its end; for grids and random draws."""
    configurations = planner.configurations()
    runs = planned(configurations, planner.sweep.seeds)
    runner.journal.plan(runs)
    runner.do(runs)
    return configurations


def ranked(
    configurations: Sequence[Configuration], seeds: Sequence[int], score: Callable[[Run], float | None], mode: str
) -> list[tuple[Configuration, Mean]]:
    """The combinations that have a score, by its mean over seeds, the best first.

    Those that lack the score of a seed, as its run failed, come after all others: a mean of the rest flatters them.
    """
    found = []
    for configuration in configurations:
        mean = scores.mean([score(configuration.run(seed)) for seed in seeds])
        if mean is not None:
            found.append((configuration, mean))
    sign = -1 if mode == "max" else 1
    return sorted(found, key=lambda one: (-len(one[1].values), sign * one[1].mean))


# -- successive halving ---------------------------------------------------------------------------------------------


def halving(planner: Planner, runner: Runner) -> list[Configuration]:
    """Successive halving, see `rnnzoo.sweep.halving`; returns those that were trained to the end."""
    configurations, seeds = planner.configurations(), planner.sweep.seeds
    runner.journal.plan(planned(configurations, seeds))
    trainer = planner.sweep.recipe["trainer"]
    epochs = min([trainer["max_epochs"], *(c.recipe["trainer"]["max_epochs"] for c in configurations)])
    stages = rungs(len(configurations), epochs, planner.sweep.options.factor, trainer["check_val_every_n_epoch"])
    by = _metric(planner, configurations)
    left = configurations
    for number, rung in enumerate(stages):
        left = left[: rung.combinations]
        runs, what = planned(left, seeds), f"stage {number + 1} of {len(stages)}"
        if rung.epochs is None:
            runner.do(runs, what)
        else:
            left = _stage(runner, left, rung, what, by)
    return left


def _metric(planner: Planner, configurations: Sequence[Configuration]) -> tuple[str, str]:
    """The metric that chooses, and which is better. Raises: RecipeError, DataError."""
    sweep = planner.sweep
    if sweep.options.metric is not None and sweep.mode is not None:
        return sweep.options.metric, sweep.mode
    found = {planner.specs.monitor(configuration.recipe) for configuration in configurations}
    if len(found) > 1:
        names = ", ".join(sorted(name for name, _ in found))
        raise RecipeError(
            f"{sweep.base.file}: sweep: the runs are scored by different metrics: {names}.\n"
            "  Name the one that chooses: sweep.metric, with sweep.mode max or min."
        )
    return found.pop()


def _stage(
    runner: Runner, left: list[Configuration], rung: Rung, what: str, by: tuple[str, str]
) -> list[Configuration]:
    """Train runs until their dev curves are as long as the rung; the combinations, the best first."""
    epochs, seeds, (metric, mode) = rung.epochs or 0, runner.sweep.seeds, by
    runs = planned(left, seeds)

    def reached(run: Run) -> bool:
        return runner.summary(run) is not None or max(scores.dev_curve(runner.folder(run), metric), default=0) >= epochs

    def score(run: Run) -> float | None:
        curve = scores.dev_curve(runner.folder(run), metric)
        values = [value for epoch, value in curve.items() if epoch <= epochs]
        return (max if mode == "max" else min)(values, default=None)

    todo = [run for run in runs if not reached(run)]
    runner.tell_plan(len(runs) - len(todo), len(runs), f"{what}, {amount(epochs, 'epoch')}")
    jobs = (runner.job(run, enough=partial(reached, run)) for run in todo)
    runner.work(jobs, len(runs) - len(todo), len(runs), lambda run: f"{metric} {console.printable(score(run))}")
    return [configuration for configuration, _ in ranked(left, seeds, score, mode)]


# -- optuna ---------------------------------------------------------------------------------------------------------


def proposed(planner: Planner, runner: Runner) -> list[Configuration]:
    """Run what a sampler of optuna proposes, one combination after the other."""
    options = planner.sweep.options
    proposals.check_installed(options.sampler)
    planner.check_corners()
    search = _Proposals(planner, runner)
    of = (options.draws or 0) * len(planner.sweep.seeds)
    done = search.done()
    runner.tell_plan(done, of)
    runner.work(search.jobs(), done, of)
    return [configuration for _, configuration in search.tried]


class _Proposals:
    """The combinations proposed so far: those of an earlier sweep in the folder, then new ones."""

    def __init__(self, planner: Planner, runner: Runner) -> None:
        self.planner, self.runner, self.seeds = planner, runner, planner.sweep.seeds
        self.tried: list[tuple[Settings, Configuration]] = []
        for settings in self._earlier():
            self.tried.append((settings, planner.configuration(settings)))
        runner.journal.plan(planned([configuration for _, configuration in self.tried], self.seeds))

    def _earlier(self) -> Iterator[Settings]:
        known: list[dict[str, Any]] = []
        for entry in self.runner.journal.of("search"):
            if entry["settings"] not in known:
                known.append(entry["settings"])
                yield {key: self._node(key, entry["settings"].get(key)) for key in self.planner.sweep.space}

    def _node(self, key: str, value: Any) -> Node:
        dimension = self.planner.sweep.space[key]
        if not isinstance(dimension, Choice):
            return dimension.node(value if isinstance(value, (int, float)) else dimension.low)
        node = next((node for node in dimension.values if node.plain == value), None)
        if node is None:
            raise RunError(
                f"{self.runner.journal.folder} holds another sweep: in it {key} is {value!r:.80}.\n"
                "  Choose another folder with --sweep_dir."
            )
        return node

    def done(self) -> int:
        runs = planned([configuration for _, configuration in self.tried], self.seeds)
        return sum(self.runner.summary(run) is not None for run in runs)

    def jobs(self) -> Iterator[Job]:
        yield from self._left([configuration for _, configuration in self.tried])
        draws = self.planner.sweep.options.draws or 0
        for number in range(len(self.tried), draws):
            settings = self._next(number)
            try:
                configuration = self.planner.configuration(settings)
            except RecipeError:  # each value is right, but not these together
                continue
            self.tried.append((settings, configuration))
            self.runner.journal.add(planned([configuration], self.seeds), "search")
            yield from self._left([configuration])

    def _left(self, configurations: list[Configuration]) -> Iterator[Job]:
        for run in planned(configurations, self.seeds):
            if self.runner.summary(run) is None:
                yield self.runner.job(run)

    def _next(self, number: int) -> Settings:
        sweep = self.planner.sweep
        runs = planned([configuration for _, configuration in self.tried], self.seeds)
        _, mode = self.runner.chosen_by(runs)
        return proposals.propose(sweep.space, sweep.options, list(self._trials()), mode, number)

    def _trials(self) -> Iterator[Trial]:
        """Those whose runs have ended, with their scores; without one where a run of any seed failed."""
        for settings, configuration in self.tried:
            runs = planned([configuration], self.seeds)
            values = [self.runner.score(run) for run in runs if self.runner.summary(run) is not None]
            failed = [run for run in runs if run.name in self.runner.failed]
            if len(values) + len(failed) == len(runs):
                mean = None if failed else scores.mean(values)
                yield Trial(settings, None if mean is None else mean.mean)


METHODS: dict[str, Search] = {"grid": all_of_them, "random": all_of_them, "halving": halving, "optuna": proposed}
