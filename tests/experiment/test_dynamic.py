import copy
import math
from types import SimpleNamespace

import pytest
import torch

from rnnzoo import recipe as recipes
from rnnzoo.batch import Batch
from rnnzoo.errors import RunError
from rnnzoo.experiment import build
from rnnzoo.experiment.dynamic import EPSILON, DynamicEvaluation
from rnnzoo.experiment.evaluate import evaluate
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve

OPTIONS = ("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--tracking.mode=disabled")
SMALL = ("--data.examples=40", "--data.batch_size=4", "--data.tbptt_steps=7", "--model.architecture.hidden_size=8")


def resolved(name, *overrides):
    return resolve(recipes.read(name, (*OPTIONS, *overrides)))


@pytest.fixture(scope="module")
def evaluation():
    recipe = resolved("toy_text", *SMALL)
    data = build.make_data(recipe)
    build.seed_everything(1)
    module = build.make_module(recipe, data.spec)
    return DynamicEvaluation(module.task, module.model.eval(), data)


def test_at_a_rate_of_zero_nothing_is_learnt(evaluation):
    (ids,) = evaluation.data.parts["test"].arrays()
    tokens = torch.from_numpy(ids).long()[None]
    (row,) = evaluation.task.predictions(evaluation.model, Batch({"tokens": tokens}, torch.tensor([len(ids)])))
    assert evaluation.perplexity("test", 0.0) == pytest.approx(row["perplexity"], rel=1e-4)


def test_a_window_is_scored_before_it_is_learnt_from(evaluation):
    task, model, lr = evaluation.task, evaluation.model, 3e-4
    first, second, *_ = evaluation._windows("dev")
    output = task.forward(model, first)
    loss = task.loss(model, output, first)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    for weight, gradient, scale in zip(evaluation.weights, gradients, evaluation.scales, strict=True):
        weight -= lr * gradient * scale
    then = task.loss(model, task.forward(model, second, output.state), second)
    for weight, trained in zip(evaluation.weights, evaluation.trained, strict=True):
        weight.copy_(trained)
    counts = task.count(first), task.count(second)
    wanted = math.exp((loss.item() * counts[0] + then.item() * counts[1]) / sum(counts))
    assert evaluation.perplexity("dev", lr, tokens=sum(counts)) == pytest.approx(wanted, rel=1e-4)
    assert evaluation.perplexity("dev", lr, tokens=counts[0]) == pytest.approx(math.exp(loss.item()), rel=1e-5)


def test_the_scales_are_those_of_all_training_windows_whatever_the_process(evaluation):
    other = copy.copy(evaluation.data)
    other.trainer = SimpleNamespace(global_rank=1, world_size=2)
    again = DynamicEvaluation(evaluation.task, evaluation.model, other)
    torch.testing.assert_close(again.scales, evaluation.scales)


def test_the_scale_is_one_over_the_root_mean_square_of_gradients_in_training(evaluation):
    task, model = evaluation.task, evaluation.model
    squares = []
    for batch in evaluation.data.train_dataloader():
        loss = task.loss(model, task.forward(model, batch), batch)
        squares.append(torch.autograd.grad(loss, model.head.bias)[0].square())
    wanted = 1 / (torch.stack(squares).mean(0).sqrt() + EPSILON)
    place = next(i for i, p in enumerate(evaluation.parameters) if p is model.head.bias)
    torch.testing.assert_close(evaluation.scales[place], wanted)


def test_an_untrained_model_learns_while_it_is_scored_and_forgets_it_afterwards(evaluation):
    before = {name: value.clone() for name, value in evaluation.model.state_dict().items()}
    assert evaluation.perplexity("test", 0.05) < 0.9 * evaluation.perplexity("test", 0.0)
    for name, value in evaluation.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_rate_at_which_the_model_breaks_on_the_dev_part_is_not_chosen(evaluation, monkeypatch):
    monkeypatch.setattr("rnnzoo.experiment.dynamic.RATES", (100.0, 1e-4))
    assert evaluation.best_rate() == 1e-4


def test_a_task_without_a_stream_is_refused():
    recipe = resolved("quickstart", "--data.examples=20")
    data = build.make_data(recipe)
    module = build.make_module(recipe, data.spec)
    with pytest.raises(RunError, match="a stream of text, and Sentiment reads none"):
        DynamicEvaluation(module.task, module.model, data)


def test_the_number_stands_beside_the_static_one(tmp_path):
    _, run = fit(resolved("toy_text", *SMALL, "--trainer.max_epochs=1"), tmp_path / "run")
    plain, both = (evaluate(run.path, "test", dynamic=dynamic) for dynamic in (False, True))
    assert both.keys() - plain.keys() == {"test/dynamic_perplexity", "test/dynamic_lr"}
    assert {name: both[name] for name in plain} == plain
