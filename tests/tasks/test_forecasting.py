"""What forecasting asks and counts, by hand arithmetic, and runs of it from a CSV file to a typed series."""

import json

import numpy as np
import pytest
import torch

from rnnzoo.batch import Batch, DataSpec, Field
from rnnzoo.cli import main
from rnnzoo.experiment.gradients import through_time
from rnnzoo.inference.predictor import load
from rnnzoo.model import build_model
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.forecasting import Forecasting

SCALE = {"mean": [10.0, -1.0], "std": [2.0, 0.5]}
LOOKBACK, HORIZON = 6, 4
SPEC = DataSpec(
    "windowed_series",
    {"values": Field("values", ("load", "oil"), options={"lookback": LOOKBACK, **SCALE})},
    Field("values", ("load", "oil"), options={"horizon": HORIZON}),
)
ARCHITECTURES = ["vanilla", "lstm", "gru", "bidirectional", "stacked", {"name": "segment", "segment": 3}]


def model_of(task, architecture="gru"):
    torch.manual_seed(0)
    architecture = architecture if isinstance(architecture, dict) else {"name": architecture}
    return build_model(task.spec, task, {**architecture, "hidden_size": 6}).eval()


def batch_of(rows, target=None):
    return Batch({"values": rows}, torch.full((len(rows),), rows.shape[1]), target)


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_every_architecture_that_sums_up_a_window_forecasts_it(architecture, independent):
    task = Forecasting(SPEC, channel_independent=independent)
    x = torch.randn(5, LOOKBACK, 2)
    model = model_of(task, architecture)
    together = task.forward(model, batch_of(x)).logits
    assert together.shape == (5, HORIZON, 2)
    torch.testing.assert_close(task.forward(model, batch_of(x[2:3])).logits, together[2:3])


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("architecture", ["gru", {"name": "segment", "segment": 3}], ids=str)
def test_a_window_moved_up_or_down_has_its_forecast_moved_alike(architecture, independent):
    task = Forecasting(SPEC, channel_independent=independent)
    model, x, by = model_of(task, architecture), torch.randn(3, LOOKBACK, 2), torch.tensor([5.0, -3.0])
    moved = task.forward(model, batch_of(x + by)).logits
    torch.testing.assert_close(moved, task.forward(model, batch_of(x)).logits + by, atol=1e-5, rtol=1e-5)
    plain = Forecasting(SPEC, normalisation="none", channel_independent=independent)
    apart = plain.forward(model, batch_of(x + by)).logits - plain.forward(model, batch_of(x)).logits - by
    assert apart.abs().min() > 1e-3


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("architecture", ["gru", {"name": "segment", "segment": 3}], ids=str)
def test_how_far_a_window_reaches_does_not_depend_on_its_level(architecture, independent):
    task = Forecasting(SPEC, channel_independent=independent)
    model, x = model_of(task, architecture), torch.randn(3, LOOKBACK, 2)
    torch.manual_seed(0)
    sums, counts = through_time(model, task.preprocess(batch_of(x)))
    torch.manual_seed(0)
    torch.testing.assert_close(through_time(model, task.preprocess(batch_of(x + torch.tensor([5.0, -3.0]))))[0], sums)
    assert counts.tolist() == [6 if independent else 3] * LOOKBACK  # each variable is a series of its own


def test_a_network_that_tells_zero_says_that_all_stays_as_it_is():
    task = Forecasting(SPEC)
    model, x = model_of(task), torch.randn(3, LOOKBACK, 2)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    told = task.forward(model, batch_of(x)).logits
    torch.testing.assert_close(told, x[:, -1:].expand(3, HORIZON, 2))


@pytest.mark.parametrize("architecture", ["lstm", {"name": "segment", "segment": 3}], ids=str)
def test_independent_variables_do_not_hear_each_other_and_share_their_weights(architecture):
    task = Forecasting(SPEC, channel_independent=True)
    model, x = model_of(task, architecture), torch.randn(3, LOOKBACK, 2)
    told = task.forward(model, batch_of(x)).logits
    other = x.clone()
    other[:, :, 1] = torch.randn(3, LOOKBACK)
    changed = task.forward(model, batch_of(other)).logits
    torch.testing.assert_close(changed[:, :, 0], told[:, :, 0])
    assert not torch.allclose(changed[:, :, 1], told[:, :, 1])
    if architecture == "lstm":  # a segment's queries know which variable is asked for
        swapped = task.forward(model, batch_of(x.flip(2))).logits
        torch.testing.assert_close(swapped, told.flip(2))


def test_dependent_variables_hear_each_other():
    task = Forecasting(SPEC)
    model, x = model_of(task), torch.randn(1, LOOKBACK, 2, requires_grad=True)
    task.forward(model, batch_of(x)).logits[:, :, 0].sum().backward()
    assert x.grad[:, :, 1].abs().sum() > 0


def test_errors_are_means_over_all_windows_steps_and_variables_however_they_are_batched():
    told, target = torch.randn(7, HORIZON, 2), torch.randn(7, HORIZON, 2)
    wanted = {"mse": ((told - target) ** 2).mean().item(), "mae": (told - target).abs().mean().item()}
    for loss, value in (("l1", wanted["mae"]), ("mse", wanted["mse"])):
        task = Forecasting(SPEC, loss=loss)
        whole = batch_of(torch.zeros(7, LOOKBACK, 2), target)
        assert task.loss(None, Output(told), whole).item() == pytest.approx(value)
        for size in (1, 2, 3, 7):
            metrics = task.metrics()
            for rows in torch.arange(7).split(size):
                batch = batch_of(torch.zeros(len(rows), LOOKBACK, 2), target[rows])
                task.update(metrics, Output(told[rows]), batch, torch.zeros(()), None)
            found = {name: value.item() for name, value in metrics.compute().items()}
            assert found == pytest.approx(wanted, rel=1e-5)


def test_a_prediction_is_in_the_datas_own_units():
    task = Forecasting(SPEC)
    model, batch = model_of(task), batch_of(torch.randn(1, LOOKBACK, 2))
    (row,) = task.predictions(model, batch)
    assert row["variables"] == ["load", "oil"]
    wanted = task.forward(model, batch).logits[0].detach().numpy() * SCALE["std"] + np.array(SCALE["mean"])
    np.testing.assert_allclose(row["values"], wanted, rtol=1e-6)


@pytest.mark.parametrize("setting", ["loss", "normalisation"])
def test_a_setting_that_there_is_not_is_refused(setting):
    with pytest.raises(ValueError, match=f"{setting} must be .*, got 'huber'"):
        Forecasting(SPEC, **{setting: "huber"})


RECIPE = """
name: waves
data: {name: csv_series, path: waves.csv, time_column: time, lookback: 24, horizon: 12, batch_size: 16}
task: {name: forecasting, channel_independent: true}
model: {architecture: {name: segment, cell: gru, hidden_size: 16, segment: 6}}
optimizer: {name: adam, lr: 1.0e-2}
trainer: {max_epochs: 8, enable_progress_bar: false}
tracking: {mode: disabled}
"""


def wave(step):
    return 50 + 3 * np.sin(step / 4), -1000 + 100 * np.cos(step / 4)


def test_a_network_learns_waves_from_a_csv_file_and_goes_on_with_a_typed_one(here, capsys):
    rows = [f"{step},{wave(step)[0]},{wave(step)[1]}" for step in range(400)]
    (here / "waves.csv").write_text("\n".join(["time,sea,air", *rows]))
    (here / "waves.yaml").write_text(RECIPE)
    assert main(["fit", "waves.yaml", "--run_dir", "run"]) == 0
    summary = json.loads((here / "run" / "summary.json").read_text())
    assert summary["data"]["sizes"] == {"train": 240 - 36 + 1, "dev": 80 - 12 + 1, "test": 80 - 12 + 1}
    assert summary["metrics"]["test/mse"] < 0.05  # of a variance of 1
    capsys.readouterr()
    assert main(["validate", "run", "--json", "--data.eval_batch_size", "7"]) == 0
    assert json.loads(capsys.readouterr().out)["val/mse"] == pytest.approx(summary["metrics"]["best/mse"], rel=1e-5)
    assert main(["gradients", "run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["run"]) == 24  # steps of lookback
    (here / "waves.csv").unlink()
    typed = json.dumps([wave(step) for step in range(1000, 1024)])
    (answer,) = load("run").predict([typed])
    assert answer["variables"] == ["sea", "air"]
    wanted = np.array([wave(step) for step in range(1024, 1036)])
    np.testing.assert_allclose((answer["values"] - wanted) / [3, 100], 0, atol=0.5)
    assert main(["predict", "run", "--text", typed]) == 0
    steps = enumerate(answer["values"], start=1)
    lines = [f"step {step}  sea {sea:.6g}  air {air:.6g}" for step, (sea, air) in steps]
    assert capsys.readouterr().out.splitlines() == lines
    assert main(["predict", "run", "--text", "[[50, -1000]]"]) == 2
    assert "1 steps, where a forecast takes 24" in capsys.readouterr().err
