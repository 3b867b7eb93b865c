from collections import Counter
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnzoo.data.batching import BucketBatches, Remaining, StreamBatches
from rnnzoo.errors import DataError

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=101)
WORLD = st.integers(1, 4)


def batches(lengths, epoch=0, **options):
    made = BucketBatches(np.array(lengths), **{"batch_size": 3, **options})
    made.set_epoch(epoch)
    return made


def ranks(lengths, world_size, **options):
    return [list(batches(lengths, rank=rank, world_size=world_size, **options)) for rank in range(world_size)]


def woven(per_rank):
    """First batches of all ranks, then second ones, and so on."""
    steps = max(map(len, per_rank))
    return [steps_of[step] for step in range(steps) for steps_of in per_rank if step < len(steps_of)]


@given(LENGTHS, st.integers(1, 9), st.one_of(st.none(), st.integers(1, 120)), st.booleans(), st.integers(0, 5))
def test_every_row_is_in_every_epoch_exactly_once(lengths, batch_size, batch_tokens, training, epoch):
    made = batches(lengths, epoch, batch_size=batch_size, batch_tokens=batch_tokens, training=training)
    assert sorted(chain(*made)) == list(range(len(lengths)))


@given(LENGTHS, st.integers(1, 9), st.integers(1, 120), st.booleans(), st.integers(0, 3))
def test_no_batch_is_larger_than_it_may_be(lengths, batch_size, batch_tokens, training, epoch):
    for rows in batches(lengths, epoch, batch_size=batch_size, batch_tokens=batch_tokens, training=training):
        assert len(rows) <= batch_size
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= batch_tokens


@given(LENGTHS, st.one_of(st.none(), st.integers(1, 120)), WORLD)
def test_the_number_of_batches_is_the_same_in_every_epoch_and_on_every_rank(lengths, batch_tokens, world_size):
    counts = {
        len(list(batches(lengths, epoch, batch_tokens=batch_tokens, rank=rank, world_size=world_size)))
        for epoch in range(3)
        for rank in range(world_size)
    }
    assert counts == {len(batches(lengths, batch_tokens=batch_tokens, world_size=world_size))}


@given(LENGTHS, st.integers(1, 9))
def test_without_a_token_cap_all_batches_but_one_are_full(lengths, batch_size):
    sizes = Counter(len(rows) for rows in batches(lengths, batch_size=batch_size))
    full, rest = divmod(len(lengths), batch_size)
    assert sizes == Counter({batch_size: full}) + Counter({rest: int(rest > 0)})


@given(LENGTHS, WORLD, st.integers(0, 3))
def test_training_ranks_together_have_the_batches_of_one_process_and_repeat_the_first(lengths, world_size, seed):
    alone = list(batches(lengths, seed=seed))
    together = woven(ranks(lengths, world_size, seed=seed))
    assert sorted(together[: len(alone)]) == sorted(alone)
    repeated = together[len(alone) :]
    assert len(repeated) < world_size
    assert all(rows == together[place % len(alone)] for place, rows in enumerate(repeated))


@given(LENGTHS, st.one_of(st.none(), st.integers(1, 120)), WORLD, st.integers(0, 3), st.integers(0, 3))
def test_ranks_share_a_step_with_neighbours_in_length(lengths, batch_tokens, world_size, seed, epoch):
    """But for the last step, where the batches do not go round, no step has a batch between those of another."""
    options = {"batch_tokens": batch_tokens, "seed": seed, "epoch": epoch, "bucket": 1}
    steps = [
        [[lengths[row] for row in rows] for rows in step]
        for step in zip(*ranks(lengths, world_size, **options), strict=True)
    ]
    whole = sorted(steps[: batches(lengths, **options).total // world_size], key=lambda step: max(map(max, step)))
    for shorter, longer in pairwise(whole):
        assert max(map(max, shorter)) <= min(map(max, longer))


def test_ranks_wait_for_each_other_a_tenth_as_long_as_with_batches_of_any_length():
    """A step costs what its longest batch does: rows x longest row."""
    lengths = np.random.default_rng(0).lognormal(5.16, 0.77, size=25_000).clip(10, 400).astype(int)

    def lost(order):
        costs = [[len(rows) * lengths[rows].max() for rows in step] for step in zip(*[iter(order)] * 2, strict=False)]
        return 1 - sum(map(sum, costs)) / sum(2 * max(step) for step in costs)

    assert lost(woven(ranks(lengths, 2, batch_size=64))) < 0.02 < 0.2 < lost(batches(lengths, batch_size=64))


@given(LENGTHS, WORLD)
def test_evaluation_ranks_together_see_each_row_once_longest_first(lengths, world_size):
    per_rank = ranks(lengths, world_size, training=False)
    assert [len(batches(lengths, rank=r, world_size=world_size, training=False)) for r in range(world_size)] == [
        len(own) for own in per_rank
    ]
    rows = list(chain(*woven(per_rank)))
    assert rows == sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))


@given(LENGTHS, WORLD)
def test_no_rank_is_idle_in_evaluation_while_there_are_rows(lengths, world_size):
    counts = [len(own) for own in ranks(lengths, world_size, batch_size=64, training=False)]
    assert min(counts) == int(len(lengths) >= world_size)


@given(LENGTHS, st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_the_order_is_a_function_of_seed_and_epoch(lengths, seed, epoch):
    assert list(batches(lengths, epoch, seed=seed)) == list(batches(lengths, epoch, seed=seed))


@given(LENGTHS, WORLD, st.integers(0, 3), st.integers(0, 40))
def test_what_remains_of_an_epoch_is_its_end_on_every_rank_and_the_next_epoch_is_whole(lengths, world, epoch, done):
    for rank in range(world):
        here = {"rank": rank, "world_size": world}
        remaining = Remaining(batches(lengths, **here), done)
        remaining.set_epoch(epoch)
        assert list(remaining) == list(batches(lengths, epoch, **here))[done:]
        remaining.set_epoch(epoch + 1)
        assert list(remaining) == list(batches(lengths, epoch + 1, **here))


def test_epochs_and_seeds_differ():
    lengths = np.arange(1, 101)
    orders = {str(list(batches(lengths, epoch, seed=seed))) for seed, epoch in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]}
    assert len(orders) == 5


def test_epochs_differ_in_what_shares_a_batch_and_not_only_in_order():
    lengths = np.arange(1, 101)
    first, second = ({frozenset(rows) for rows in batches(lengths, epoch)} for epoch in (0, 1))
    assert len(first & second) < len(first) / 2


def test_rows_of_a_batch_are_of_similar_length():
    lengths = np.random.default_rng(0).integers(1, 400, size=20_000)
    real = padded = 0
    for rows in batches(lengths, batch_size=32):
        real += lengths[rows].sum()
        padded += lengths[rows].max() * len(rows)
    shuffled = sum(lengths[start : start + 32].max() * 32 for start in range(0, 20_000, 32))
    assert padded < 1.05 * real < shuffled


STREAM = {"steps": st.integers(1, 200), "columns": st.integers(1, 9), "tbptt_steps": st.integers(1, 12)}


def visited(windows):
    """The places each window covers, by column."""
    for window in windows:
        for column, start, length in zip(window.columns, window.starts, window.lengths, strict=True):
            yield int(column), list(range(start, start + length))


@given(**STREAM, world_size=WORLD, training=st.booleans())
@settings(max_examples=200)
def test_every_step_of_a_stream_is_in_exactly_one_window(steps, columns, tbptt_steps, world_size, training):
    if training and steps < columns * world_size:
        return
    places = []
    for rank in range(world_size):
        made = StreamBatches(
            steps, columns=columns, tbptt_steps=tbptt_steps, training=training, rank=rank, world_size=world_size
        )
        windows = list(made)
        assert len(windows) == len(made)
        longest = tbptt_steps + 1 if training else tbptt_steps * columns
        assert all(1 <= length <= longest for window in windows for length in window.lengths)
        places.append(list(chain.from_iterable(covered for _, covered in visited(windows))))
    if training:
        assert sorted(chain.from_iterable(places)) == list(range(steps))
    else:
        assert places == [list(range(steps))] * world_size


@given(**STREAM)
def test_each_window_goes_on_where_the_last_one_ended(steps, columns, tbptt_steps):
    ends = {}
    windows = list(StreamBatches(steps, columns=columns, tbptt_steps=tbptt_steps, training=False))
    for column, covered in visited(windows):
        assert covered[0] == ends.get(column, covered[0])
        ends[column] = covered[-1] + 1
    assert [window.fresh for window in windows] == [True] + [False] * (len(windows) - 1)


@given(**STREAM, world_size=WORLD)
def test_the_ranks_of_a_training_stream_read_what_one_process_does(steps, columns, tbptt_steps, world_size):
    def read(width, world):
        ranks = [
            StreamBatches(steps, columns=width, tbptt_steps=tbptt_steps, rank=rank, world_size=world)
            for rank in range(world)
        ]
        return sorted((column, covered) for windows in ranks for column, covered in visited(windows))

    if steps >= columns * world_size:
        assert read(columns, world_size) == read(columns * world_size, 1)


@given(st.integers(40, 200), st.integers(1, 12), WORLD)
def test_all_ranks_of_a_training_stream_take_the_same_number_of_steps(steps, tbptt_steps, world_size):
    counts = {
        len(StreamBatches(steps, columns=9, tbptt_steps=tbptt_steps, rank=rank, world_size=world_size))
        for rank in range(world_size)
    }
    assert len(counts) == 1


@given(**STREAM, world_size=WORLD, epoch=st.integers(0, 3))
def test_windows_that_jitter_still_cover_each_step_once_in_order_and_in_the_same_number(
    steps, columns, tbptt_steps, world_size, epoch
):
    if steps < columns * world_size:
        return
    places = []
    for rank in range(world_size):
        common = {"columns": columns, "tbptt_steps": tbptt_steps, "rank": rank, "world_size": world_size}
        made = StreamBatches(steps, **common, jitter=True, seed=7)
        made.set_epoch(epoch)
        windows = list(made)
        assert len(windows) == len(made) == len(StreamBatches(steps, **common))
        assert all(length >= 1 for window in windows for length in window.lengths)
        places += chain.from_iterable(covered for _, covered in visited(windows))
    assert (sorted(places) if world_size > 1 or columns > 1 else places) == list(range(steps))


def test_windows_jitter_around_their_length_anew_in_each_epoch_and_not_in_evaluation():
    made = StreamBatches(70 * 2000, columns=1, tbptt_steps=70, jitter=True, seed=1)
    lengths = np.array([window.lengths[0] for window in made])
    assert lengths.mean() == 70 and np.median(lengths) == pytest.approx(70 / 0.975, abs=0.5)  # stretched to add up
    assert (lengths < 50).mean() == pytest.approx(0.05, abs=0.02)
    assert np.std(lengths[lengths > 50]) == pytest.approx(5, abs=0.3)
    made.set_epoch(1)
    assert [int(window.lengths[0]) for window in made] != lengths.tolist()
    fixed = StreamBatches(70 * 20, columns=1, tbptt_steps=70, jitter=True, training=False)
    assert {int(window.lengths[0]) for window in fixed} == {70}


def test_a_text_shorter_than_its_columns_is_refused_for_training_and_read_in_evaluation():
    with pytest.raises(DataError, match="8 tokens, too few for 20 columns"):
        StreamBatches(7, columns=20, tbptt_steps=5)
    (window,) = StreamBatches(7, columns=20, tbptt_steps=5, training=False)
    assert (window.starts.tolist(), window.lengths.tolist()) == ([0], [7])
