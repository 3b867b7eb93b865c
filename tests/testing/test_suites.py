"""Every built-in part but the cells keeps its promises, and what is told of them is true."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnzoo import registry, testing
from rnnzoo.architectures.bidirectional import Bidirectional
from rnnzoo.cli import main
from rnnzoo.data.sources.toy_reviews import ToyReviews
from rnnzoo.errors import Unavailable, UnknownName, ZooError
from rnnzoo.tasks.tagging import Tagging
from rnnzoo.testing.base import ConformanceError
from rnnzoo.testing.suites import checks_for
from rnnzoo.testing.tasks.subject import TaskSubject

KINDS = [kind for kind in registry.SINGULAR.values() if kind != "cell"]  # those of cells: test_check_cell.py
CHECKS = {kind: getattr(testing, f"check_{kind}") for kind in KINDS}
TESTS = {kind: getattr(testing, f"{kind}_tests") for kind in KINDS}
HUB = Path(__file__).parents[2].parent / "shared" / "hub"
FROM_THE_HUB = [
    entry.name
    for entry in registry.entries("dataset")
    if entry.distribution == "rnnzoo" and hasattr(registry.load("datasets", entry.name), "hub_id")
]  # `hub` itself is told which by a parameter
OURS = [(kind, entry.name) for kind in CHECKS for entry in registry.entries(kind) if entry.distribution == "rnnzoo"]


class Doubled(ToyReviews):
    """Has its training split for a test split as well."""

    expected_failures = {"no_overlap": "its test split is its training split"}  # noqa: RUF012

    def read(self):
        found = super().read()
        return found | {"test": found["train"]}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), OURS, ids=str)
def test_every_part_of_rnnzoo_keeps_every_promise_that_can_be_asked_of_it(kind, name):
    report = CHECKS[kind](name)
    assert {result.name for result in report.results} == {check.name for check in checks_for(kind, name)}
    assert all(result.detail for result in report.results if result.held is None)


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
@pytest.mark.parametrize("name", FROM_THE_HUB)
def test_every_data_set_of_the_hub_keeps_its_promises_where_it_can_be_had(name):
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-m", "rnnzoo", "check", name]
    environment = os.environ | {"HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [*command, "--kind", "dataset", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(done.stdout)["parts"]
    assert {result["check"] for result in report["results"] if result["outcome"] == "skipped"} <= {"seed", "no_overlap"}


def test_what_is_declared_to_fail_is_reported_with_its_reason_and_is_no_failure():
    report = testing.check_dataset(Doubled)
    assert report["no_overlap"].outcome == "fails as declared"
    assert report["no_overlap"].expected_failure == "its test split is its training split"
    assert "4000" in report["no_overlap"].detail


def test_what_is_declared_to_fail_and_holds_is_a_failure():
    with pytest.raises(ConformanceError, match="DECLARED TO FAIL, HOLDS parts"):
        testing.check_dataset(ToyReviews, {"parts": "there is no dev split"})


def test_a_check_that_is_not_there_cannot_be_declared_to_fail():
    with pytest.raises(ZooError, match="no check is named 'overlap'"):
        testing.check_dataset(ToyReviews, {"overlap": "why not"})


def test_a_data_set_of_the_hub_is_skipped_without_a_network_and_says_so():
    report = testing.check_dataset("imdb")
    assert not report.failed and report["columns"].held is None
    assert "from the Hub" in report["columns"].detail


def test_a_data_set_that_needs_a_parameter_is_skipped_without_and_checked_with_it(tmp_path):
    assert {result.held for result in testing.check_dataset("text_files").results} == {None}
    rows = [f"text {row},{'good' if row % 2 else 'bad'}" for row in range(60)]
    for name, part in {"train": rows[:40], "dev": rows[40:]}.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *part]) + "\n")
    given = {name: str(tmp_path / f"{name}.csv") for name in ("train", "dev")}
    report = testing.check_dataset({"name": "text_files", **given})
    assert {r.name for r in report.results if r.held is None} == {"seed"} and not report.failed


def test_a_part_may_be_a_name_or_a_mapping_or_a_class_and_is_called_so():
    names = [TaskSubject(part).name for part in ("tagging", {"name": "tagging", "outside": "A"}, Tagging)]
    assert names == ["tagging", "tagging(outside=A)", "Tagging"]
    with pytest.raises(UnknownName, match="Did you mean 'tagging'"):
        TaskSubject("taging")


def test_a_backward_direction_is_not_asked_for_causality():
    report = testing.check_architecture(Bidirectional, raise_failures=False)
    assert report["causality"].held is None and report["hears_every_step"].held


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("architecture", "stacked"),
        ("task", "sentiment"),
        ("dataset", "toy_tags"),
        ("input", "tokens"),
        ("optimizer", "adam"),
        ("schedule", "step"),
        ("callback", "ema"),
    ],
)
def test_the_pytest_helper_has_one_case_for_each_check(kind, name):
    (mark,) = TESTS[kind](name).pytestmark
    assert [case.id for case in mark.args[1]] == [check.name for check in checks_for(kind, name)]


def test_the_command_line_checks_any_kind(capsys):
    assert main(["check", "toy_reviews", "--kind", "dataset", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] and {r["outcome"] for r in told["parts"][0]["results"]} == {"holds"}


class Elsewhere(ToyReviews):
    """On a server that does not answer."""

    def read(self):
        raise Unavailable("cannot download it.\n  Try again.")


def test_data_that_cannot_be_had_is_skipped_with_the_reason():
    report = testing.check_dataset(Elsewhere, raise_failures=False)
    assert not report.failed and report["columns"].held is None and report["columns"].detail == "cannot download it."
