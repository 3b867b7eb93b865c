"""How the suite is asked and how it answers: reports, expected failures, pytest cases, the command line."""

import json

import broken
import pytest

from rnnzoo import registry
from rnnzoo.cli import main
from rnnzoo.errors import UnknownName, ZooError
from rnnzoo.testing import ConformanceError, NotApplicable, bind, cell_tests, cells, check_cell, check_part, tests_of
from rnnzoo.testing.cells.building import check_builds_from_json
from rnnzoo.testing.cells.sequences import check_batch_of_one_invariance, check_scan_equals_steps
from rnnzoo.testing.cells.subject import CellSubject

FEW = (check_builds_from_json, check_scan_equals_steps, check_batch_of_one_invariance)


@pytest.fixture
def few(monkeypatch):
    """Three checks in place of all."""
    monkeypatch.setattr(cells, "CHECKS", FEW)


@pytest.fixture
def mixing():
    """A registered cell that uses batch statistics."""
    registry.register("cells", "mixing", broken.UsesBatchStatistics)
    yield "mixing"
    registry.unregister("cells", "mixing")


def test_a_cell_is_given_by_name_by_class_or_with_parameters(few):
    assert check_cell("gru").part == "gru"
    assert check_cell(broken.Healthy).part == "Healthy"
    report = check_cell({"name": "zoneout", "cell": "gru", "rate": 0.2})
    assert report.part == "zoneout(cell=gru, rate=0.2)"
    assert [r.held for r in report.results] == [True, None, True]
    assert report["scan_equals_steps"].detail == "the cell has no scan"


def test_all_failed_checks_are_raised_at_once_with_the_report(few, mixing):
    with pytest.raises(AssertionError, match="cell mixing: 1 hold, 1 skipped, 1 FAIL") as error:
        check_cell(mixing)
    assert isinstance(error.value, ConformanceError)
    assert [r.name for r in error.value.report.failed] == ["batch_of_one_invariance"]
    assert "outputs of sequence 0 alone" in str(error.value)
    assert check_cell(mixing, raise_failures=False).failed


def test_an_expected_failure_is_reported_with_its_reason_and_is_no_failure(few, mixing):
    report = check_cell(mixing, expected_failures={"batch_of_one_invariance": "it is a batch norm"})
    found = report["batch_of_one_invariance"]
    assert (found.outcome, found.expected_failure) == ("fails as declared", "it is a batch norm")
    assert not report.failed and "1 fail as declared" in report.summary()


def test_an_expected_failure_that_holds_is_a_failure(few):
    with pytest.raises(ConformanceError, match="DECLARED TO FAIL, HOLDS batch_of_one_invariance"):
        check_cell("gru", expected_failures={"batch_of_one_invariance": "why not"})


def test_a_class_declares_its_own_expected_failures(few):
    class Declared(broken.UsesBatchStatistics):
        expected_failures = {"batch_of_one_invariance": "it is a batch norm"}  # noqa: RUF012

    assert not check_cell(Declared).failed


def test_an_expected_failure_needs_a_known_check_and_a_reason(few):
    with pytest.raises(
        ZooError, match=r"no check is named 'batch_of_one'.*\n  Did you mean 'batch_of_one_invariance'?"
    ):
        check_cell("gru", expected_failures={"batch_of_one": "x"})
    with pytest.raises(ZooError, match="needs a reason, in words, got ''"):
        check_cell("gru", expected_failures={"batch_of_one_invariance": ""})
    with pytest.raises(UnknownName, match="Did you mean 'gru'"):
        check_cell("gruu")


def test_a_cell_that_does_not_build_fails_one_check_and_skips_the_others(few):
    report = check_cell(broken.NeedsAFunction, raise_failures=False)
    assert [r.held for r in report.results] == [False, None, None]
    assert "the cell does not build" in report["batch_of_one_invariance"].detail


def test_the_state_of_the_random_generator_survives_a_check(few):
    import torch

    before = torch.get_rng_state()
    check_cell("gru")
    assert torch.equal(before, torch.get_rng_state())


# -- pytest ---------------------------------------------------------------------------------------------------------

test_the_helper_makes_one_case_of_each_check = tests_of(bind(FEW, CellSubject("gru")))

test_the_helper_expects_declared_failures = tests_of(
    bind(FEW, CellSubject(broken.UsesBatchStatistics)), {"batch_of_one_invariance": "it is a batch norm"}
)


def test_the_helper_names_its_cases_after_the_checks_and_marks_strictly():
    (mark,) = cell_tests("gru", {"causality": "because"}).pytestmark
    by_name = {case.id: case.marks for case in mark.args[1]}
    assert {"padding_invariance", "path_native", "overfits_copy"} <= set(by_name)
    (xfail,) = by_name["causality"]
    assert xfail.kwargs == {"reason": "because", "strict": True} and not by_name["gradcheck"]


# -- command line ---------------------------------------------------------------------------------------------------


def test_the_command_line_shows_what_holds_and_exits_with_0_or_1(few, mixing, capsys):
    assert main(["check", "gru"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "cell gru: 2 hold, 1 skipped"
    assert lines[2].split(None, 2) == ["scan_equals_steps", "skipped", "the cell has no scan"]
    assert main(["check", "gru", mixing]) == 1
    assert "batch_of_one_invariance  FAILS" in capsys.readouterr().out


def test_the_command_line_gives_one_json_object(few, mixing, capsys):
    assert main(["check", "gru", mixing, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["ok"]) == ("cell", False)
    assert [(part["name"], part["ok"]) for part in told["parts"]] == [("gru", True), ("mixing", False)]
    assert [r["outcome"] for r in told["parts"][1]["results"]] == ["holds", "skipped", "fails"]


def test_the_command_line_refuses_an_unknown_name_before_it_checks_any(few, capsys):
    assert main(["check", "gru", "lsmt"]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("no cell is named 'lsmt'.\n  Did you mean 'lstm'?")


def test_all_is_every_installed_cell(few, monkeypatch, capsys):
    monkeypatch.setenv("RNNZOO_PLUGINS", "none")
    monkeypatch.setattr(cells, "CHECKS", (_passes,))
    assert main(["check", "all", "--json"]) == 0
    names = [part["name"] for part in json.loads(capsys.readouterr().out)["parts"]]
    assert names == [entry.name for entry in registry.entries("cells")]


def _passes(subject):
    """Nothing."""


def test_a_check_that_does_not_apply_is_skipped_with_its_reason():
    def check_weather(part):
        """It is sunny."""
        raise NotApplicable("no window")

    report = check_part("cell", "gru", bind([check_weather], None))
    assert (report["weather"].outcome, report["weather"].detail) == ("skipped", "no window")
