"""`trainer.exact`: bitwise the same weights for 1, 2 and 4 processes, each step that of a training without it."""

import contextlib

import numpy as np
import pytest
import ranks
import torch
from hypothesis import given
from hypothesis import strategies as st
from ranks import Case

from rnnzoo import recipe as recipes
from rnnzoo.data.batching import Window
from rnnzoo.data.forms.labelled import LabelledText
from rnnzoo.data.forms.masked import Draw, MaskedText
from rnnzoo.data.forms.stream import TextStream
from rnnzoo.data.shards import SHARDS, own_shards
from rnnzoo.engine.cpp.build import Unbuildable
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import fit as fits
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import snapshot
from rnnzoo.training import exact
from rnnzoo.training.callbacks.snapshots import Snapshots
from rnnzoo.training.exact import added, computes_with
from rnnzoo.training.trainer import make_trainer

WORLDS = (2, 4)


class Lengths:
    """Examples of which only the lengths are asked for."""

    def __init__(self, lengths):
        self.widths = np.array(lengths)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.sampled_from([1, 2, 4]))
def test_the_shards_of_all_processes_are_the_batch(lengths, world):
    shards = LabelledText().shards(Lengths(lengths), list(range(len(lengths))))
    dealt = [shards[number] or [] for rank in range(world) for number in own_shards(rank, world)]
    assert sorted(row for rows in dealt for row in rows) == list(range(len(lengths)))
    sizes = [len(rows) for rows in dealt]
    assert len(sizes) == SHARDS and max(sizes) - min(sizes) <= 1
    masked = MaskedText().shards(Lengths(lengths), Draw(list(range(len(lengths))), (7,)))
    assert [part and part.rows for part in masked] == shards and all(p is None or p.drawing == (7,) for p in masked)


@given(st.integers(1, 12), st.booleans())
def test_the_shards_of_a_window_are_its_columns_and_the_same_in_each_window(columns, fresh):
    numbers = np.arange(columns)
    shards = [
        TextStream().shards(Lengths([]), Window(numbers, start + 100 * numbers, np.full(columns, 5), fresh))
        for start in (0, 5)
    ]
    assert np.concatenate([part.columns for part in shards[0] if part]).tolist() == numbers.tolist()
    for first, second in zip(*shards, strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            assert first.columns.tolist() == second.columns.tolist() and first.fresh == fresh
            assert (second.starts - first.starts).tolist() == [5] * len(first.columns)


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=4, max_size=4))
def test_branches_of_the_tree_are_added_apart_to_the_same_bits(numbers):
    leaves = [[torch.tensor(number)] for number in numbers]
    (whole,) = added(0, SHARDS, leaves.__getitem__)
    a, b, c, d = (leaf[0] for leaf in leaves)
    assert torch.equal(whole, (a + b) + (c + d))
    for world in (2, 4):
        branches = [
            added(own.start, own.stop, leaves.__getitem__) for own in map(own_shards, range(world), [world] * 4)
        ]
        assert torch.equal(added(0, world, branches.__getitem__)[0], whole)


def test_the_order_of_a_sum_matters():
    """Or nothing here would show anything."""
    numbers = [torch.tensor(number) for number in (1e8, -1e8, 1.0, 1e-8)]
    assert (numbers[0] + numbers[1]) + (numbers[2] + numbers[3]) != numbers[0] + (
        numbers[1] + (numbers[2] + numbers[3])
    )


def test_what_no_shard_has_used_has_no_gradient_and_sums_share_no_memory():
    shared = torch.ones(2)
    parts = [[shared, shared, None], [None, shared, None], [None, None, None], [None, None, None]]
    first, second, third = added(0, SHARDS, parts.__getitem__)
    assert (first.tolist(), second.tolist(), third) == ([1, 1], [2, 2], None)
    first.zero_()
    assert shared.tolist() == [1, 1]


# trainings


def weights(module):
    return torch.cat([weight.detach().flatten() for weight in module.model.parameters()])


def trained(variant, options, batch_size=7, dropout=0.5, epochs=2):
    """What a training leaves: weights, and the scores that choose among them."""
    module, data = ranks.build(variant, train=41, dev=11, batch_size=batch_size, dropout=dropout, exact=True)
    options = {"max_epochs": epochs, "gradient_clip_val": 0.5, "exact": True, **options}
    trainer = ranks.trainer(**options)
    trainer.fit(module, data)
    scores = {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    return {"weights": weights(module), **scores}


def resumed(variant, options, stop_after):
    """Raises: AssertionError if a training that was stopped and goes on is not one that never stopped."""

    def train(callbacks, begin=None):
        module, data = ranks.build(variant, train=41, batch_size=7, dropout=0.5, exact=True)
        with contextlib.suppress(SystemExit, KeyboardInterrupt):  # it was asked to stop
            ranks.trainer(callbacks, max_epochs=2, exact=True, **options).fit(module, data, ckpt_path=begin)
        return weights(module)

    whole = train([])
    with ranks._shared_folder() as folder:
        stopped = train([Snapshots(folder, {}), ranks.StopAfter(stop_after)])
        newest, *_ = snapshot.complete(folder)
        ended = train([Snapshots(folder, {})], newest)
    assert not torch.equal(stopped, whole), "it was not stopped"
    assert torch.equal(ended, whole), "it went on otherwise"
    return {"weights": whole}


def same(world, cases):
    """All processes of a world have, bit for bit, what one process alone has."""
    alone, together = ranks.run(1, cases), ranks.run(world, cases)
    for case, (one,), others in zip(cases, alone, together, strict=True):
        assert one["weights"].isfinite().all(), case
        for other in others:
            assert one.keys() == other.keys()
            different = [name for name in one if not torch.equal(one[name], other[name])]
            assert not different, (case, different)


def gradient(variant, exact, accumulate=1):
    """The step of a plain descent at a rate of 1, from 23 rows in all."""
    module, data = ranks.build(variant, train=23, dev=1, batch_size=-(-23 // accumulate), exact=exact)
    before = weights(module).double()
    options = {"max_steps": 1, "accumulate_grad_batches": accumulate, "precision": "64-true", "exact": exact}
    ranks.trainer(**options).fit(module, data)
    return before - weights(module)


@pytest.mark.parametrize("variant", ["sentiment", "tagging", "next_word", "translation"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_in_shards_is_that_of_the_whole_batch(variant, accumulate):
    if variant == "next_word" and accumulate > 1:
        pytest.skip("a stream's batches are columns side by side: other ones")
    torch.testing.assert_close(gradient(variant, True, accumulate), gradient(variant, False, accumulate))


def test_two_processes_have_the_weights_and_the_scores_of_one():
    same(2, [Case(trained, (variant, {}, 20, 0.5, 1)) for variant in ("sentiment", "next_word")])


OPTIONS = ({}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"})


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_processes_have_the_weights_and_the_scores_of_one(world):
    variants = [variant for variant in ranks.TASKS if variant != "sparse"]
    cases = [Case(trained, (variant, {})) for variant in variants]
    cases += [Case(trained, (variant, options)) for variant in ("sentiment", "next_word") for options in OPTIONS[1:]]
    cases += [Case(trained, ("tagging", {}, rows)) for rows in (1, 2, 3)]  # shards without rows
    cases += [
        Case(resumed, ("sentiment", {}, 4)),
        Case(resumed, ("sentiment", {"accumulate_grad_batches": 2}, 3)),
        Case(resumed, ("next_word", {}, 3)),
        Case(resumed, ("tagging", {}, 8)),
    ]
    same(world, cases)


# what is refused


def recipe(*overrides):
    return resolve(recipes.read("toy_tags", ["--trainer.exact=true", "--trainer.accelerator=cpu", *overrides]))


def test_a_number_of_processes_without_equal_shards_is_refused():
    with pytest.raises(RecipeError, match="needs 1, 2, 4 processes, got 3"):
        make_trainer(recipe("--trainer.devices=3"))


def test_what_the_weights_would_depend_on_beside_is_refused():
    with pytest.raises(RecipeError, match=r"model\.inputs\.tokens\.sparse: trainer\.exact adds up dense gradients"):
        fits.check_options(recipe("--model.inputs.tokens.sparse=true", "--optimizer=sgd"))
    with pytest.raises(RecipeError, match=r"trainer\.exact: mps adds up in no fixed order"):
        fits.check_options(recipe("--trainer.accelerator=mps"))


def test_a_buffer_that_training_changes_is_refused():
    module, data = ranks.build("sentiment", train=16, batch_size=8, exact=True)
    head = module.model.head
    module.model.head = torch.nn.Sequential(head, torch.nn.BatchNorm1d(3))
    with pytest.raises(RecipeError, match="a buffer that training changes"):
        ranks.trainer(max_steps=1, exact=True).fit(module, data)


def test_processes_of_another_strategy_are_refused():
    module, _ = ranks.build("sentiment", exact=True)
    module._trainer = type("Fake", (), {"world_size": 2, "strategy": None})()
    with pytest.raises(RecipeError, match="several processes need a Trainer of `ExactStrategy`"):
        module.on_fit_start()


def test_machines_whose_code_differs_are_told_apart(monkeypatch):
    """The compiled code of a machine with other instructions gives other bits."""
    here = computes_with()
    assert here == computes_with() and here["processor"] == torch.backends.cpu.get_cpu_capability()
    monkeypatch.setattr(exact, "fingerprint", lambda: "f" * 64)
    assert computes_with()["compiler"] == "f" * 16 != here["compiler"]
    monkeypatch.setattr(exact, "fingerprint", no_compiler)
    assert computes_with()["compiler"] == "no compiler"


def no_compiler():
    raise Unbuildable("no compiler")
