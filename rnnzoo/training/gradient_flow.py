"""How far back a recurrent network learns: the gradient of its loss through time, measured in a network as it is.

With s_t the state of a layer (all its tensors, as h and c of an LSTM) and L the loss,

    dL/ds_(t-1) = J_t^T dL/ds_t + what the output of step t-1 adds        J_t = ds_t / ds_(t-1)

so that |dL/ds_(T-k)| falls with the lag k where the spectral radius of J is below one, and may grow where it is above:
the gradient vanishes, or explodes. Sources: Hochreiter, diploma thesis, TU Muenchen, 1991; Bengio, Simard, Frasconi,
doi:10.1109/72.279181; Pascanu, Mikolov, Bengio, arXiv:1211.5063.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rnnzoo.architectures.base import ONE, SEQUENCE
from rnnzoo.batch import Batch
from rnnzoo.cells.base import State
from rnnzoo.engine import weights
from rnnzoo.engine.observe import Step, Trace, observed
from rnnzoo.engine.recurrence import Recurrence, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.model import SequenceModel
from rnnzoo.tasks.base import Task

OUTER = 0.05  # of a gate's range at each end: there its derivative is below a fifth of the largest
BURN_IN, ITERATIONS = 10, 30  # of power iteration
SAMPLED = 8  # steps whose gates are counted


class Flow(NamedTuple):
    """What one recurrent layer shows.

    layer: its name in the model. by_lag: the mean of |dL/ds_(T-k)| over the sequences that are longer than k, for
    k = 0, 1, ... steps before their ends (their starts, for a layer that runs backwards). memory: the lag in steps at
    which it has fallen to 1/e of its largest value for good; the longest lag if it never does. radius: the spectral
    radius of J at the middle step, the mean over sequences. saturated: the share of the values of gates, sigmoid and
    tanh, within 5 % of an end of their range; None for a cell without any.
    """

    layer: str
    by_lag: list[float]
    memory: float
    radius: float
    saturated: float | None

    def scalars(self) -> dict[str, float]:
        """For loggers: "flow/<layer>/memory_steps", ..., without what is not there."""
        values = {"memory_steps": self.memory, "spectral_radius": self.radius, "saturated": self.saturated}
        return {f"flow/{self.layer}/{name}": value for name, value in values.items() if value is not None}


def measure(model: SequenceModel, task: Task, batch: Batch) -> list[Flow]:
    """The flow in each recurrent layer that runs over the batch, in evaluation; the model stays as it was.

    L is the task's loss where it asks for one answer, or for a sequence of its own; where it asks for one at each step,
    it is the output at the end of a layer's way through the sequence, (batch, features), projected on a random
    direction of length one, as a lag has no meaning for a sum over all steps. Draws random numbers. A layer that is
    stepped by hand, as a decoder with attention is, has no flow. Frozen layers are measured as others are.
    """
    names = {id(module.cell): name for name, module in model.named_modules() if isinstance(module, Recurrence)}
    with _evaluation(model), torch.enable_grad():
        with using_path(model, "reference"), observed() as traces:
            totals = _totals(model, task, batch)
        flows = []
        for trace in traces:
            if trace.steps:
                name = names.get(id(trace.cell), type(trace.cell).__name__)
                flows.append(_flow(name, trace, norms(totals[trace.reverse], trace)))
    return flows


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Within the block the model is evaluated, and no parameter is frozen: without a graph there is no gradient."""
    training = [module for module in model.modules() if module.training]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    model.eval()
    for parameter in frozen:
        parameter.requires_grad = parameter.is_floating_point() or parameter.is_complex()
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad = False
        for module in training:
            module.training = True


def _totals(model: SequenceModel, task: Task, batch: Batch) -> tuple[Tensor, Tensor]:
    """What L is for layers that run forwards and for those that run backwards, summed over the sequences: scalars."""
    if task.needs in (ONE, SEQUENCE):
        loss = task.loss(model, task.forward(model, batch), batch) * len(batch)
        return loss, loss
    outputs = model.architecture(Sequences.of(model.embed(batch), batch.lengths), need_state=False).outputs
    rows = torch.arange(len(batch), device=outputs.device)
    ends, starts = outputs[rows, (batch.lengths.to(rows.device) - 1).clamp(min=0)], outputs[:, 0]
    direction = nn.functional.normalize(torch.randn_like(starts), dim=-1)
    return (ends * direction).sum(), (starts * direction).sum()


def norms(total: Tensor, trace: Trace) -> list[Tensor]:
    """|d total / ds| after each step of a trace, (live,) each; its graph stays."""
    wanted = [tensor for step in trace.steps for tensor in step.after if tensor.requires_grad]
    graph = bool(wanted) and total.requires_grad
    found = torch.autograd.grad(total, wanted, retain_graph=True, allow_unused=True) if graph else [None] * len(wanted)
    gradients = iter(found)
    by_step = []
    for step in trace.steps:
        squares = torch.zeros(len(step.after[0]), device=step.after[0].device)
        for tensor in step.after:
            gradient = next(gradients) if tensor.requires_grad else None
            squares = squares if gradient is None else squares + _square(gradient)
        by_step.append(squares.sqrt())
    return by_step


def _square(rows: Tensor) -> Tensor:
    """(rows,) squared norms of (rows, *shape) numbers, which may be complex."""
    return rows.detach().abs().float().flatten(1).square().sum(1)


def _flow(layer: str, trace: Trace, by_step: Sequence[Tensor]) -> Flow:
    by_lag = _by_lag(trace, by_step)
    return Flow(layer, by_lag, _memory(by_lag), spectral_radius(trace), _saturated(trace))


def _by_lag(trace: Trace, by_step: Sequence[Tensor]) -> list[float]:
    """The mean over the sequences that have a step with this lag. by_step: (live,) each, in the order of computing."""
    live = torch.tensor([len(values) for values in by_step])
    lengths = (live[:, None] > torch.arange(int(live.max()))).sum(0)  # (batch,) longest first
    sums, counts = torch.zeros(len(by_step)), torch.zeros(len(by_step))
    for number, values in enumerate(by_step):
        ahead = lengths[: len(values)] - 1 - number if not trace.reverse else len(by_step) - 1 - number
        lags = torch.as_tensor(ahead).expand(len(values))
        sums.index_add_(0, lags, values.cpu())
        counts.index_add_(0, lags, torch.ones(len(values)))
    mean: list[float] = (sums / counts.clamp(min=1)).tolist()
    return mean


def _memory(by_lag: Sequence[float]) -> float:
    """The last lag at which the gradient is at least 1/e of its largest value; 0 where there is none."""
    finite = [norm for norm in by_lag if math.isfinite(norm)]
    least = max(finite, default=0.0) / math.e
    return float(max((lag for lag, norm in enumerate(by_lag) if norm >= least > 0), default=0))


def spectral_radius(trace: Trace) -> float:
    """Of J at the middle step, the mean over its sequences, by power iteration on J^T: the two have equal eigenvalues.

    The growth is averaged over many iterations, so that a pair of complex eigenvalues does no harm.
    """
    step = trace.steps[len(trace.steps) // 2]
    before = tuple(
        tensor.detach().requires_grad_(tensor.is_floating_point() or tensor.is_complex()) for tensor in step.before
    )
    after = [tensor for tensor in _again(trace, step, before) if tensor.requires_grad]
    inputs = [tensor for tensor in before if tensor.requires_grad]
    vector = [torch.randn_like(tensor) for tensor in after]
    if not after or len(after) != len(inputs):
        return 0.0
    growth = torch.zeros(len(after[0]), device=after[0].device)
    for iteration in range(BURN_IN + ITERATIONS):
        found = torch.autograd.grad(after, inputs, vector, retain_graph=True, allow_unused=True)
        rows = [torch.zeros_like(tensor) if row is None else row for row, tensor in zip(found, inputs, strict=True)]
        norm = sum(map(_square, rows)).sqrt()  # type: ignore[union-attr]
        growth += norm.log() if iteration >= BURN_IN else 0  # of nothing, -inf: a radius of 0
        vector = [row / norm.clamp(min=1e-30).view(-1, *[1] * (row.dim() - 1)).to(row.dtype) for row in rows]
    return float((growth / ITERATIONS).exp().mean())


def _again(trace: Trace, step: Step, before: State) -> State:
    """The step made once more, from another state."""
    with weights.of_this_pass([trace.cell]):
        gx, *masks = step.inputs
        return trace.cell.step(gx, trace.cell.state_type._make(before), *masks)


def _saturated(trace: Trace) -> float | None:
    """The share of saturated gate values in a few steps, evenly spaced."""
    with torch.no_grad(), _Gates() as gates:
        for step in trace.steps[:: math.ceil(len(trace.steps) / SAMPLED)]:
            _again(trace, step, step.before)
    return gates.saturated / gates.count if gates.count else None


class _Gates(TorchDispatchMode):
    """Counts the values of every sigmoid and tanh, whatever the cell calls them, and those near an end of the range."""

    LOWEST: ClassVar = {torch.ops.aten.sigmoid.default: 0.0, torch.ops.aten.tanh.default: -1.0}

    def __init__(self) -> None:
        super().__init__()
        self.count = self.saturated = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if (lowest := self.LOWEST.get(function)) is not None:
            margin = OUTER * (1 - lowest)
            self.count += result.numel()
            self.saturated += int(((result < lowest + margin) | (result > 1 - margin)).sum())
        return result
