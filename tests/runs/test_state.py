"""A training state comes back as it was, through JSON and tensors alone."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.errors import RunError
from rnnzoo.runs import state

keys = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))
plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
values = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(keys, inner), st.dictionaries(st.text(), inner)
    ),
    max_leaves=20,
)


def there_and_back(value):
    packed, tensors = state.pack(value)
    stored = {name: tensor.clone() for name, tensor in tensors.items()}
    return state.unpack(json.loads(json.dumps(packed, allow_nan=False)), stored)


def same(a, b):
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(values)
def test_plain_values_come_back_equal_and_of_their_types(value):
    assert same(there_and_back(value), value)


def test_numbers_that_json_has_not_come_back():
    assert math.isnan(there_and_back(math.nan)) and there_and_back([math.inf, -math.inf]) == [math.inf, -math.inf]


def test_an_optimizers_state_comes_back_and_goes_on_the_same():
    def trained(optimizer, weight, steps):
        for step in range(steps):
            weight.grad = torch.full_like(weight, 0.1 * (step + 1))
            optimizer.step()
        return weight

    first, second = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer, resumed = (torch.optim.AdamW([weight], lr=0.1, amsgrad=True) for weight in (first, second))
    trained(optimizer, first, 3)
    resumed.load_state_dict(there_and_back(optimizer.state_dict()))
    with torch.no_grad():
        second.copy_(first)
    assert torch.equal(trained(optimizer, first, 2), trained(resumed, second, 2))


def test_tensors_and_arrays_keep_their_types_and_a_tensor_in_two_places_is_stored_once():
    tensor = torch.arange(3, dtype=torch.int16)
    packed, tensors = state.pack({"a": tensor, "b": [tensor], "c": np.arange(2, dtype=np.uint32)})
    assert len(tensors) == 2
    back = state.unpack(packed, tensors)
    assert back["a"] is tensor and back["c"].dtype == np.uint32 and back["c"].tolist() == [0, 1]


def test_the_state_of_numpys_and_pythons_generators_come_back():
    import random

    kept = there_and_back((random.getstate(), np.random.get_state()))
    drawn = random.random(), np.random.rand()
    random.setstate(kept[0])
    np.random.set_state(kept[1])
    assert drawn == (random.random(), np.random.rand())


def test_a_value_of_another_type_and_a_bottomless_one_are_refused():
    with pytest.raises(TypeError, match=r"cannot hold a builtins\.object"):
        state.pack({"a": object()})
    endless: list = []
    endless.append(endless)
    with pytest.raises(ValueError, match="more than 64 deep"):
        state.pack(endless)


@pytest.mark.parametrize(
    "value",
    [
        {"$tensor": "9"},
        {"$tensor": 1},
        {"$float": "1.0"},
        {"$tuple": 3},
        {"$pairs": [[1]]},
        {"$pairs": [[[], 1]]},
        {"$what": []},
        {"$tuple": [], "b": 1},
        {"$bytes": "x"},
    ],
)
def test_json_that_was_not_packed_is_refused(value):
    with pytest.raises(RunError, match="a training state is corrupt"):
        state.unpack([value], {})
