"""Sparse gradients of embeddings are the dense ones without the rows that no batch has touched."""

import pytest
import torch
from torch import nn

from rnnzoo import recipe as recipes
from rnnzoo.errors import RecipeError
from rnnzoo.experiment import build
from rnnzoo.experiment.fit import fit
from rnnzoo.experiment.resolver import resolve
from rnnzoo.runs import checkpoint
from rnnzoo.training import optimizers, sparse
from rnnzoo.training.checks import check_options

SMALL = ("--trainer.accelerator=cpu", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false")
SMALL += ("--tracking.mode=disabled", "--data.examples=60", "--schedule.name=constant")
BY_VALUE = ("--trainer.gradient_clip_val=0.001", "--trainer.gradient_clip_algorithm=value")
SPARSE = "--model.inputs.tokens.sparse=true"


def trained(tmp_path, name, *overrides):
    _, run = fit(resolve(recipes.read("quickstart", (*SMALL, *overrides))), tmp_path / name, show=False)
    return checkpoint.load(checkpoint.follow(run.path / "checkpoints" / "last")).weights


@pytest.mark.parametrize(
    "options",
    [
        ("--optimizer.name=sgd", "--optimizer.lr=0.5", "--trainer.gradient_clip_val=0.05"),
        ("--optimizer.name=sgd", "--optimizer.lr=0.5", *BY_VALUE, "--trainer.accumulate_grad_batches=2"),
        ("--optimizer.name=adagrad", "--optimizer.lr=0.1"),
    ],
)
def test_a_training_with_sparse_gradients_gives_the_weights_of_one_with_dense_ones(tmp_path, options):
    dense, few = trained(tmp_path, "dense", *options), trained(tmp_path, "sparse", *options, SPARSE)
    for name, weight in dense.items():
        torch.testing.assert_close(few[name], weight, atol=1e-6, rtol=1e-5, msg=name)


def test_a_step_that_is_not_finite_is_left_out(tmp_path):
    options = ("--optimizer.name=sgd", "--optimizer.lr=1e30", "--bad_numbers.policy=skip", "--bad_numbers.at_most=99")
    assert all(weight.isfinite().all() for weight in trained(tmp_path, "run", *options, SPARSE).values())


def test_sparse_adam_is_torchs_on_sparse_gradients_and_adam_on_dense_ones():
    torch.manual_seed(0)
    ours, theirs = nn.Embedding(9, 4, sparse=True), nn.Embedding(9, 4, sparse=True)
    layers = nn.Linear(4, 2), nn.Linear(4, 2)
    theirs.load_state_dict(ours.state_dict())
    layers[1].load_state_dict(layers[0].state_dict())
    one = optimizers.sparse_adam([ours.weight, *layers[0].parameters()], lr=0.1)
    others = torch.optim.SparseAdam([theirs.weight], lr=0.1), torch.optim.Adam(layers[1].parameters(), lr=0.1)
    for _ in range(4):
        x = torch.randint(9, (5,))
        for embedding, layer in ((ours, layers[0]), (theirs, layers[1])):
            embedding.zero_grad()
            layer.zero_grad()
            layer(embedding(x)).square().sum().backward()
        one.step()
        for other in others:
            other.step()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(layers[0].weight, layers[1].weight)
    assert ours.weight.grad is not None and ours.weight.grad.is_sparse


def test_clipping_is_that_of_dense_gradients():
    for by_value in (False, True):
        few, dense = nn.Embedding(9, 4, sparse=True), nn.Embedding(9, 4)
        dense.load_state_dict(few.state_dict())
        for embedding in (few, dense):
            embedding(torch.tensor([1, 2, 2, 5])).square().sum().backward()
        sparse.coalesce(few)
        sparse.clip([few.weight], 0.5, by_value)
        (nn.utils.clip_grad_value_ if by_value else nn.utils.clip_grad_norm_)(dense.parameters(), 0.5)
        torch.testing.assert_close(few.weight.grad.to_dense(), dense.weight.grad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["adam"], "the optimizer 'adam' cannot take sparse gradients: "),
        (["sgd", "--optimizer.momentum=0.9"], "momentum changes every row"),
        (["adagrad", "--optimizer.weight_decay=0.1"], "weight_decay changes every row"),
    ],
)
def test_what_cannot_take_them_is_refused_before_there_is_a_folder(tmp_path, options, message):
    with pytest.raises(RecipeError) as refused:
        trained(tmp_path, "run", SPARSE, f"--optimizer.name={options[0]}", *options[1:])
    assert message in str(refused.value) and not (tmp_path / "run").exists()
    assert options[0] != "adam" or "Can: adagrad, sgd, sparse_adam." in str(refused.value)


def test_a_strategy_that_cannot_share_them_is_refused():
    recipe = resolve(recipes.read("quickstart", (SPARSE, "--optimizer.name=sgd", "--trainer.strategy=fsdp")))
    with pytest.raises(RecipeError, match=r"trainer\.strategy fsdp cannot share sparse gradients"):
        check_options(recipe)


def test_weights_that_are_the_heads_too_have_dense_gradients():
    recipe = resolve(
        recipes.read("toy_text", (SPARSE, "--model.inputs.tokens.size=64", "--model.head.tie_weights=true"))
    )
    with pytest.raises(RecipeError, match="tie_weights needs the gradient of all vectors"):
        build.start(recipe, build.make_data(recipe))
