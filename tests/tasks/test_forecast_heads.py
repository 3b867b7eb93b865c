"""Quantiles and normal distributions are scored by arithmetic, and as other libraries score them."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
import torch

from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.model import build_model
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.forecast_heads import Gaussian, KnownHead, Quantiles
from rnnzoo.tasks.forecasting import Forecasting

properscoring = pytest.importorskip("properscoring")


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_the_crps_of_a_normal_distribution_is_that_of_another_library_and_of_an_integral():
    mean, std, truth = drawn(50), drawn(50, seed=1).abs() + 0.1, drawn(50, seed=2) * 3
    found = Gaussian().crps(torch.stack([mean, std], -1), truth)
    np.testing.assert_allclose(found, properscoring.crps_gaussian(truth.numpy(), mean.numpy(), std.numpy()), atol=1e-9)
    x = np.linspace(-30, 30, 200_001)
    below = np.array([NormalDist(mean[0].item(), std[0].item()).cdf(at) for at in x[::20]])
    integral = np.trapezoid((below - (x[::20] >= truth[0].item())) ** 2, x[::20])
    assert found[0].item() == pytest.approx(integral, abs=5e-3)


def test_the_crps_of_quantiles_is_twice_the_mean_pinball_loss():
    head = Quantiles([0.1, 0.5, 0.9])
    said, truth = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([3.0])
    pinball = [0.1 * (3 - 1), 0.5 * (3 - 2), (0.9 - 1) * (3 - 4)]
    assert head.loss(said, truth).item() == pytest.approx(sum(pinball) / 3)
    assert head.crps(said, truth).item() == pytest.approx(2 * sum(pinball) / 3)


def test_the_crps_of_many_quantiles_is_that_of_an_ensemble_of_them():
    """A forecast that puts equal weight on n values has the quantile at (i - 1/2) / n in its i-th value."""
    values, truth = drawn(20, 51).sort(-1).values, drawn(20, seed=3)
    head = Quantiles([(number + 0.5) / 51 for number in range(51)])
    found = head.crps(values, truth)
    np.testing.assert_allclose(found, properscoring.crps_ensemble(truth.numpy(), values.numpy()), atol=1e-9)


def test_the_likelihood_of_a_normal_distribution_is_that_of_torch():
    said = Gaussian().parameters(drawn(30, 2))
    wanted = -torch.distributions.Normal(said[..., 0], said[..., 1]).log_prob(drawn(30, seed=5)).mean()
    torch.testing.assert_close(Gaussian().loss(said, drawn(30, seed=5)), wanted)


def test_the_interval_of_a_normal_distribution_holds_four_truths_in_five():
    low, high = Gaussian().interval(torch.tensor([[2.0, 3.0]], dtype=torch.float64))
    normal = NormalDist(2, 3)
    assert (normal.cdf(low.item()), normal.cdf(high.item())) == (pytest.approx(0.1), pytest.approx(0.9))


def test_quantiles_never_cross():
    assert (Quantiles().parameters(drawn(40, 9)).diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("levels", [[0.5, 0.1], [0.1, 0.9], [0.5, 0.5], [0.5, 1.0]])
def test_levels_rise_between_0_and_1_and_have_the_median(levels):
    with pytest.raises(ValueError, match="quantiles"):
        Forecasting(spec_of(), head="quantile", quantiles=levels)
    with pytest.raises(ValueError, match="quantiles are for head: quantile"):
        Forecasting(spec_of(), quantiles=[0.5])


def spec_of(known=0, past=0):
    names = ("a", "b", *(f"past {n}" for n in range(past)), *(f"known {n}" for n in range(known)))
    options = {"lookback": 6, "mean": [10.0, -1.0, *[0.0] * (known + past)], "std": [2.0, 0.5, *[1.0] * (known + past)]}
    options |= {"known": list(names[2 + past :])}
    return DataSpec(
        "panel_series",
        {"values": Field("values", names, options=options)},
        Field("values", names[:2], options={"horizon": 4}),
    )


def batch_of(spec, rows=3):
    torch.manual_seed(0)
    known = len(spec.inputs["values"].options["known"])
    inputs = {"values": torch.randn(rows, 6, spec.inputs["values"].size)}
    if known:
        inputs["known"] = torch.randn(rows, 10, known)
    return Batch(inputs, torch.full((rows,), 6), torch.randn(rows, 4, 2))


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("known", [0, 2])
@pytest.mark.parametrize("architecture", ["gru", {"name": "segment", "segment": 3}], ids=str)
@pytest.mark.parametrize("head", ["point", "quantile", "gaussian"])
def test_every_head_answers_every_step_and_moves_with_the_level(head, architecture, known, independent):
    spec = spec_of(known, past=1)
    task = Forecasting(spec, head=head, channel_independent=independent)
    torch.manual_seed(0)
    architecture = architecture if isinstance(architecture, dict) else {"name": architecture}
    model = build_model(spec, task, {**architecture, "hidden_size": 6}).eval()
    batch, by = batch_of(spec), torch.tensor([5.0, -3.0])
    said = task._said(task.forward(model, batch))
    assert said.shape == (3, 4, 2, task.said.size) and isinstance(model.head, KnownHead) == bool(known)
    batch.inputs["values"][..., :2] += by
    moved = task.said.point(task._said(task.forward(model, batch)))
    torch.testing.assert_close(moved, task.said.point(said) + by, atol=1e-5, rtol=1e-5)
    output = task.forward(model, batch)
    loss = task.loss(model, output, batch)
    metrics = task.metrics()
    task.update(metrics, output, batch, loss, model)
    values = {name: value.item() for name, value in metrics.compute().items()}
    assert math.isfinite(loss.item()) and all(map(math.isfinite, values.values()))
    assert task.monitor[0] in values and ("coverage" in values) == (head != "point")
    (answer, *_) = task.predictions(model, batch)
    assert np.shape(answer["values"]) == (4, 2) and len(task.describe(answer)) == 4
    ends = [np.array(values) for values in answer.get("quantiles", {}).values()]
    assert all((low <= high).all() for low, high in pairwise(ends))


def test_what_is_known_of_a_step_to_come_changes_that_step_alone():
    spec = spec_of(known=1)
    task = Forecasting(spec)
    torch.manual_seed(0)
    model, batch = build_model(spec, task, {"name": "gru", "hidden_size": 6}).eval(), batch_of(spec)
    before = task.forward(model, batch).logits
    batch.inputs["known"][:, 6 + 2] += 1  # the third step after the window's end
    changed = (task.forward(model, batch).logits - before).abs().amax((0, 2)) > 1e-6
    assert changed.tolist() == [False, False, True, False]


def test_coverage_and_width_are_counted_over_all_numbers():
    task = Forecasting(spec_of(), head="quantile", quantiles=[0.25, 0.5, 0.75])
    said = torch.tensor([-1.0, 0.0, 1.0]).expand(3, 4, 2, 3)
    batch, metrics = batch_of(spec_of()), task.metrics()
    task.update(metrics, Output(said), batch, torch.tensor(0.0), None)
    values = metrics.compute()
    assert values["coverage"].item() == pytest.approx((batch.target.abs() <= 1).float().mean().item())
    assert values["width"].item() == pytest.approx(2) and values["mae"].item() == pytest.approx(
        batch.target.abs().mean().item()
    )
    assert task.metric_signatures()["coverage"].endswith("50 % of the truths")
