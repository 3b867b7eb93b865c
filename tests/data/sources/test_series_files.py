"""The user's own series in tables: however they are written, the same arrays; and what is wrong with them, in words."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_series import activity, write_table

from rnnzoo.cli import main
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.data.overview import overview
from rnnzoo.data.sources.series_files import AskedSeries, SeriesFiles
from rnnzoo.errors import DataError
from rnnzoo.inference.predictor import load
from rnnzoo.testing import check_dataset

NUMBER = st.floats(-1e6, 1e6, width=32).map(float)
SERIES = st.lists(st.lists(NUMBER, min_size=1, max_size=7), min_size=3, max_size=6)
QUIET = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def source(path, form="labelled_channels", **options):
    found = SeriesFiles(str(path), **options)
    found.give(form)
    return found


def arrays(path, **options):
    """The values of all series of a file, by nothing but their order."""
    reader = source(path, **options)
    return [np.asarray(one["value"]) for one in reader.columns(reader.paths["train"])["values"]]


def refused(path, form="labelled_channels", missing="refuse", **options):
    data = ZooData(source(path, form, **options), FORMS[form](missing=missing))
    with pytest.raises(DataError) as error:
        data.prepare()
    return str(error.value)


def long(tmp_path, rows, header=("id", "t", "x", "label")):
    return write_table(tmp_path / "long.csv", header, rows)


@QUIET
@given(SERIES, st.randoms(use_true_random=False))
def test_long_wide_and_single_files_of_the_same_series_give_the_same_arrays(tmp_path_factory, series, random):
    folder = tmp_path_factory.mktemp("series")
    labels = [f"l{number % 2}" for number in range(len(series))]
    rows = [(f"s{n}", t, value, labels[n]) for n, values in enumerate(series) for t, value in enumerate(values)]
    firsts = [row for row in rows if row[1] == 0]
    others = [row for row in rows if row[1] > 0]
    random.shuffle(others)  # `time` says their order
    long = write_table(folder / "long.csv", ["id", "t", "value", "label"], firsts + others)
    longest = max(map(len, series))
    wide = write_table(
        folder / "wide.csv",
        [*(f"step {t}" for t in range(longest)), "label"],
        [[*values, *[""] * (longest - len(values)), label] for values, label in zip(series, labels, strict=True)],
    )
    (folder / "single").mkdir()
    for n, values in enumerate(series):
        write_table(folder / "single" / f"{n}.csv", ["value"], [[value] for value in values])
    index = write_table(
        folder / "index.csv", ["path", "label"], [[f"single/{n}.csv", label] for n, label in enumerate(labels)]
    )
    lines = folder / "long.jsonl"
    lines.write_text(
        "".join(json.dumps(dict(zip(("id", "t", "value", "label"), row, strict=True))) + "\n" for row in rows)
    )
    columns = dict(zip(("id", "t", "value", "label"), map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), folder / "long.parquet")
    found = [
        arrays(long, series_id="id", time="t"),
        arrays(lines, series_id="id"),
        arrays(folder / "long.parquet", series_id="id"),
        arrays(wide),
        arrays(index, file="path"),
    ]
    for other in found:
        assert [len(one) for one in other] == [len(values) for values in series]
        for one, values in zip(other, series, strict=True):
            np.testing.assert_array_equal(one, values)


def test_a_folder_and_a_pattern_of_tables_are_a_series_each(tmp_path):
    for name, label in (("a", "up"), ("b", "down"), ("c", "up"), ("d", "down")):
        write_table(tmp_path / f"{name}.csv", ["value", "label"], [[number, label] for number in range(3)])
    for path in (tmp_path, tmp_path / "*.csv"):
        found = source(path)
        columns = found.columns(found.paths["train"])
        assert columns["label"] == ["up", "down", "up", "down"]
        assert found.row_in_file(found.paths["train"], 1) == "series 'b'"
        assert {part: len(rows["label"]) for part, rows in source(path).read().items()} == {"train": 2, "dev": 2}


def test_every_policy_reads_what_it_says_where_a_value_is_missing(tmp_path):
    cells = ["1", "", "4", "10"]
    path = long(tmp_path, [[name, t, x, name] for name in "ab" for t, x in enumerate(cells)])
    expected = {"forward": [1, 1, 4, 10], "interpolate": [1, 2.5, 4, 10], "mask": [1, 5, 4, 10]}  # 5 is the mean
    for policy, wanted in expected.items():
        data = ZooData(
            source(path, series_id="id", time="t", dev=str(path)), FORMS["labelled_channels"](missing=policy)
        )
        field = data.spec.inputs["values"]
        read = data.parts["train"].values[:4]
        np.testing.assert_allclose(read[:, 0] * field.options["std"][0] + field.options["mean"][0], wanted, rtol=1e-6)
        assert (read.shape[1] == 2) == (policy == "mask")
        if policy == "mask":
            assert field.names == ("x", "x is there") and read[:, 1].tolist() == [1, 0, 1, 1]
    told = refused(path, series_id="id", time="t", dev=str(path))
    assert "long.csv, series 'a': step 2: 'x' has no value (1 are missing in the series)" in told
    assert "missing: forward" in told


def test_a_channel_is_scaled_by_the_steps_of_training_alone(tmp_path):
    path = long(tmp_path, [["a", 0, 1, "u"], ["a", 1, 3, "u"], ["b", 0, 5, "v"]])
    other = write_table(tmp_path / "other.csv", ["id", "t", "x", "label"], [["c", 0, 7, "v"]])
    data = ZooData(source(path, series_id="id", time="t", dev=str(other)), FORMS["labelled_channels"]())
    options = data.spec.inputs["values"].options
    assert (options["mean"], options["std"]) == ([3.0], [pytest.approx(np.std([1, 3, 5]))])
    assert data.parts["dev"].values.tolist() == [[pytest.approx((7 - 3) / np.std([1, 3, 5]))]]


def test_static_columns_are_features_of_every_step(tmp_path):
    rows = [["a", 0, 1, 30, "f", "u"], ["a", 1, 2, 30, "f", "u"], ["b", 0, 3, 50, "m", "v"]]
    header = ["id", "t", "x", "age", "sex", "label"]
    path = write_table(tmp_path / "long.csv", header, rows)
    options = {"series_id": "id", "time": "t", "static": ["age", "sex"]}
    data = ZooData(source(path, dev=str(path), **options), FORMS["labelled_channels"]())
    assert data.spec.inputs["values"].names == ("x", "age", "sex is f", "sex is m")
    assert data.parts["train"].values[:, 1:].tolist() == [[-1, 1, 0], [-1, 1, 0], [1, 0, 1]]
    strange = write_table(tmp_path / "dev.csv", header, [["c", 0, 1, 40, "x", "u"]])
    assert "'sex' is 'x', which no training series has" in refused(path, dev=str(strange), **options)


def test_the_time_between_uneven_steps_is_a_channel_where_it_is_asked_for(tmp_path):
    times = ["2024-01-01T00:00:00Z", "2024-01-01T01:00:10+01:00", "2024-01-01T00:01:00Z"]
    path = long(tmp_path, [["a", time, 1, "u"] for time in times])
    found = source(path, series_id="id", time="t", elapsed=True)
    (values,) = found.columns(found.paths["train"])["values"]
    assert values["elapsed"].tolist() == [0, 10, 50]  # seconds, whatever the offset from UTC


LONG = {"series_id": "id", "time": "t"}
GOOD = [["a", 0, 1, "u"], ["a", 1, 2, "u"], ["b", 0, 3, "v"], ["b", 1, 3, "v"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", 0, 1, "u"], ["a", 1, 2, "v"]], "row 2: 'label' is 'v', and 'u' in row 1 of the same series 'a'"),
        ([["a", 0, 1, "u"], ["a", 0, 2, "u"]], "row 2: 't' is 0, as in row 1 of series 'a'"),
        ([["a", "Jan 3rd", 1, "u"]], "row 1: 't' is 'Jan 3rd', not a time"),
        (
            [["a", "2024-01-01T00:00Z", 1, "u"], ["a", "2024-01-01T00:01", 1, "u"]],
            "row 2: 't' is '2024-01-01T00:01', not a time like those before it",
        ),
        ([["a", 0, "warm", "u"]], "row 1: 'x' is 'warm', not a number"),
        ([["a", 0, 1, ""]], "row 1: 'label' is '', not a label"),
        ([["", 0, 1, "u"]], "row 1: 'id' names no series"),
        ([["a", 0, "", "u"], ["b", 0, "", "v"]], "has no column of numbers"),
        ([], "has a header and no rows"),
    ],
)
def test_what_is_wrong_in_a_long_table_is_told_with_its_place(tmp_path, rows, message):
    path = long(tmp_path, rows)
    assert message in refused(path, dev=str(path), **LONG)


def test_a_label_that_training_lacks_is_told_with_its_series(tmp_path):
    path = long(tmp_path, GOOD)
    test = write_table(tmp_path / "test.csv", ["id", "t", "x", "label"], [["z", 0, 1, "w"]])
    told = refused(path, dev=str(path), test=str(test), **LONG)
    assert "test.csv, series 'z'" in told and "the training split has no label 'w'" in told


def test_a_column_that_is_not_there_is_told_with_those_that_are(tmp_path):
    path = long(tmp_path, GOOD)
    told = refused(path, series_id="ids", time="t")
    assert "has no column 'ids'" in told and "Did you mean 'id'?" in told
    assert "data.targets: missing" in refused(path, "measured_channels", **LONG)


def test_a_constant_channel_is_reported_and_harms_nothing(tmp_path, caplog):
    path = long(tmp_path, [[name, t, 7, name] for name in "ab" for t in range(3)])
    data = ZooData(source(path, dev=str(path), **LONG), FORMS["labelled_channels"]())
    assert data.spec.inputs["values"].options["std"] == [1]
    assert "constant in the training split" in caplog.text and (data.parts["train"].values == 0).all()


def test_two_units_in_one_column_are_refused(tmp_path):
    path = long(tmp_path, [["a", 0, "1 kW", "u"], ["a", 1, "900 W", "u"]])
    assert "row 2: 'x' is in W, and in kW in row 1" in refused(path, units=["kW", "W"], **LONG)


@pytest.mark.slow
def test_it_keeps_the_promises_of_a_data_set(tmp_path):
    path = activity(tmp_path / "walks.csv", 9)
    check_dataset(
        {"name": "series_files", "train": str(path), "series_id": "walk", "time": "time", "label": "activity"}
    )


RECIPE = """
seed: 1
data: {{name: series_files, train: train.csv, series_id: walk, time: time, columns: [ax, ay, az], {data}}}
task: {{name: {task}}}
model: {{architecture: {{name: gru, hidden_size: 4}}}}
trainer: {{max_epochs: 1, enable_progress_bar: false}}
tracking: {{mode: disabled}}
"""


@pytest.mark.parametrize(
    ("task", "data", "told"),
    [
        ("classification", "label: activity, static: [left handed]", "label"),
        ("tagging", "label: activity", "tags"),
        pytest.param("regression", "targets: [left handed]", "values", marks=pytest.mark.slow),
    ],
)
def test_from_a_file_to_a_model_to_answers_for_another_file(tmp_path, monkeypatch, capsys, task, data, told):
    monkeypatch.chdir(tmp_path)
    activity(tmp_path / "train.csv", 12)
    (tmp_path / "own.yaml").write_text(RECIPE.format(task=task, data=data))
    assert main(["fit", "own.yaml"]) == 0
    (run,) = (tmp_path / "runs" / "own").iterdir()
    rows = [line.split(",") for line in (tmp_path / "train.csv").read_text().splitlines()]
    write_table(tmp_path / "new.csv", rows[0][:-1], [row[:-1] for row in rows[1:] if row[0] in ("walk-3", "walk-7")])
    capsys.readouterr()
    assert main(["predict", str(run), "--file", "new.csv", "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["series"] for answer in answers] == ["walk-3", "walk-7"] and all(told in one for one in answers)
    model = load(run)
    series = [[float(cell) for cell in row[2:5]] for row in rows if row[0] == "walk-3"]
    named = {name: [row[place] for row in series] for place, name in enumerate(("ax", "ay", "az"))}
    if "static" in data:
        named["left handed"] = 1
    (again,) = model.predict([json.dumps(named)])
    same = pytest.approx(answers[0][told]) if told == "values" else answers[0][told]
    assert again[told] == same


def test_a_first_look_tells_each_channel_by_its_name(tmp_path):
    path = long(tmp_path, [["a", 0, 1, "u"], ["a", 1, "", "u"], ["b", 0, 4, "v"], ["b", 1, 7, "v"]])
    found = overview(ZooData(source(path, dev=str(path), **LONG), FORMS["labelled_channels"](missing="mask")), {})
    assert found["numbers"]["train"]["features"] == {"x": {"min": 1.0, "mean": 4.0, "max": 7.0, "missing": 1}}


@pytest.mark.parametrize("static", [{"age": None}, {"age": [40]}, {"sex": None}])
def test_a_static_value_that_is_neither_a_number_nor_a_text_is_named(static):
    form = FORMS["labelled_channels"]()
    rows = [{"age": 30.0, "sex": "f"}, {"age": 40.0, "sex": "m"}]
    values = [np.array([(number,)], dtype=[("x", float)]) for number in (1, 2)]
    spec = form.fit({"values": values, "static": rows, "label": ["a", "b"]})
    with pytest.raises(DataError, match=f"'{next(iter(static))}' is .*, and neither a number nor a text"):
        form.ask([AskedSeries("one", [[1.0]], rows[0] | static)], spec)
