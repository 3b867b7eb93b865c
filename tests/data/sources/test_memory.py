import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rnnzoo.data.forms import FORMS, TaggedText
from rnnzoo.data.sources.adding import Adding
from rnnzoo.data.sources.copy_memory import CopyMemory
from rnnzoo.tasks.base import Output
from rnnzoo.tasks.tagging import Tagging

SOURCES = (Adding, CopyMemory)


@pytest.mark.parametrize("source", SOURCES)
def test_the_seed_decides_the_examples_and_the_parts_differ(source):
    def identity(**given):
        return source(examples=40, **given).identity()

    assert identity(seed=3) == identity(seed=3)
    assert len({identity(**given)["revision"] for given in ({"seed": 3}, {"seed": 4}, {"seed": 3, "steps": 99})}) == 3
    parts = source(examples=8, seed=3).read()
    first = [np.asarray(parts[part][FORMS[source.form].columns[0]][0]) for part in ("train", "dev", "test")]
    assert not any((a == b).all() for a, b in ((first[0], first[1]), (first[1], first[2]), (first[0], first[2])))


@pytest.mark.parametrize("steps", [2, 7, 100])
def test_the_sum_to_tell_is_that_of_the_two_marked_numbers_one_in_each_half(steps):
    columns = Adding(examples=50, steps=steps).read()["train"]
    for values, target in zip(columns["values"], columns["target"], strict=True):
        u, mark = values.T
        first, second = mark.nonzero()[0]
        assert len(u) == steps and 0 <= first < steps // 2 <= second < steps
        assert target == pytest.approx(u[first] + u[second])
        assert set(mark) <= {0, 1} and (u >= 0).all() and (u <= 1).all()


def test_one_is_the_best_constant_answer_to_a_sum_and_has_an_error_of_a_sixth():
    target = np.array(Adding(examples=20_000, steps=2).read()["train"]["target"])
    assert target.mean() == pytest.approx(1, abs=0.01)
    assert ((target - 1) ** 2).mean() == pytest.approx(1 / 6, abs=0.005)


def test_every_place_is_marked_alike_often():
    values = np.array(Adding(examples=20_000, steps=10).read()["train"]["values"])
    assert values[:, :, 1].mean(0) == pytest.approx(np.full(10, 0.2), abs=0.015)


@pytest.mark.parametrize("steps", [2, 100])
def test_what_is_to_be_recalled_are_the_symbols_that_were_shown(steps):
    columns = CopyMemory(examples=30, steps=steps).read()["train"]
    for words, tags in zip(columns["words"], columns["tags"], strict=True):
        shown = words[:10]
        assert set(shown) <= set("abcdefgh")
        assert words[10:] == ["blank"] * (steps - 1) + ["go"] + ["blank"] * 10
        assert tags == ["blank"] * (steps + 10) + shown


def test_symbols_are_alike_frequent_so_that_none_is_a_better_guess():
    columns = CopyMemory(examples=4000, steps=2).read()["train"]
    counts = Counter(word for words in columns["words"] for word in words[:10])
    entropy = -sum(n / 40_000 * math.log(n / 40_000) for n in counts.values())
    assert entropy == pytest.approx(math.log(8), abs=1e-3)


def test_to_know_all_but_the_symbols_has_the_loss_that_papers_compare_with_and_guesses_an_eighth_of_them():
    parts, form, steps = CopyMemory(examples=800, steps=30).read(), TaggedText(), 30
    spec = form.fit(parts["train"])
    task = Tagging(spec, outside="blank")
    (batch,) = map(form.encode(parts["train"], spec).collate, [range(800)])
    knows = torch.full((800, steps + 20, 9), -50.0)
    knows[:, : steps + 10, spec.labels.index("blank")] = 50
    knows[:, steps + 10 :, [spec.labels.index(symbol) for symbol in "abcdefgh"]] = 50
    output = Output(knows + 1e-3 * torch.randn_like(knows))
    model = SimpleNamespace(head=task.head(1))
    assert task.loss(model, output, batch).item() == pytest.approx(10 * math.log(8) / (steps + 20), rel=1e-3)
    metrics = task.metrics()
    task.update(metrics, output, batch, None, model)
    assert metrics.compute()["recall"].item() == pytest.approx(1 / 8, abs=0.02)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("wrong", [{"examples": 0}, {"seed": -1}, {"steps": 1}, {"steps": 2.0}, {"steps": True}])
def test_sizes_out_of_range_are_refused(source, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number"):
        source(**wrong)


@pytest.mark.parametrize("source", SOURCES)
def test_a_part_is_encoded_by_its_form(source):
    parts, form = source(examples=8, steps=5).read(), FORMS[source.form]()
    examples = form.encode(parts["test"], form.fit(parts["train"]))
    assert len(examples) == 2 and set(examples.lengths) == {5 if source is Adding else 25}
