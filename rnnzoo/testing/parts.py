"""What architectures, tasks and data sets promise, as checks that any of them can be put to.

    test_contract = architecture_tests("dilated")                   # in a test file: one pytest case per check
    report = check_task({"name": "tagging", "outside": "O"})        # a name, a mapping with parameters, or a class

No check needs a network; a data set that cannot be had without one is skipped, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rnnzoo.testing.architectures import ARCHITECTURE_CHECKS, ArchitectureSubject
from rnnzoo.testing.base import Check, Report, bind, check_part, tests_of
from rnnzoo.testing.datasets import DATASET_CHECKS, DatasetSubject
from rnnzoo.testing.subject import Subject
from rnnzoo.testing.tasks import TASK_CHECKS, TaskSubject

KINDS: dict[str, tuple[type[Subject], tuple[Callable[[Any], str | None], ...]]] = {
    "architecture": (ArchitectureSubject, ARCHITECTURE_CHECKS),
    "task": (TaskSubject, TASK_CHECKS),
    "dataset": (DatasetSubject, DATASET_CHECKS),
}


def check_architecture(
    architecture: Any, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put an architecture to every check: a registered name, a mapping with a name and parameters, or a class.

    expected_failures: by check name, the reason why it does not hold; added to the class's own `expected_failures`.
    Raises: ConformanceError if `raise_failures`; UnknownName.
    """
    return _checked("architecture", architecture, expected_failures, raise_failures)


def check_task(task: Any, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True) -> Report:
    """Put a task to every check; see `check_architecture`."""
    return _checked("task", task, expected_failures, raise_failures)


def check_dataset(
    dataset: Any, expected_failures: Mapping[str, str] | None = None, raise_failures: bool = True
) -> Report:
    """Put a data set to every check; see `check_architecture`."""
    return _checked("dataset", dataset, expected_failures, raise_failures)


def architecture_tests(architecture: Any, expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """A pytest test of an architecture, one case per check; expected failures are strict xfails with their reason."""
    return _tests("architecture", architecture, expected_failures)


def task_tests(task: Any, expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """The same for a task."""
    return _tests("task", task, expected_failures)


def dataset_tests(dataset: Any, expected_failures: Mapping[str, str] | None = None) -> Callable[..., None]:
    """The same for a data set."""
    return _tests("dataset", dataset, expected_failures)


def checks_for(kind: str, part: Any) -> list[Check]:
    """All checks of one architecture, task or data set."""
    subject, checks = KINDS[kind]
    return bind(checks, subject(part))


def _checked(kind: str, part: Any, expected_failures: Mapping[str, str] | None, raise_failures: bool) -> Report:
    subject = KINDS[kind][0](part)
    return check_part(kind, subject.name, checks_for(kind, part), subject.declared(expected_failures), raise_failures)


def _tests(kind: str, part: Any, expected_failures: Mapping[str, str] | None) -> Callable[..., None]:
    return tests_of(checks_for(kind, part), KINDS[kind][0](part).declared(expected_failures))
