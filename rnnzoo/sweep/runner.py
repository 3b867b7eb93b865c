"""Does runs of a sweep and reads what they came to, with a line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from rnnzoo.errors import RunError
from rnnzoo.runs.summary import Best, Summary
from rnnzoo.sweep import scores
from rnnzoo.sweep.jobs import Ended, Job, work
from rnnzoo.sweep.journal import JOBS, Journal
from rnnzoo.sweep.options import Sweep
from rnnzoo.sweep.plan import Run
from rnnzoo.system import console
from rnnzoo.system.quantities import amount, duration, roughly

MANY = 20  # runs, from which on a time is said before they start


class Runner:
    """Runs in the folder of a journal. at_once: processes."""

    def __init__(self, sweep: Sweep, journal: Journal, at_once: int) -> None:
        self.sweep, self.journal, self.at_once = sweep, journal, at_once
        self.failed: dict[str, tuple[Run, str]] = {}  # by name, with the reason

    def folder(self, run: Run) -> Path:
        return self.journal.folder / run.name

    def summary(self, run: Run) -> Summary | None:
        """Of a run that is finished."""
        return scores.finished(self.folder(run), run.digest)

    def score(self, run: Run) -> float | None:
        """The dev score of a run that is finished."""
        summary = self.summary(run)
        return None if summary is None else scores.score(summary, self.sweep.options.metric)

    def best(self, run: Run) -> Best:
        """Which metric chose a run's checkpoint; empty before it is finished."""
        return (self.summary(run) or Summary()).get("best", Best())

    def do(self, runs: Sequence[Run], what: str = "") -> None:
        """Do what is left of runs. Raises: RunError where too many in a row failed; Stopped at a signal."""
        left = [run for run in runs if self.summary(run) is None]
        self.tell_plan(len(runs) - len(left), len(runs), what)
        self.work(map(self.job, left), len(runs) - len(left), len(runs))

    def tell_plan(self, done: int, of: int, what: str = "") -> None:
        """Say how much there is to do."""
        line = f"{what or console.short(self.journal.folder)}: {amount(of, 'run')}"
        line += f", {done:,} of them done" if done else ""
        left = of - done
        if self.at_once > 1 and left > 1:
            line += f", {self.at_once} at a time"
        if left >= MANY:
            line += f"; {roughly(60 * left / self.at_once)} if one takes a minute"
        console.print_error(f"{line}.")

    def job(self, run: Run, enough: Callable[[], bool] | None = None) -> Job:
        return Job(run, self.folder(run), self.journal.folder / JOBS / run.name, enough)

    def work(self, jobs: Iterator[Job], done: int, of: int, score: Callable[[Run], str] | None = None) -> None:
        """Do jobs. done, of: how many there were before, and will be. score: what a line says of a run."""
        seconds, in_a_row = 0.0, 0
        first = done
        with closing(work(jobs, self.at_once)) as ends:
            for ended in ends:
                done += 1
                seconds += ended.seconds
                left = seconds / (done - first) * (of - done) / self.at_once
                console.print_error(self._line(ended, done, of, left, score or self._score))
                run = ended.job.run
                in_a_row = in_a_row + 1 if ended.how == "failed" else 0
                self.failed.pop(run.name, None)
                if ended.how == "failed":
                    self.failed[run.name] = (run, ended.why)
                if in_a_row >= self.sweep.options.failures:
                    raise RunError(
                        f"{amount(in_a_row, 'run')} in a row failed; the last: {ended.why}\n"
                        f"  What it printed: {console.short(ended.job.place / 'output.txt')}\n"
                        "  The same command goes on once that is put right; sweep.failures says how many are borne."
                    )

    def _line(self, ended: Ended, done: int, of: int, left: float, score: Callable[[Run], str]) -> str:
        run = ended.job.run
        value = f"failed: {ended.why}" if ended.how == "failed" else score(run)
        words = [f"{done:,} of {of:,}", run.label, value, duration(ended.seconds)]
        return "   ".join([*words, *([f"about {roughly(left)} left"] if done < of else [])])

    def _score(self, run: Run) -> str:
        metric = self.sweep.options.metric or self.best(run).get("monitor", "score")
        return f"{metric} {console.printable(self.score(run))}"

    def chosen_by(self, runs: Iterable[Run]) -> tuple[str, str]:
        """The metric that chooses, and which is better, "max" or "min"; before a run is finished a guess.

        Raises: RunError where runs have different ones.
        """
        if self.sweep.options.metric is not None and self.sweep.mode is not None:
            return self.sweep.options.metric, self.sweep.mode
        found: dict[str, str] = {}
        for run in runs:
            if "monitor" in (best := self.best(run)):
                found[best["monitor"]] = best.get("mode", "max")
        if len(found) > 1:
            raise RunError(
                f"the runs of the sweep are scored by different metrics: {', '.join(sorted(found))}.\n"
                "  Name the one that chooses: --sweep.metric, with --sweep.mode max or min. The runs are kept."
            )
        return next(iter(found.items()), ("score", "max"))
