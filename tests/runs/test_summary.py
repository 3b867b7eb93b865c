"""A summary has one type, and what a stranger has written in its place is left out or named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.runs.summary import Summary, mistake, well_formed
from rnnzoo.system.shipped import models

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def test_the_facts_of_the_shipped_models_are_well_formed_as_they_are():
    for folder in models().values():
        facts = json.loads((folder / "summary.json").read_text())
        known = {key: value for key, value in facts.items() if key in Summary.__annotations__}
        assert well_formed(facts) == known


@given(st.dictionaries(st.sampled_from(sorted(Summary.__annotations__)), JSON))
def test_what_is_kept_of_any_values_is_well_formed_itself(values):
    kept = well_formed(values)
    assert well_formed(kept) == kept and kept.keys() <= values.keys()


def test_a_wrong_entry_is_left_out_at_its_own_level():
    hardware = {"cpu": "a processor", "cores": "two", "gpu": None, "more": 1}
    metrics = {"test/loss": 1, "test/f1": None, "test/accuracy": "high"}
    engine = ["x", {"cell": "GRUCell", "path": 3}]
    assert well_formed({"seed": True, "epochs": 2.0, "hardware": hardware, "metrics": metrics, "engine": engine}) == {
        "hardware": {"cpu": "a processor", "gpu": None},
        "metrics": {"test/loss": 1, "test/f1": None},
        "engine": [{"cell": "GRUCell"}],
    }


@pytest.mark.parametrize(
    ("facts", "key", "message"),
    [
        ({"seed": 1}, "seed", None),
        ({"seed": "one"}, "seed", "its seed is 'one', not a whole number"),
        ({}, "hardware.cpu", "its hardware.cpu is None, not text"),
        ({"cpu_seconds": float("nan")}, "cpu_seconds", "its cpu_seconds is nan, not a finite number or null"),
        ({"best": {"mode": "up"}}, "best.mode", "its best.mode is 'up', not max or min"),
        ({"data": {"sizes": [1]}}, "data.sizes", "its data.sizes is [1], not a mapping"),
    ],
)
def test_a_mistake_names_the_key_the_value_and_the_type(facts, key, message):
    assert mistake(facts, key) == message
