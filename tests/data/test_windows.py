"""Batches of rows that are sorted and shuffled some at a time: data larger than memory."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.data.batching import BucketBatches
from rnnzoo.data.forms import LabelledText
from rnnzoo.errors import DataError

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=101)
WINDOW, WORLD = st.integers(1, 120), st.integers(1, 4)


def batches(lengths, window, epoch=0, **options):
    made = BucketBatches(np.array(lengths), window=window, **{"batch_size": 3, **options})
    made.set_epoch(epoch)
    return made


@given(LENGTHS, WINDOW, st.one_of(st.none(), st.integers(1, 120)), st.booleans(), st.integers(0, 5))
def test_every_row_is_in_every_epoch_exactly_once_whatever_the_window(lengths, window, batch_tokens, training, epoch):
    made = batches(lengths, window, epoch, batch_tokens=batch_tokens, training=training)
    assert sorted(chain(*made)) == list(range(len(lengths)))
    assert len(list(made)) == len(made)


@given(LENGTHS, st.integers(0, 50), st.booleans(), st.integers(0, 3), WORLD)
def test_a_window_of_all_rows_or_more_changes_nothing(lengths, more, training, epoch, world_size):
    for rank in range(world_size):
        options = {"training": training, "rank": rank, "world_size": world_size}
        whole, windowed = (batches(lengths, w, epoch, **options) for w in (None, len(lengths) + more))
        assert list(whole) == list(windowed)


@given(LENGTHS, WINDOW, WORLD)
def test_a_batch_has_rows_of_one_window(lengths, window, world_size):
    for rows in batches(lengths, window, world_size=world_size):
        assert len({row // window for row in rows}) == 1


@given(LENGTHS, WINDOW, WORLD, st.integers(0, 3))
def test_the_ranks_take_equally_many_steps_and_share_out_all_rows(lengths, window, world_size, epoch):
    of_ranks = [list(batches(lengths, window, epoch, rank=rank, world_size=world_size)) for rank in range(world_size)]
    steps = len(of_ranks[0])
    assert {len(own) for own in of_ranks} == {steps}
    rows = sorted(chain(*chain(*of_ranks)))
    assert set(rows) == set(range(len(lengths)))
    alone = len(batches(lengths, window))
    assert steps == -(-alone // world_size)  # so that fewer batches are repeated than there are ranks


@given(LENGTHS, WINDOW, WORLD)
def test_evaluation_reads_each_row_on_one_rank(lengths, window, world_size):
    options = {"training": False, "world_size": world_size}
    rows = [row for rank in range(world_size) for own in batches(lengths, window, rank=rank, **options) for row in own]
    assert sorted(rows) == list(range(len(lengths)))


def test_windows_and_their_rows_are_in_another_order_in_each_epoch():
    first, second = (list(batches([5] * 40, 10, epoch)) for epoch in (0, 1))
    assert first == list(batches([5] * 40, 10, 0)) and first != second
    order = [[rows[0] // 10 for rows in epoch[::4]] for epoch in (first, second)]
    assert sorted(order[0]) == sorted(order[1]) == [0, 1, 2, 3]


def test_batches_of_one_step_are_of_like_length_in_each_window():
    lengths = [1 + row % 50 for row in range(1000)]
    of_ranks = [list(batches(lengths, 100, rank=rank, world_size=2)) for rank in (0, 1)]
    apart = [
        abs(max(lengths[row] for row in one) - max(lengths[row] for row in two))
        for one, two in zip(*of_ranks, strict=True)
    ]
    assert np.mean(apart) < 8  # drawn at random they would be 17 apart


def test_rows_of_balanced_labels_are_not_drawn_from_a_window():
    form = LabelledText(sampler="balanced", batch_size=2)
    columns = {"text": ["a b", "c", "d e", "f"], "label": ["x", "y", "x", "x"]}
    examples = form.encode(columns, form.fit(columns))
    examples.window = 4
    assert len(form.batches(examples, training=True)) == 2
    examples.window = 3
    with pytest.raises(DataError, match=r"data.sampler: balanced draws from all rows.*\n.*raise data.window to 4"):
        form.batches(examples, training=True)
