"""Where gradient flows, and whether it is right."""

from __future__ import annotations

import torch

from rnnzoo.engine.recurrence import detach
from rnnzoo.testing.cells.running import everything, leaves_of, results, run, weighted
from rnnzoo.testing.cells.subject import CellSubject, ragged, some_state


def check_gradient_reaches_everything(subject: CellSubject) -> None:
    """Gradient reaches every parameter, the input of every step, every free first state, and goes through time."""
    cell = subject.moved()
    x, lengths = ragged(cell, (3, 4, 1, 4), 5)
    state = some_state(cell, 4)
    found = everything(run, cell, x, lengths, state)
    free = {f"gradient of h0 {spec.name}": spec.free for spec in cell.state_specs()}
    for name, gradient in found.items():
        if name.startswith("gradient"):
            self_kept = free.get(name, True)
            message = f"{name}: expected it to be other than zero somewhere, found zeros"
            subject.require(not self_kept or bool(gradient.any()), message)
            subject.finite(gradient, name)
    per_step = found["gradient of x"].abs().sum(-1)
    valid = torch.arange(5) < lengths[:, None]
    message = "gradient of x: expected some at every step of every sequence and none in the padding, found "
    subject.require(bool((per_step > 0)[valid].all()), message + "a step without")
    subject.require(not bool(per_step[~valid].any()), message + "some in the padding")
    x = x.detach().requires_grad_()
    outputs, _ = run(cell, x[:, :3])
    (gradient,) = torch.autograd.grad((outputs[:, -1] * torch.linspace(-1, 1, outputs.shape[-1])).sum(), x)
    message = "gradient of the last output: expected it to reach the first input through the state, found zeros there"
    subject.require(bool(gradient[:, 0].any()), message)


STRIDE = 1e-6  # of finite differences, in float64


def check_gradcheck(subject: CellSubject) -> None:
    """In float64 the gradient is what finite differences say it is, along a random direction of every leaf."""
    cell = subject.moved().double()
    x, lengths = ragged(cell, (3, 0, 2), 3)
    state = some_state(cell, 3)
    found = everything(run, cell, x, lengths, state)
    leaves = leaves_of(cell, x, state)
    fixed = [f"h0 {spec.name}" for spec in cell.state_specs() if not spec.free]
    for name, leaf in leaves.items():
        if name in fixed:
            continue
        direction, start = torch.randn_like(leaf), leaf.detach().clone()
        ends = []
        for stride in (STRIDE, -STRIDE):
            leaf.data = start + stride * direction
            ends.append(weighted(results(run, cell, leaves, lengths, state)).detach())
        leaf.data = start
        wanted = (ends[0] - ends[1]) / (2 * STRIDE)
        slope = (found[f"gradient of {name}"].conj() * direction).sum().real
        subject.agree(slope, wanted, f"slope along a direction of {name}, against finite differences")


def check_detach_cuts(subject: CellSubject) -> None:
    """A detached state carries its numbers on, and no gradient back: truncated backpropagation through time."""
    cell = subject.moved()
    x = torch.randn(2, 6, cell.input_size, requires_grad=True)
    _, middle = run(cell, x[:, :3])
    cut = detach([middle])[0]
    subject.agree(cut, middle, "a detached state", 0)
    outputs, _ = run(cell, x[:, 3:], state=cut)
    whole, _ = run(cell, x)
    subject.agree(outputs, whole[:, 3:], "outputs after a detached state")
    (gradient,) = torch.autograd.grad(outputs.square().sum(), x)
    subject.require(not gradient[:, :3].any(), "expected no gradient before a detached state, found some")
    subject.require(bool(gradient[:, 3:].any()), "expected gradient after a detached state, found none")
