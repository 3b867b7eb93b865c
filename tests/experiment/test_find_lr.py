"""The learning rate finder: where its suggestion lies, and what it leaves as it was."""

import itertools
import json
import math
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from conftest import write_reviews
from lightning.pytorch import Callback

from rnnzoo import recipe as recipes
from rnnzoo.cli import main
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build, find_lr
from rnnzoo.experiment.resolver import resolve


def descent(curvature, shift=0.0):
    """The curve of gradient descent on `curvature * w ** 2 / 2 + shift`, from w = 1."""
    weight, curve = 1.0, []
    for step in range(find_lr.STEPS):
        curve.append((find_lr.rate(step), curvature * weight**2 / 2 + shift))
        if find_lr.diverges([loss for _, loss in curve]):
            break
        weight -= find_lr.rate(step) * curvature * weight
    return curve


@pytest.mark.parametrize("curvature", [0.1, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("below", [0.0, 3.0])
def test_on_a_parabola_the_suggestion_moves_and_does_not_diverge(curvature, below):
    # it diverges above 2 / curvature
    curve = descent(curvature, -below * curvature)
    assert 0.01 / curvature < find_lr.suggest(curve) < 2 / curvature
    assert curve[-1][0] > 2 / curvature


def test_the_rates_that_are_tried_are_even_on_a_logarithmic_scale():
    rates = [find_lr.rate(step) for step in range(find_lr.STEPS)]
    assert rates[0] == find_lr.LOWEST and rates[-1] == pytest.approx(find_lr.HIGHEST)
    ratios = {round(after / before, 9) for before, after in itertools.pairwise(rates)}
    assert len(ratios) == 1


@pytest.mark.parametrize("shape", ["flat", "noise", "rising", "short", "nan"])
def test_a_loss_that_does_not_fall_has_no_suggestion_and_a_reason(shape):
    draw = random.Random(1)
    losses = {
        "flat": [0.7] * 100,
        "noise": [0.7 + draw.gauss(0, 0.05) for _ in range(100)],
        "rising": [0.7 + 0.01 * step for step in range(100)],
        "short": [0.7, 0.6, 40.0],
        "nan": [math.nan],
    }[shape]
    curve = [(find_lr.rate(step), loss) for step, loss in enumerate(losses)]
    assert find_lr.suggest(curve) is None
    expected = {"short": "diverges at step 3", "nan": "is nan at step 1"}.get(shape, "never falls")
    assert expected in find_lr._why(curve)


class Seen(Callback):
    """The learning rates of all groups at each optimizer step."""

    def __init__(self):
        self.rates = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append([group["lr"] for group in optimizer.param_groups])


@pytest.fixture
def seen(monkeypatch):
    callback, make = Seen(), find_lr.make_trainer
    monkeypatch.setattr(find_lr, "STEPS", 12)
    monkeypatch.setattr(
        find_lr,
        "make_trainer",
        lambda recipe, callbacks, **given: make(recipe, callbacks=[*callbacks, callback], **given),
    )
    return callback


RECIPES = {
    "sentiment": ["quickstart", "--data.examples=100", "--schedule=linear", "--schedule.warmup=0.5"],
    "stream": ["toy_text", "--data.examples=100", "--schedule=plateau", "--optimizer=sgd", "--layer_decay=0.5"],
    "series": ["adding_lstm", "--data.examples=100", "--data.steps=20", "--trainer.accumulate_grad_batches=2"],
    "thawing": ["toy_tags", "--data.examples=100", "--freeze.inputs=1", "--trainer.overfit_batches=2"],
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_sweep_sets_the_rate_of_each_step_and_leaves_the_module_as_it_was(name, seen):
    recipe = resolve(recipes.read(RECIPES[name][0], RECIPES[name][1:]))
    data = build.make_data(recipe)
    curves = []
    for _ in range(2):
        module = build.start(recipe, data).module
        before = {key: value.clone() for key, value in module.model.state_dict().items()}
        trained, schedule = [p.requires_grad for p in module.parameters()], module.schedule
        curves.append(find_lr.sweep(recipe, module, data))
        assert all(torch.equal(value, before[key]) for key, value in module.model.state_dict().items())
        assert [p.requires_grad for p in module.parameters()] == trained and module.schedule is schedule
    assert curves[0] == curves[1] and all(math.isfinite(loss) for _, loss in curves[0])
    steps = len(curves[0])
    assert steps > 3 and len({loss for _, loss in curves[0]}) == steps
    for step, rates in enumerate(seen.rates[:steps]):
        ratios = [0.5**depth for depth in range(len(rates))]
        assert rates == pytest.approx([find_lr.rate(step) * ratio for ratio in ratios])
    assert (len(seen.rates[0]) > 1) == (name == "stream")


def test_the_command_suggests_a_rate_that_trains_and_leaves_a_picture_alone(here, capsys):
    write_reviews(here)
    before = {path.name for path in here.iterdir()}
    words = ["fit", "reviews.yaml", "--find_lr", "--optimizer.lr", "0.001", "--seed", "2"]
    assert main([*words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    low, high = facts["range"]
    assert low < facts["suggestion"] < high and facts["now"] == 0.001 and facts["recipe"] == "reviews"
    (made,) = [path for path in here.rglob("*") if path.is_file() and path.name not in before]
    assert made == here / facts["picture"] and made.parent.name.endswith("-find_lr")
    assert made.parent.parent == here / "runs" / "reviews" and ET.parse(made).getroot().tag.endswith("svg")
    assert main([*words, "--run_dir", "looked"]) == 0
    shown = capsys.readouterr().out
    rate = f"{facts['suggestion']:g}"
    assert f"learning rate to begin with: {rate} (the recipe has 0.001; tried: 1e-06 to" in shown  # the same again
    assert f"to use it: rnnzoo fit reviews.yaml --seed 2 --optimizer.lr {rate}" in shown
    assert [path.name for path in Path("looked").iterdir()] == ["find_lr.svg"]


def test_a_loss_that_is_nan_at_once_is_one_line(here, capsys, monkeypatch):
    write_reviews(here)
    start = build.start

    def broken(*arguments):
        made = start(*arguments)
        for parameter in made.module.model.parameters():
            torch.nn.init.constant_(parameter, math.nan)
        return made

    monkeypatch.setattr(build, "start", broken)
    assert main(["fit", "reviews.yaml", "--find_lr"]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    reason = "the loss is nan at step 1 already, at a rate of 1e-06."
    assert told[-1].endswith(f"no learning rate was found for reviews: {reason}") and not Path("runs").exists()


def test_an_optimizer_without_a_rate_is_refused(here):
    recipe = resolve(recipes.read("quickstart", []))
    recipe["optimizer"].pop("lr")
    with pytest.raises(RecipeError, match="has no positive lr"):
        find_lr.find_lr(recipe)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--find_lr", "--folds", "3"], "goes with neither --folds nor --resume"),
        (["--json"], "--json goes with --find_lr alone"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(words, why, capsys):
    assert main(["fit", "quickstart", *words]) == 2
    assert why in capsys.readouterr().err
