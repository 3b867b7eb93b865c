"""The suite itself: each of its checks catches the cell that breaks its promise, and lets the healthy twin pass."""

import broken
import noisy
import pytest

from rnnzoo.testing import check_part
from rnnzoo.testing.cells import CHECKS
from rnnzoo.testing.suites import checks_for

BROKEN = [
    ("builds_from_json", broken.NeedsAFunction),
    ("initialises_every_parameter", broken.LeavesMemoryAsItWas),
    ("declared_state", broken.ReturnsTwoStates),
    ("declared_state", broken.PromisesAnotherOutputSize),
    ("declared_state", broken.FallsToFloat32),
    ("declared_state", broken.BeginsAtRandom),
    ("follows_its_device", broken.KeepsATensorAside),
    ("step_equals_sequence", broken.NumbersTheRows),
    ("scan_equals_steps", broken.ScansOtherwise),
    ("scan_equals_steps", broken.SeesThePadding),
    ("split_invariance", broken.CountsItsSteps),
    ("padding_invariance", broken.SeesThePadding),
    ("batch_order_invariance", broken.KnowsItsPlaceInTheBatch),
    ("batch_of_one_invariance", broken.UsesBatchStatistics),
    ("reverse_is_flipped", broken.NumbersTheRows),
    ("empty_sequences", broken.BeginsAtRandom),
    ("causality", broken.LooksAhead),
    ("inputs_unchanged", broken.ChangesItsInput),
    ("inputs_unchanged", broken.ChangesItsState),
    ("state_reorder", broken.KnowsItsPlaceInTheBatch),
    ("eval_is_deterministic", broken.IsRandomInEvaluation),
    ("eval_is_deterministic", broken.RemembersTheLastCall),
    ("noise_is_the_engines", broken.DropsOutItself),
    ("gradient_reaches_everything", broken.DetachesItsState),
    ("gradient_reaches_everything", broken.HasAnIdleParameter),
    ("gradcheck", broken.HasAWrongGradient),
    ("detach_cuts", broken.KeepsTheGraph),
    ("keeps_float64", broken.FallsToFloat32),
    ("autocast", broken.MixesDtypesUnderAutocast),
    ("finite_for_large_inputs", broken.OverflowsForLargeInputs),
    ("finite_for_long_sequences", broken.GrowsWithoutBound),
    ("deepcopy", broken.CopiesShareWeights),
    ("state_dict_round_trip", broken.KeepsATensorAside),
    ("every_parameter_learns", broken.HasAnIdleParameter),
    ("overfits_copy", broken.Forgets),
    ("no_work_at_import", noisy.Noisy),
    ("reload_in_a_fresh_process", broken.KeepsATensorAside),
    ("two_processes_equal_one", broken.UsesBatchStatistics),
]


def result(cell_class, check):
    (one,) = [c for c in checks_for("cell", cell_class) if c.name == check]
    return check_part("cell", cell_class.__name__, [one], raise_failures=False)[check]


@pytest.mark.parametrize(("check", "cell_class"), BROKEN, ids=[f"{cls.__name__}-{name}" for name, cls in BROKEN])
def test_a_broken_cell_is_caught_by_the_check_that_names_its_fault(check, cell_class):
    found = result(cell_class, check)
    assert found.held is False and found.failed, found
    assert found.detail


@pytest.mark.slow
@pytest.mark.parametrize("cell_class", [broken.Healthy, broken.HealthyScan, broken.HealthyPointwise])
def test_a_healthy_twin_passes_every_check(cell_class):
    report = check_part("cell", cell_class.__name__, checks_for("cell", cell_class), raise_failures=False)
    assert not report.failed, str(report)
    told = {r.name: r.detail for r in report.results if r.held is None}
    assert all(name == "scan_equals_steps" or name.startswith("path_") for name in told)
    assert ("scan_equals_steps" in told) == (cell_class.scan is None)


def test_every_check_has_a_cell_that_it_catches():
    names = {function.__name__.removeprefix("check_") for function in CHECKS}
    assert {name for name in names if not name.startswith("path_")} == {name for name, _ in BROKEN}
