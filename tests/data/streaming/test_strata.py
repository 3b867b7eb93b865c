"""The rows that are held out of a stream are those that are held out in memory."""

from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.data.splits import held_out, strata
from rnnzoo.data.streaming.strata import held_out_rows

LABEL = st.sampled_from("abc")
ROWS = st.one_of(
    st.lists(LABEL, min_size=1, max_size=40).map(lambda labels: {"label": labels}),
    st.lists(st.lists(LABEL, max_size=3, unique=True), min_size=1, max_size=40).map(lambda sets: {"labels": sets}),
    st.integers(1, 40).map(lambda count: {"text": ["a"] * count}),
)


@given(ROWS, st.floats(0.01, 0.99), st.integers(1, 50))
def test_the_held_out_rows_are_the_same(columns, fraction, size):
    (values,) = columns.values()
    chunks = [{name: values[at : at + size] for name in columns} for at in range(0, len(values), size)]
    held = held_out_rows(chunks, fraction)
    train, dev = held_out(strata(columns, len(values)), fraction)
    assert held.nonzero()[0].tolist() == dev and (~held).nonzero()[0].tolist() == train
