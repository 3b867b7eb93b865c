"""A healthy cell, and cells that each break one promise in a way that people do."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from rnnzoo.cells.base import Cell, PointwiseCell


class Healthy(Cell):
    """h' = (1 - z) * h + z * tanh(a), both gates from the input and from h."""

    gates = ("z", "a")

    def make_recurrent(self):
        self.weight_hh = nn.Parameter(torch.empty(2 * self.hidden_size, self.hidden_size))

    def mixed(self, gx, h):
        z, a = (gx + F.linear(h, self.weight_hh)).chunk(2, -1)
        z = torch.sigmoid(z)
        return (1 - z) * h + z * torch.tanh(a)

    def step(self, gx, state):
        return (self.mixed(gx, state[0]),)


class HealthyScan(Healthy):
    """The same with a scan, which is a loop over a rectangle."""

    def scan(self, gx, layout, state):
        (h,), outputs = state, []
        alive = layout.to_grid(torch.ones(len(gx), 1))
        for step, real in zip(layout.to_grid(gx).unbind(1), alive.unbind(1), strict=True):
            h = torch.where(real > 0, self.mixed(step, h), h)
            outputs.append(h)
        grid = torch.stack(outputs, 1) if outputs else layout.to_grid(gx).new_zeros(layout.batch, 0, self.hidden_size)
        return layout.from_grid(self.finished(grid, layout)), (h,)

    def finished(self, grid, layout):
        return grid


class NeedsAFunction(Healthy):
    def __init__(self, input_size, hidden_size, activation: nn.Module):
        super().__init__(input_size, hidden_size)


class LeavesMemoryAsItWas(Healthy):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = nn.Parameter(torch.empty(hidden_size))

    def step(self, gx, state):
        return (self.mixed(gx, state[0]) * torch.sigmoid(self.scale),)


class ReturnsTwoStates(Healthy):
    def step(self, gx, state):
        h = self.mixed(gx, state[0])
        return h, h


class PromisesAnotherOutputSize(Healthy):
    @property
    def output_size(self):
        return self.hidden_size + 1


class KeepsATensorAside(Healthy):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = torch.rand(hidden_size) + 0.5

    def step(self, gx, state):
        return (self.mixed(gx, state[0]) * self.scale,)


class NumbersTheRows(Healthy):
    """Counts positions by the rows of x, which are steps only where the batch is one sequence."""

    def project(self, x):
        gx = super().project(x)
        return gx + torch.linspace(0, 1, len(gx), dtype=gx.dtype)[:, None] if len(gx) else gx


class ScansOtherwise(HealthyScan):
    def finished(self, grid, layout):
        return 1.01 * grid


class SeesThePadding(HealthyScan):
    def finished(self, grid, layout):
        return grid * layout.longest / max(layout.time, 1)


class CountsItsSteps(Healthy):
    """A clock in an attribute, set back by each call of the whole."""

    def project(self, x):
        self.time = 0
        return super().project(x)

    def step(self, gx, state):
        self.time += 1
        return (self.mixed(gx, state[0]) / self.time,)


class UsesBatchStatistics(Healthy):
    def project(self, x):
        return super().project(x - x.mean(0))


class KnowsItsPlaceInTheBatch(Healthy):
    def step(self, gx, state):
        place = torch.arange(len(gx), dtype=gx.dtype, device=gx.device)[:, None]
        return (self.mixed(gx, state[0]) + 0.1 * place,)


class BeginsAtRandom(Healthy):
    def initial_state(self, batch, like):
        return (torch.rand(batch, self.hidden_size, dtype=like.dtype, device=like.device),)


class LooksAhead(Healthy):
    def project(self, x):
        return super().project(x + x.roll(-1, 0))


class ChangesItsInput(Healthy):
    def step(self, gx, state):
        return (self.mixed(gx.mul_(0.5), state[0]),)


class ChangesItsState(Healthy):
    def step(self, gx, state):
        h = self.mixed(gx, state[0])
        return (state[0].copy_(h) if not torch.is_grad_enabled() else h,)


class IsRandomInEvaluation(Healthy):
    def step(self, gx, state):
        return (self.mixed(gx, state[0]) + 1e-3 * torch.randn_like(state[0]),)


class RemembersTheLastCall(Healthy):
    """State in an attribute, carried from call to call."""

    memory = 0.0

    def step(self, gx, state):
        h = self.mixed(gx, state[0]) + 0.1 * self.memory
        self.memory = float(h.detach().mean())
        return (h,)


class DropsOutItself(Healthy):
    def step(self, gx, state):
        return (F.dropout(self.mixed(gx, state[0]), 0.1, self.training),)


class DetachesItsState(Healthy):
    def step(self, gx, state):
        return (self.mixed(gx, state[0].detach()),)


class HasAnIdleParameter(Healthy):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.idle = nn.Parameter(torch.ones(hidden_size))


class WrongTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return gradient * (1 - y)  # where 1 - y * y belongs


class HasAWrongGradient(Healthy):
    def step(self, gx, state):
        return (WrongTanh.apply(self.mixed(gx, state[0])),)


class KeepsTheGraph(Healthy):
    """Adds a zero that still hangs on the first state it ever saw."""

    kept = None

    def step(self, gx, state):
        h = self.mixed(gx, state[0])
        if h.requires_grad and self.kept is None:
            self.kept = h
        return (h if self.kept is None else h + (self.kept - self.kept.detach()),)


class FallsToFloat32(Healthy):
    def step(self, gx, state):
        return (self.mixed(gx, state[0]).float(),)


class MixesDtypesUnderAutocast(Healthy):
    def step(self, gx, state):
        return (torch.tanh(torch.empty_like(gx).copy_(gx).addmm_(state[0], self.weight_hh.t())).chunk(2, -1)[0],)


class OverflowsForLargeInputs(Healthy):
    def step(self, gx, state):
        e = torch.exp(gx.chunk(2, -1)[0])
        return (self.mixed(gx, state[0]) * e / (1 + e),)


class GrowsWithoutBound(Healthy):
    def step(self, gx, state):
        return (self.mixed(gx, state[0]) + 1.1 * state[0],)


class CopiesShareWeights(Healthy):
    def __deepcopy__(self, memo):
        return copy.copy(self)


class Forgets(Healthy):
    def step(self, gx, state):
        return (self.mixed(gx, 0 * state[0]),)


class HealthyPointwise(PointwiseCell):
    """The same gates, with the engine's recurrent product."""

    gates = ("z", "a")

    def update(self, gx, gh, state):
        z = torch.sigmoid(gx[0] + gh[0])
        return ((1 - z) * state[0] + z * torch.tanh(gx[1] + gh[1]),)
