"""Every suite of checks under one interface: what is checked of a part of each kind, as a report or as a pytest test.

    test_contract = architecture_tests("dilated")                   # in a test file: one pytest case per check
    report = check_task({"name": "tagging", "outside": "O"})        # a name, a mapping with parameters, or a class

No check needs a network; a data set that cannot be had without one is skipped, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NamedTuple

from rnnzoo.cells.base import CellLike
from rnnzoo.testing.base import Check, CheckFunction, Report, bind, check_part, tests_of
from rnnzoo.testing.subject import PartLike, Subject

SUITES = {  # by kind, the module with its SUBJECT and its CHECKS, imported when it is asked for: some import Lightning
    "cell": "rnnzoo.testing.cells",
    "architecture": "rnnzoo.testing.architectures",
    "task": "rnnzoo.testing.tasks",
    "dataset": "rnnzoo.testing.datasets",
    "input": "rnnzoo.testing.inputs",
    "optimizer": "rnnzoo.testing.optimizers",
    "schedule": "rnnzoo.testing.schedules",
    "callback": "rnnzoo.testing.callbacks",
    "tracker": "rnnzoo.testing.trackers",
    "launcher": "rnnzoo.testing.launchers",
}


class Suite(NamedTuple):
    """What is checked of a part of one kind: how it is made for the checks, and the checks."""

    subject: type[Subject]
    checks: tuple[CheckFunction, ...]


def suite(kind: str) -> Suite:
    """The suite of a kind, as "cell"."""
    module = import_module(SUITES[kind])
    return Suite(module.SUBJECT, module.CHECKS)


def checks_for(kind: str, part: PartLike) -> list[Check]:
    """All checks of one part."""
    subject, checks = suite(kind)
    return bind(checks, subject(part))


def check(
    kind: str, part: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a part to every check of its kind: a registered name, a mapping with a name and parameters, or a class.

    expected_failures: by check name, the reason why it does not hold for this part; added to the class's own attribute
    `expected_failures`. One that holds nevertheless is a failure.
    Raises: ConformanceError, an AssertionError that lists all failed checks, if `raise_failures`; UnknownName.
    """
    subject_class, checks = suite(kind)
    subject = subject_class(part)
    declared = subject.declared(expected_failures)
    return check_part(kind, subject.name, bind(checks, subject), declared, raise_failures)


def tests(kind: str, part: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """A pytest test of a part, one case per check; expected failures are strict xfails with their reason."""
    subject_class, checks = suite(kind)
    subject = subject_class(part)
    return tests_of(bind(checks, subject), subject.declared(expected_failures))


def check_cell(
    cell: CellLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a cell to every check: "lstm", {"name": "zoneout", "cell": "gru"}, or a class; see `check`."""
    return check("cell", cell, expected_failures, raise_failures)


def check_architecture(
    architecture: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put an architecture to every check; see `check`."""
    return check("architecture", architecture, expected_failures, raise_failures)


def check_task(
    task: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a task to every check; see `check`."""
    return check("task", task, expected_failures, raise_failures)


def check_dataset(
    dataset: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a data set to every check; see `check`."""
    return check("dataset", dataset, expected_failures, raise_failures)


def check_input(
    input: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put an input to every check; see `check`."""
    return check("input", input, expected_failures, raise_failures)


def check_optimizer(
    optimizer: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put an optimizer to every check; see `check`."""
    return check("optimizer", optimizer, expected_failures, raise_failures)


def check_schedule(
    schedule: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a schedule to every check; see `check`."""
    return check("schedule", schedule, expected_failures, raise_failures)


def check_callback(
    callback: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a callback to every check; see `check`."""
    return check("callback", callback, expected_failures, raise_failures)


def check_tracker(
    tracker: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a tracker to every check; see `check`."""
    return check("tracker", tracker, expected_failures, raise_failures)


def check_launcher(
    launcher: PartLike, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a launcher to every check; see `check`."""
    return check("launcher", launcher, expected_failures, raise_failures)


def cell_tests(cell: CellLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """A pytest test of a cell, one case per check; expected failures are strict xfails with their reason."""
    return tests("cell", cell, expected_failures)


def architecture_tests(
    architecture: PartLike, expected_failures: Mapping[str, str] | None = None
) -> Callable[[Check], None]:
    """The same for an architecture."""
    return tests("architecture", architecture, expected_failures)


def task_tests(task: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for a task."""
    return tests("task", task, expected_failures)


def dataset_tests(dataset: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for a data set."""
    return tests("dataset", dataset, expected_failures)


def input_tests(input: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for an input."""
    return tests("input", input, expected_failures)


def optimizer_tests(optimizer: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for an optimizer."""
    return tests("optimizer", optimizer, expected_failures)


def schedule_tests(schedule: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for a schedule."""
    return tests("schedule", schedule, expected_failures)


def callback_tests(callback: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for a callback."""
    return tests("callback", callback, expected_failures)


def tracker_tests(tracker: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for a tracker."""
    return tests("tracker", tracker, expected_failures)


def launcher_tests(launcher: PartLike, expected_failures: Mapping[str, str] | None = None) -> Callable[[Check], None]:
    """The same for a launcher."""
    return tests("launcher", launcher, expected_failures)
