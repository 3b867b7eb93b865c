"""The public conformance suite: what every part promises, checked in the package that brings it.

from rnnzoo.testing import cell_tests
test_contract = cell_tests("mingru")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnnzoo import registry
from rnnzoo.system import console
from rnnzoo.testing.base import Check, ConformanceError, NotApplicable, Report, Result, bind, check_part, tests_of
from rnnzoo.testing.cells import cell_tests, check_cell

if TYPE_CHECKING:
    from rnnzoo.testing.parts import (
        architecture_tests,
        check_architecture,
        check_dataset,
        check_task,
        dataset_tests,
        task_tests,
    )

__all__ = [
    "Check",
    "ConformanceError",
    "NotApplicable",
    "Report",
    "Result",
    "architecture_tests",
    "bind",
    "cell_tests",
    "check_architecture",
    "check_cell",
    "check_dataset",
    "check_part",
    "check_task",
    "dataset_tests",
    "task_tests",
    "tests_of",
]


def __getattr__(name: str) -> Any:
    if name in __all__:  # of parts.py, which imports Lightning
        from rnnzoo.testing import parts

        return getattr(parts, name)
    raise AttributeError(f"module 'rnnzoo.testing' has no attribute '{name}'")


def run(kind: str, names: Sequence[str], as_json: bool) -> int:
    """Check parts by name, "all" for every installed one, and print what holds. Returns 1 if anything does not.

    Raises: UnknownName, PluginError.
    """
    kind = registry.SINGULAR[registry.kind_of(kind)]
    if "all" in names:
        entries = registry.entries(kind)
        shared = {e.name for e in entries if sum(e.name == other.name for other in entries) > 1}
        names = [f"{e.distribution}:{e.name}" if e.name in shared else e.name for e in entries]
    for name in names:
        registry.find(kind, name)
    reports = []
    for name in names:
        reports.append(_checked(kind, name))
        if not as_json:
            console.table([(r.name, r.outcome, _short(r)) for r in reports[-1].results], reports[-1].summary())
    if as_json:
        console.print_json({"kind": kind, "ok": not any(r.failed for r in reports), "parts": list(map(_told, reports))})
    return int(any(report.failed for report in reports))


def _checked(kind: str, name: str) -> Report:
    declared: Mapping[str, str] = getattr(registry.load(kind, name), "expected_failures", {})
    if kind == "cell":
        from rnnzoo.testing.cells import checks_for

        return check_part(kind, name, checks_for(name), declared, raise_failures=False)
    from rnnzoo.testing import parts

    return check_part(kind, name, parts.checks_for(kind, name), declared, raise_failures=False)


def _short(result: Result) -> str:
    words = " ".join((result.expected_failure or result.detail).split())
    return words if len(words) <= 100 or result.failed else f"{words[:97]}..."


def _told(report: Report) -> dict[str, Any]:
    results = [
        {"check": r.name, "outcome": r.outcome.lower(), "detail": r.detail, "expected_failure": r.expected_failure}
        for r in report.results
    ]
    return {"name": report.part, "ok": not report.failed, "results": results}
