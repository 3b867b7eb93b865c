"""Several series with covariates, from tables to windows, and from a trained model to dated forecasts."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnzoo.cli import main
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.data.readers.times import following, read_time, written
from rnnzoo.data.sources.series_files import SeriesFiles
from rnnzoo.errors import DataError
from rnnzoo.inference.predictor import load

sys.path.append(str(Path(__file__).parents[1] / "sources"))
from made_series import sales, write_table

PANEL = FORMS["panel_series"]


def data_of(path, lookback=3, horizon=2, missing="refuse", **options):
    source = SeriesFiles(str(path), **options)
    source.give("panel_series")
    data = ZooData(source, PANEL(lookback, horizon, missing=missing))
    data.prepare()
    return data


def refused(path, **options):
    with pytest.raises(DataError) as error:
        data_of(path, **options)
    return str(error.value)


@pytest.fixture
def two(tmp_path):
    """Two series of 20 and 16 steps: x counts 0, 1, ... and 100, 101, ...; the covariate k is 10 x."""
    rows = [
        [name, step, first + step, 10 * (first + step)]
        for name, first, n in (("a", 0, 20), ("b", 100, 16))
        for step in range(n)
    ]
    return write_table(tmp_path / "two.csv", ["id", "t", "x", "k"], rows)


def test_windows_stay_within_their_series_and_know_what_is_to_come(two):
    data = data_of(two, series_id="id", time="t", known=["k"], dev_fraction=0.2)
    scale = data.spec.inputs["values"].options
    asked = {}
    for part in ("train", "dev", "test"):
        examples = data.parts[part]
        batch = examples.collate(range(len(examples)))
        window, target, known = (
            part.double().numpy() for part in (batch.inputs["values"], batch.target, batch.inputs["known"])
        )
        x, k = window[..., 0] * scale["std"][0] + scale["mean"][0], known[..., 0] * scale["std"][1] + scale["mean"][1]
        y = target[..., 0] * scale["std"][0] + scale["mean"][0]
        steps = np.concatenate([x, y], 1)
        np.testing.assert_allclose(np.diff(steps), 1, atol=1e-4)  # no window reaches from one series into the other
        np.testing.assert_allclose(k, 10 * steps, atol=1e-2)
        asked[part] = sorted({round(value) for value in y.ravel()})
    assert asked["train"] == [*range(3, 12), *range(103, 110)]  # of 20 and 16 steps, the last 4 and 3 are for each
    assert asked["dev"] == [*range(12, 16), *range(110, 113)] and asked["test"] == [*range(16, 20), *range(113, 116)]
    assert scale["mean"][0] == pytest.approx(np.mean([*range(12), *range(100, 110)]))


def test_rows_without_a_target_at_the_end_are_no_steps_of_training(tmp_path):
    rows = [[step, step if step < 20 else "", 1] for step in range(25)]
    data = data_of(write_table(tmp_path / "one.csv", ["t", "x", "k"], rows), time="t", known=["k"])
    assert data.parts["test"].values.shape == (20, 2) and data.spec.target.names == ("x",)


@pytest.mark.parametrize("missing", ["mask", "forward", "interpolate"])
def test_no_window_asks_for_a_value_that_is_missing(tmp_path, missing):
    rows = [[step, "" if step == 8 else step] for step in range(40)]
    path = write_table(tmp_path / "one.csv", ["t", "x"], rows)
    data = data_of(path, time="t", missing=missing)
    starts = data.parts["train"].starts.tolist()
    left_out = {4, 5} | ({6} if missing == "interpolate" else set())  # 6: its last step is filled from the one to come
    assert set(range(starts[-1] + 1)) - set(starts) == left_out
    assert data.notes["train"]["windows_left_out"] == len(left_out)
    assert data.parts["train"].values.shape[1] == (2 if missing == "mask" else 1)
    assert "step 9: 'x' has no value" in refused(path, time="t")


def test_a_step_that_the_table_lacks_has_no_value(tmp_path, caplog):
    rows = [[f"2024-{month:02d}", month] for month in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12)]
    path = write_table(tmp_path / "months.csv", ["month", "x"], rows)
    told = refused(path, time="month", lookback=2, horizon=1)
    assert "lacks 1 steps of 1 month, the first after 2024-03" in caplog.text and "step 4: 'x' has no value" in told
    assert len(data_of(path, time="month", lookback=2, horizon=1, missing="mask").parts["test"].values) == 12


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03T05:00"], "2024-01-03T05:00 is 29 hours after the row before"),
        (["2024-01-01", "2024-01-02", "2024-01-02"], "row 3: 't' is 2024-01-02, as in row 2"),
        (["2024-01-01T00:00Z", "2024-01-01T01:00", "2024-01-01T02:00"], "not a time like those before it"),
        (
            [0, 1, 2],
            "no series is long enough: the longest has 1, where one window takes 5 steps: 3 of lookback",
        ),
    ],
)
def test_times_and_lengths_that_no_forecast_can_come_from_are_told(tmp_path, times, message):
    path = write_table(tmp_path / "bad.csv", ["t", "x"], [[time, number] for number, time in enumerate(times)])
    assert message in refused(path, time="t", dev_fraction=0.2)


def test_columns_in_two_roles_or_in_none_are_told(two):
    assert "no column 'y'" in refused(two, series_id="id", time="t", targets=["y"])
    assert "asked for twice" in refused(two, series_id="id", time="t", targets=["x"], known=["k"], past=["k"])
    assert "nothing to be forecast" in refused(two, series_id="id", time="t", known=["x", "k"])


@pytest.mark.parametrize(
    ("given", "ahead"),
    [
        (["2024-10", "2024-11", "2024-12"], ["2025-01", "2025-02"]),
        (["2024-10-31", "2024-11-30", "2024-12-31", "2025-01-31"], ["2025-02-28", "2025-03-31"]),
        (["2024Q3", "2024Q4"], ["2025Q1", "2025Q2"]),
        (["2024-06-06", "2024-06-07", "2024-06-10"], ["2024-06-11", "2024-06-12"]),
        (
            ["2024-03-31T22:00+02:00", "2024-03-31T23:30+02:00"],
            ["2024-04-01T01:00:00+02:00", "2024-04-01T02:30:00+02:00"],
        ),
        (["2024-01-01 00:00Z", "2024-01-01 12:00Z"], ["2024-01-02 00:00:00Z", "2024-01-02 12:00:00Z"]),
    ],
)
def test_the_times_of_a_forecast_go_on_as_those_before_it_are_written(given, ahead):
    found = following([read_time(text) for text in given], 2)
    assert [written(time, given[-1]) for time in found] == ahead


RECIPE = """
seed: 1
data: {name: series_files, train: sales.csv, series_id: shop, time: month, units: [EUR], targets: [sales],
       known: [holiday], static: [place], lookback: 12, horizon: 3}
task: {name: forecasting, head: quantile}
model: {architecture: {name: gru, hidden_size: 4}}
trainer: {max_epochs: 1, enable_progress_bar: false}
tracking: {mode: disabled}
"""


def test_from_a_table_to_dated_forecasts_with_units_for_another_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sales(Path("sales.csv"), months=60, shops=2)
    sales(Path("next.csv"), months=20, shops=2, seed=1, ahead=3)
    Path("own.yaml").write_text(RECIPE)
    assert main(["fit", "own.yaml"]) == 0
    (run,) = Path("runs/own").iterdir()
    assert {f"forecast-{name}.svg" for name in ("best", "median", "worst")} <= {
        p.name for p in (run / "pictures").iterdir()
    }
    capsys.readouterr()
    assert main(["predict", str(run), "--file", "next.csv", "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["series"] for answer in answers] == ["shop 0", "shop 1"]
    assert answers[0]["times"] == ["2006-09", "2006-10", "2006-11"] and answers[0]["units"] == {"sales": "EUR"}
    assert main(["predict", str(run), "--file", "next.csv"]) == 0
    assert capsys.readouterr().out.startswith("shop 0  2006-09  sales ")
    rows = [line.split(",") for line in Path("next.csv").read_text().splitlines() if line.startswith("shop 1")]
    asked = {
        "sales": [float(row[2].removesuffix(" EUR")) for row in rows if row[2]],
        "holiday": [int(row[3]) for row in rows],
        "place": "city",
    }
    model = load(run)
    np.testing.assert_allclose(model.predict([json.dumps(asked)])[0]["values"], answers[1]["values"], rtol=1e-5)
    with pytest.raises(DataError, match="holiday must be known for the 3 steps to come, and 1 are given"):
        model.predict([asked | {"holiday": asked["holiday"][:-2]}])
    with pytest.raises(DataError, match="5 steps, where a forecast takes 12"):
        model.predict([asked | {"sales": asked["sales"][:5]}])


@pytest.mark.slow
def test_what_is_known_in_advance_makes_better_forecasts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sales(Path("sales.csv"))
    scores = {}
    for role in ("known", "past"):
        text = (
            RECIPE.replace("known:", f"{role}:")
            .replace("max_epochs: 1", "max_epochs: 20")
            .replace("hidden_size: 4", "hidden_size: 16")
        )
        Path(f"{role}.yaml").write_text(text + "optimizer: {name: adam, lr: 0.01}\n")
        assert main(["fit", f"{role}.yaml"]) == 0
        (run,) = Path(f"runs/{role}").iterdir()
        scores[role] = json.loads((run / "summary.json").read_text())["metrics"]["test/crps"]
    assert scores["known"] < scores["past"] / 2
