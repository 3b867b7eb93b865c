"""`rnnzoo check`: parts put to their checks, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from rnnzoo import registry
from rnnzoo.system import console
from rnnzoo.testing import suites
from rnnzoo.testing.base import Report, Result


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
        report = suites.check(kind, name, raise_failures=False)
        reports.append(report)
        if not as_json:
            console.table([(r.name, r.outcome, _short(r)) for r in report.results], report.summary())
    failed = any(report.failed for report in reports)
    if as_json:
        console.print_json({"kind": kind, "ok": not failed, "parts": list(map(_as_json, reports))})
    return int(failed)


def _short(result: Result) -> str:
    words = " ".join((result.expected_failure or result.detail).split())
    return words if len(words) <= 100 or result.failed else f"{words[:97]}..."


def _as_json(report: Report) -> dict[str, object]:
    results = [
        {"check": r.name, "outcome": r.outcome.lower(), "detail": r.detail, "expected_failure": r.expected_failure}
        for r in report.results
    ]
    return {"name": report.part, "ok": not report.failed, "results": results}
