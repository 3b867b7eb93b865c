"""The gradient through time, measured in a network, is autograd's, and its Jacobian has the eigenvalues of linalg."""

import math

import pytest
import torch

from rnnzoo import make_cell
from rnnzoo.engine.observe import observed
from rnnzoo.engine.recurrence import Recurrence, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.experiment import build
from rnnzoo.experiment.resolver import resolve
from rnnzoo.recipe import read
from rnnzoo.training.gradient_flow import _by_lag, _memory, _saturated, measure, norms, spectral_radius

LENGTHS = [5, 3, 4]
SMALL = [
    "--data.examples=40",
    "--trainer.max_epochs=1",
    "--trainer.enable_progress_bar=false",
    "--tracking.mode=disabled",
]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(1)


def traced(cell, x, lengths=None, reverse=False):
    """The outputs at the end of the way through each sequence, (batch, features), and the trace."""
    layer = Recurrence(cell, reverse)
    with using_path(layer, "reference"), observed() as traces:
        outputs, _ = layer(Sequences.of(x, lengths), need_state=False)
    return outputs.at_starts() if reverse else outputs.at_ends(), traces[0]


@pytest.mark.parametrize("reverse", [False, True])
def test_the_gradient_by_lag_is_that_of_a_loop_over_each_sequence_alone(reverse):
    cell, x = make_cell("lstm", 2, 4), torch.randn(3, 5, 2)
    ends, trace = traced(cell, x, LENGTHS, reverse)
    found = _by_lag(trace, norms(ends.sum(), trace))

    by_lag = [[] for _ in range(5)]
    for row, length in enumerate(LENGTHS):
        state, states = cell.initial_state(1, x[row]), []
        steps = x[row, :length].flip(0) if reverse else x[row, :length]
        for features in steps:
            _, state = cell(features[None], state)
            states.append(state)
        gradients = torch.autograd.grad(state[0].sum(), [t for s in states for t in s], allow_unused=True)
        for lag in range(length):
            pair = gradients[2 * (length - 1 - lag) :][:2]
            by_lag[lag].append(math.sqrt(sum(float(g.square().sum()) for g in pair if g is not None)))
    torch.testing.assert_close(torch.tensor(found), torch.tensor([sum(lag) / len(lag) for lag in by_lag]))


def test_the_spectral_radius_is_the_largest_eigenvalue_of_the_jacobian():
    """Of h' = tanh(W x + U h) it is diag(1 - h'^2) U, whose eigenvalues linalg gives; some come in complex pairs."""
    cell = make_cell("vanilla", 2, 12)
    _, trace = traced(cell, torch.randn(1, 9, 2))
    (after,) = trace.steps[4].after
    jacobian = (1 - after[0].square())[:, None] * cell.weight_hh
    assert spectral_radius(trace) == pytest.approx(float(torch.linalg.eigvals(jacobian.detach()).abs().max()), rel=0.05)


def test_a_cell_that_forgets_at_once_has_no_radius_and_no_memory():
    cell = make_cell("vanilla", 2, 4)
    torch.nn.init.zeros_(cell.weight_hh)
    ends, trace = traced(cell, torch.randn(2, 6, 2))
    by_lag = _by_lag(trace, norms(ends.sum(), trace))
    assert spectral_radius(trace) == 0 and by_lag[0] > 0 and not any(by_lag[1:]) and _memory(by_lag) == 0


def test_memory_is_the_last_lag_above_a_share_of_the_largest():
    assert _memory([1.0, 0.5, 0.2, 0.4, 0.1]) == 3
    assert _memory([0.1, 0.2, 1.0]) == 2
    assert _memory([0.0, 0.0]) == _memory([]) == 0
    assert _memory([1.0, math.nan, 0.1]) == 0


def test_saturated_gates_are_counted():
    cell = make_cell("gru", 2, 4)
    _, trace = traced(cell, torch.randn(3, 5, 2))
    assert _saturated(trace) == 0  # small weights: all gates are near their middle
    _, trace = traced(cell, 1e4 * torch.randn(3, 5, 2))
    assert _saturated(trace) > 0.9
    _, linear = traced(make_cell("vanilla_relu", 2, 4), torch.randn(3, 5, 2))
    assert _saturated(linear) is None


@pytest.mark.parametrize("name", ["quickstart", "toy_tags", "toy_text", "toy_reverse", "toy_gaps"])
def test_every_kind_of_answer_has_a_flow_and_the_model_stays_as_it_was(name):
    recipe = resolve(read(name, SMALL))
    data = build.make_data(recipe)
    module = build.make_module(recipe, data.spec)
    batch = next(iter(data.train_dataloader()))
    flows = measure(module.model, module.task, module.task.preprocess(batch))
    assert flows and module.model.training
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(flow.by_lag[0] > 0 and math.isfinite(flow.radius) for flow in flows)
    assert {name.rpartition("/")[2] for flow in flows for name in flow.scalars()} == {
        "memory_steps",
        "spectral_radius",
        "saturated",
    }


def test_a_frozen_layer_is_measured_as_if_it_were_not_and_stays_frozen():
    recipe = resolve(read("quickstart", SMALL))
    data = build.make_data(recipe)
    data.prepare()
    module, *_ = build.start(recipe, data, None)
    batch = module.task.preprocess(next(iter(data.train_dataloader())))
    torch.manual_seed(0)
    free = measure(module.model, module.task, batch)
    module.model.requires_grad_(False)
    torch.manual_seed(0)
    assert measure(module.model, module.task, batch) == free and all(sum(flow.by_lag) > 0 for flow in free)
    assert not any(parameter.requires_grad for parameter in module.model.parameters())
    assert all(parameter.grad is None for parameter in module.model.parameters())
