"""What all conformance checks share: how one is written, run, expected to fail, and reported.

A check is a function of the part under test. Its docstring states the truth that it checks. It returns nothing, or a
few words for the report; it raises AssertionError where the truth does not hold, and `NotApplicable` where that cannot
be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from rnnzoo.errors import ZooError, unknown


class NotApplicable(Exception):
    """Why a check has nothing to say about this part, here: 'no compiler'. It is listed as skipped."""


class ConformanceError(AssertionError):
    """A part that does not keep its contract; `report` holds all results."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


class Check(NamedTuple):
    """One check of one part: its name, the truth it checks, and the function that raises where that does not hold."""

    name: str
    truth: str
    run: Callable[[], str | None]


CheckFunction = Callable[[Any], str | None]  # of the part under test: a `Subject` of its kind


def checks_in(*modules: ModuleType) -> tuple[CheckFunction, ...]:
    """The functions `check_NAME` that some modules define, in the order in which they stand there."""
    return tuple(
        value
        for module in modules
        for name, value in vars(module).items()
        if name.startswith("check_") and value.__module__ == module.__name__
    )


def bind(functions: Sequence[CheckFunction], part: object) -> list[Check]:
    """The checks `check_NAME(part)` of one part. Each sees random numbers of the same seed, and leaves none behind."""
    return [
        Check(function.__name__.removeprefix("check_"), (function.__doc__ or "").strip(), _seeded(function, part))
        for function in functions
    ]


def _seeded(function: CheckFunction, part: object) -> Callable[[], str | None]:
    def run() -> str | None:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(0)
            return function(part)

    return run


@dataclass(frozen=True)
class Result:
    """The result of one check.

    held: whether the truth holds, None if the check did not apply. expected_failure: the declared reason why it does
    not. detail: what the check reports, or the message of its error.
    """

    name: str
    held: bool | None
    expected_failure: str | None = None
    detail: str = ""

    @property
    def outcome(self) -> str:
        if self.held is None:
            return "skipped"
        if self.expected_failure is None:
            return "holds" if self.held else "FAILS"
        return "DECLARED TO FAIL, HOLDS" if self.held else "fails as declared"

    @property
    def failed(self) -> bool:
        """Whether the part is at fault: a check that fails undeclared, or one declared to fail that holds."""
        return self.held is not None and self.held != (self.expected_failure is None)


@dataclass(frozen=True)
class Report:
    """All results of one part, as `kind` and `part` name it."""

    kind: str
    part: str
    results: tuple[Result, ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.failed)

    def __getitem__(self, name: str) -> Result:
        return next(result for result in self.results if result.name == name)

    def summary(self) -> str:
        """'cell lstm: 29 hold, 1 skipped'."""
        counts: dict[str, int] = {}
        for result in self.results:
            word = {"holds": "hold", "FAILS": "FAIL", "fails as declared": "fail as declared"}.get(result.outcome)
            counts[word or result.outcome] = counts.get(word or result.outcome, 0) + 1
        return f"{self.kind} {self.part}: " + ", ".join(f"{count} {word}" for word, count in counts.items())

    def __str__(self) -> str:
        lines = [f"  {result.outcome} {result.name}: {result.detail}" for result in self.failed]
        return "\n".join([self.summary(), *lines])


def check_part(
    kind: str,
    part: str,
    checks: Sequence[Check],
    expected_failures: Mapping[str, str] | None = None,
    raise_failures: bool = True,
) -> Report:
    """Run all checks of a part. expected_failures: by check name, the reason why it does not hold for this part.

    Raises: ConformanceError, listing all that failed, if `raise_failures`; ZooError for an expected failure that names
    no check or gives no reason.
    """
    expected = _expected(checks, expected_failures)
    report = Report(kind, part, tuple(_result(check, expected.get(check.name)) for check in checks))
    if raise_failures and report.failed:
        raise ConformanceError(report)
    return report


def _expected(checks: Sequence[Check], expected_failures: Mapping[str, str] | None) -> dict[str, str]:
    names = [check.name for check in checks]
    for name, reason in (expected_failures or {}).items():
        if name not in names:
            raise ZooError(unknown("expected_failures: no check is named", name, names))
        if not isinstance(reason, str) or not reason.strip():
            raise ZooError(f"expected_failures: '{name}' needs a reason, in words, got {reason!r}.")
    return dict(expected_failures or {})


def _result(check: Check, expected_failure: str | None) -> Result:
    try:
        detail = check.run()
    except NotApplicable as reason:
        return Result(check.name, None, expected_failure, str(reason))
    except AssertionError as error:
        return Result(check.name, False, expected_failure, str(error))
    except Exception as error:  # the code of a plugin under test may raise anything
        return Result(check.name, False, expected_failure, f"{type(error).__name__}: {error}")
    return Result(check.name, True, expected_failure, detail or "")


def tests_of(checks: Sequence[Check], expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """A pytest test with one case per check; expected failures are strict xfails with their reason."""
    import pytest

    expected = _expected(checks, expected_failures)

    def marks(check: Check) -> list[Any]:
        reason = expected.get(check.name)
        return [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]

    @pytest.mark.parametrize("check", [pytest.param(check, id=check.name, marks=marks(check)) for check in checks])
    def test(check: Check) -> None:
        try:
            check.run()
        except NotApplicable as reason:
            pytest.skip(str(reason))

    return test


tests_of.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test where it is imported
