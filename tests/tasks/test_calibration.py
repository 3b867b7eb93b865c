"""The temperature is that of the least negative log-likelihood, and no label changes by it."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from rnnzoo.errors import RunError
from rnnzoo.tasks.calibration import BINS, KEY, Calibration, Reliability, fit_temperature, reliability
from rnnzoo.tasks.decisions import Decisions, Kept


def made(answers=4000, classes=5, temperature=2.5, seed=0):
    """Logits whose true probabilities are those at a known temperature, and classes drawn by them."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(answers, classes, generator=generator)
    return logits, torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator).squeeze(1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5, 8.0])
def test_the_temperature_is_the_known_one_and_the_one_that_another_library_finds(temperature):
    logits, target = made(temperature=temperature)
    found = fit_temperature(logits, target)
    wanted = minimize_scalar(
        lambda t: F.cross_entropy(logits.double() / t, target).item(), bounds=(0.05, 50), options={"xatol": 1e-9}
    )
    assert found == pytest.approx(wanted.x, rel=1e-4) and found == pytest.approx(temperature, rel=0.1)


def test_independent_classes_have_the_temperature_of_the_least_binary_cross_entropy():
    logits = 4 * torch.randn(3000, 3, generator=torch.Generator().manual_seed(1))
    target = torch.bernoulli((logits / 3).sigmoid(), generator=torch.Generator().manual_seed(2)).long()
    t = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([t], max_iter=200, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(logits.double() / t, target.double())
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fit_temperature(logits, target) == pytest.approx(t.item(), rel=1e-4)


def test_where_no_temperature_is_best_there_is_none():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, torch.tensor([0, 1])) is None  # all are right: the colder the better
    assert fit_temperature(logits, torch.tensor([1, 0])) is None  # all are wrong: the hotter the better
    assert fit_temperature(torch.zeros(3, 2), torch.tensor([0, 1, 0])) is None
    assert fit_temperature(torch.tensor([[math.nan, 1.0]]), torch.tensor([0])) is None
    assert fit_temperature(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)) is None


def test_no_label_changes_by_a_temperature():
    logits, _ = made()
    for temperature in (0.1, 0.7, 3.0, 50.0):
        said = Calibration(temperature).probabilities(logits)
        assert torch.equal(said.argmax(-1), logits.argmax(-1))


def test_the_calibration_error_is_that_of_torchmetrics():
    logits, target = made()
    p = logits.softmax(-1)
    wanted = multiclass_calibration_error(p, target, num_classes=5, n_bins=BINS, norm="l1")
    assert Reliability.of(p, target).error == pytest.approx(wanted.item(), rel=1e-4)
    independent = torch.rand(500, 3, generator=torch.Generator().manual_seed(3))
    truth = torch.bernoulli(independent.square(), generator=torch.Generator().manual_seed(4)).long()
    wanted = binary_calibration_error(independent.flatten(), truth.flatten(), n_bins=BINS, norm="l1")
    assert Reliability.of(independent, truth).error == pytest.approx(wanted.item(), rel=1e-4)


def test_a_temperature_lowers_the_error_of_an_overconfident_model():
    logits, target = made()
    found = reliability(logits, target, fit_temperature(logits, target))
    assert found["answers"] == 4000 and found["after"]["ece"] < found["before"]["ece"] / 3
    for part in (found["before"], found["after"]):
        assert sum(count for count, _, _ in part["bins"]) == 4000
        told = sum(count * abs(right - confidence) for count, confidence, right in part["bins"]) / 4000
        assert told == pytest.approx(part["ece"])


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"temperature": "hot"}, {"thresholds": {"x": 0.5}}, [], 3])
def test_a_calibration_that_nobody_can_use_is_refused(wrong):
    with pytest.raises(RunError, match="the checkpoint's calibration is not what rnnzoo writes"):
        Calibration.from_meta({KEY: wrong}, ("a", "b"))


def test_a_calibration_survives_its_json_and_an_old_checkpoint_has_temperature_one():
    calibration = Calibration(1.5, {"a": 0.25})
    assert Calibration.from_meta({KEY: calibration.to_json()}, ("a", "b")) == calibration
    assert Calibration.from_meta({}) == Calibration(1.0, None)


def test_what_is_kept_of_too_many_logits_depends_on_no_batch_and_no_process(monkeypatch):
    monkeypatch.setattr("rnnzoo.tasks.decisions.MAX_NUMBERS", 70)
    logits, target = made(100, 2)
    rows = torch.randperm(100, generator=torch.Generator().manual_seed(5))

    def kept(parts):
        found = Kept()
        for part in parts:
            found.add(Decisions(part, target[part], logits[part]))
        return found

    one = kept(rows.split(7)).tensors()
    two = Kept.merged([kept(rows[:50].split(3)), kept(rows[50:].split(11)), Kept()]).tensors()
    assert torch.equal(one[0], logits[::4]) and torch.equal(one[1], target[::4])
    assert torch.equal(two[0], one[0]) and torch.equal(two[1], one[1])
    assert Kept().tensors() is None
