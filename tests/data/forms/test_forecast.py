"""Windows over one long series: which steps they cover, and how they are scaled."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.batch import DataSpec
from rnnzoo.data.datamodule import ZooData
from rnnzoo.data.forms import FORMS
from rnnzoo.data.forms.forecast import WindowedSeries
from rnnzoo.data.splits import in_time
from rnnzoo.errors import DataError

RNG = np.random.default_rng(0)


def counted(steps, variables=2):
    """A series that tells its own step: step t of variable v is 100 v + t."""
    return {f"v{v}": 100.0 * v + np.arange(steps) for v in range(variables)}


def parts_of(form, series, ends):
    columns = in_time(series, ends)
    spec = form.fit(columns["train"])
    return spec, {part: form.encode(own, spec) for part, own in columns.items()}


def in_units(values, spec):
    scale = spec.inputs["values"].options
    return values.numpy() * np.array(scale["std"]) + np.array(scale["mean"])


@given(
    sizes=st.tuples(st.integers(20, 40), st.integers(1, 30), st.integers(1, 30)),
    lookback=st.integers(1, 12),
    horizon=st.integers(1, 8),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 3),
)
def test_every_window_that_fits_is_read_once_by_some_process(sizes, lookback, horizon, batch_size, world_size):
    form = WindowedSeries(lookback, horizon, batch_size)
    ends = np.cumsum(sizes)
    if min(sizes[1:]) < horizon:
        with pytest.raises(DataError, match="of horizon"):
            parts_of(form, counted(sum(sizes)), ends)
        return
    spec, parts = parts_of(form, counted(sum(sizes)), ends)
    for part, begin, end in zip(("train", "dev", "test"), (0, *ends), ends, strict=False):
        first = max(begin, lookback)  # the first step that has a lookback before it
        wanted = [(t - lookback, t + horizon) for t in range(first, end - horizon + 1)]
        found = []
        for rank in range(world_size):
            for rows in form.batches(parts[part], training=False, rank=rank, world_size=world_size):
                batch = parts[part][rows]
                assert batch.inputs["values"].shape == (len(rows), lookback, 2)
                assert batch.target.shape == (len(rows), horizon, 2)
                both = in_units(torch.cat([batch.inputs["values"], batch.target], 1), spec)
                for window in both:
                    np.testing.assert_allclose(np.diff(window[:, 0]), 1, atol=1e-3)
                    np.testing.assert_allclose(window[:, 1] - window[:, 0], 100, atol=1e-3)
                    found.append((round(window[0, 0]), round(window[-1, 0]) + 1))
        assert sorted(found) == wanted


def test_a_part_has_a_window_for_each_place_of_its_horizon_no_matter_how_they_are_batched():
    form = WindowedSeries(96, 96, batch_size=32)
    _, parts = parts_of(form, counted(14_400, 1), (8640, 11_520, 14_400))
    assert {part: len(windows) for part, windows in parts.items()} == {
        "train": 8640 - 96 - 96 + 1,
        "dev": 2880 - 96 + 1,  # its windows look back on training steps
        "test": 2785,
    }
    assert sum(map(len, form.batches(parts["test"], training=False))) == 2785


def test_windows_share_one_array():
    _, parts = parts_of(WindowedSeries(96, 96), counted(14_400, 7), (8640, 11_520, 14_400))
    arrays = parts["train"].arrays()
    assert sum(array.nbytes for array in arrays) <= 8640 * (7 * 4 + 8)


def test_the_scale_is_that_of_the_training_part_alone():
    series = {"a": RNG.normal(5, 3, 100), "b": RNG.normal(-1, 0.1, 100)}
    form = WindowedSeries(4, 2)
    spec, parts = parts_of(form, series, (60, 80, 100))
    table = np.stack([series["a"], series["b"]], 1)
    mean, std = table[:60].mean(0), table[:60].std(0)
    np.testing.assert_allclose(spec.inputs["values"].options["mean"], mean)
    np.testing.assert_allclose(spec.inputs["values"].options["std"], std)
    later = {name: np.concatenate([values[:60], 1e6 + values[60:]]) for name, values in series.items()}
    assert form.fit(in_time(later, (60, 80, 100))["train"]) == spec
    np.testing.assert_allclose(parts["test"].values, (table[76:] - mean) / std, rtol=1e-5)


def test_a_constant_variable_is_told_of_and_shifted_but_not_scaled(caplog):
    spec, parts = parts_of(WindowedSeries(2, 1), {"flat": np.full(30, 0.1), "up": np.arange(30.0)}, (20, 25, 30))
    assert "constant in the training split" in caplog.text and "flat" in caplog.text and "up" not in caplog.text
    assert spec.inputs["values"].options["std"][0] == 1
    np.testing.assert_allclose(parts["dev"].values[:, 0], 0, atol=1e-6)


def test_a_form_made_again_from_its_stored_spec_encodes_alike():
    columns = in_time(counted(40), (20, 30, 40))
    form = WindowedSeries(5, 3)
    spec = form.fit(columns["train"])
    stored = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    again = FORMS[stored.form].from_spec(stored)
    for own, other in zip(
        form.encode(columns["dev"], spec).arrays(), again.encode(columns["dev"], stored).arrays(), strict=True
    ):
        np.testing.assert_array_equal(own, other)


def test_a_typed_series_is_read_by_its_last_steps_in_the_datas_own_units():
    form = WindowedSeries(3, 2)
    spec, parts = parts_of(form, counted(40), (30, 35, 40))
    typed = [[t, 100 + t] for t in range(20, 25)]
    asked = form.ask([json.dumps(typed), np.array(typed[2:])], spec)
    batch = asked[[0, 1]]
    assert batch.target is None and batch.lengths.tolist() == [3, 3]
    torch.testing.assert_close(batch.inputs["values"][0], batch.inputs["values"][1])
    torch.testing.assert_close(batch.inputs["values"][:1], parts["train"][[22]].inputs["values"])


def test_a_typed_series_is_scaled_as_the_training_part_is_however_large_its_numbers_are():
    waves = 1e8 + 3 * np.sin(np.arange(40.0))  # float32 has steps of 8 there
    form = WindowedSeries(8, 2)
    spec, parts = parts_of(form, {"load": waves}, (30, 35, 40))
    wanted = parts["train"][[20]].inputs["values"]
    assert wanted.std() > 0.5
    for typed in (waves[:28].tolist(), waves[:28, None], np.array(waves[20:28].tolist(), dtype=[("load", float)])):
        typed = json.dumps(typed) if isinstance(typed, list) else typed
        torch.testing.assert_close(form.ask([typed], spec)[[0]].inputs["values"], wanted, rtol=0, atol=0)


def test_a_table_of_other_variables_or_in_another_order_is_refused():
    form = WindowedSeries(3, 2)
    spec, _ = parts_of(form, counted(40), (30, 35, 40))
    table = in_time(counted(5), (5,))["train"]["values"]
    form.ask([table], spec)
    with pytest.raises(DataError, match=r"series 1: .*\n  Expected: v0, v1\. Found: v1, v0\."):
        form.ask([table[["v1", "v0"]]], spec)


def test_no_series_has_no_forecast():
    form = WindowedSeries(3, 2)
    spec, _ = parts_of(form, counted(40), (30, 35, 40))
    assert len(form.ask([], spec)) == 0


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("[[1, 2], [3, 4]]", "series 1: 2 steps, where a forecast takes 3"),
        ("[[1, 2, 3], [4, 5, 6], [7, 8, 9]]", "3 features a step, where 2 are expected"),
        ("[[1, 2], [3, NaN], [5, 6]]", "series 1, step 2: '2' is missing, infinite or not a number"),
        ("[[1, 2], [3], [5, 6]]", "series 1: expected numbers, as many each step"),
        ("[[1, 2], [3, 1e300], [5, 6]]", "series 1: a number is too far from those of the training split"),
        (f"[[1, 2], [3, 1{400 * '0'}], [5, 6]]", "series 1: expected numbers"),
        ("rain", "expected numbers as JSON, got 'rain'"),
    ],
)
def test_a_typed_series_that_is_none_is_refused(typed, told):
    form = WindowedSeries(3, 2)
    spec, _ = parts_of(form, counted(40), (30, 35, 40))
    with pytest.raises(DataError, match=told):
        form.ask([typed], spec)


def test_a_part_without_room_for_a_window_is_told_how_much_one_takes():
    form = WindowedSeries(24, 12)
    with pytest.raises(DataError, match=r"30 steps, and 0 before them, where one window takes 36: 24 of lookback, 12 "):
        form.fit(in_time(counted(90), (30, 60, 90))["train"])
    columns = in_time(counted(90), (70, 80, 90))
    with pytest.raises(DataError, match="10 steps, and 70 before them, where one window takes 36"):
        form.encode(columns["dev"], form.fit(columns["train"]))


def test_plain_rows_of_numbers_are_variables_by_number():
    form = WindowedSeries(2, 1)
    columns = {"values": [[1, 2], [3, 5], [5, 7]], "own": [True] * 3}
    assert form.fit(columns).inputs["values"].names == ("1", "2")


@pytest.mark.parametrize(
    ("values", "own", "told"),
    [
        ([[1, 2], [3, float("nan")], [5, 6]], [True] * 3, "step 2: '2' is missing, infinite or not a number"),
        ([["a", "b"]] * 3, [True] * 3, "expected numbers"),
        ([[1, 2], [3], [5, 6]], [True] * 3, "expected numbers, as many each step"),
        ([1, 2, 3], [True] * 3, r"expected \(steps, variables\), got \(3,\)"),
        ([[1], [2], [3]], [True, False, True], "must stand before"),
    ],
)
def test_what_is_no_series_is_refused(values, own, told):
    with pytest.raises(DataError, match=told):
        WindowedSeries(1, 1).fit({"values": values, "own": own})


def test_other_variables_than_those_learned_from_are_refused():
    form = WindowedSeries(2, 1)
    spec = form.fit(in_time(counted(40), (30, 35, 40))["train"])
    other = in_time({"v0": np.arange(40), "w": np.arange(40)}, (30, 35, 40))
    with pytest.raises(DataError, match="expected the variables v0, v1, found v0, w"):
        form.encode(other["dev"], spec)


@pytest.mark.parametrize("name", ["lookback", "horizon", "batch_size", "eval_batch_size"])
def test_sizes_are_whole_numbers_of_at_least_one(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number >= 1.*, got 0"):
        WindowedSeries(**{name: 0})


def test_the_module_of_data_counts_windows_as_examples():
    class Counted:
        form = "windowed_series"

        def read(self):
            return in_time(counted(100), (60, 80, 100))

        def store(self):
            return None

        def identity(self):
            return {"id": "counted", "revision": None}

        def part_name(self, part):
            return part

    data = ZooData(Counted(), WindowedSeries(10, 5, batch_size=8))
    assert data.sizes == {"train": 46, "dev": 16, "test": 16}
    assert sum(len(batch) for batch in data.train_dataloader()) == 46
