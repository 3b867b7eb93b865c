"""The gradient through time: how much the last output depends on inputs further back, measured and drawn.

In a recurrent network h_T depends on the input t steps earlier through t factors dh/dh'. If these are smaller than one
in norm, the gradient vanishes; if they are larger, it explodes. Sources: Hochreiter, diploma thesis, TU Muenchen, 1991;
Bengio, Simard, Frasconi, doi:10.1109/72.279181; Pascanu, Mikolov, Bengio, arXiv:1211.5063.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rnnzoo import registry, runs
from rnnzoo.batch import Batch
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import ZooError
from rnnzoo.experiment import build
from rnnzoo.experiment.restore import origin, restore
from rnnzoo.model import SequenceModel
from rnnzoo.pictures import svg
from rnnzoo.runs import checkpoint

SEQUENCES = 128  # of the dev split; their mean is drawn


def through_time(model: SequenceModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sums over the batch of |d h_T / d x_(T-k)| for k = 0, 1, ..., time - 1, and how many sequences are in each.

    h_T is the architecture's output at a sequence's last step, projected on a random direction of length one; x_t are
    the features that step t is given. Returns two (time,) tensors, the first in units of h per unit of x.
    """
    x = model.embed(batch).detach().requires_grad_()
    outputs = model.architecture(Sequences.of(x, batch.lengths), need_state=False).outputs
    lengths = batch.lengths.to(x.device)
    rows = torch.arange(len(batch), device=x.device)
    direction = torch.nn.functional.normalize(torch.randn(len(batch), outputs.shape[-1], device=x.device), dim=-1)
    ends = outputs[rows, (lengths - 1).clamp(min=0)]
    (gradient,) = torch.autograd.grad((ends * direction).sum(), x)
    norms = gradient.norm(dim=-1)  # (batch, time)
    steps = torch.arange(x.shape[1], device=x.device)
    back = lengths[:, None] - 1 - steps  # (batch, time): k of each step, negative in the padding
    valid = back >= 0
    sums = torch.zeros(x.shape[1], device=x.device).index_add_(0, back[valid], norms[valid])
    return sums, torch.bincount(back[valid], minlength=x.shape[1])


def of_run(run: str | Path) -> list[float]:
    """The mean of |d h_T / d x_(T-k)|, k = 0, 1, ..., over some sequences of the dev split, of a run's best model.

    Raises: RunError, DataError.
    """
    saved = checkpoint.load(checkpoint.locate(runs.find(run)))
    recipe, spec = origin(saved)
    with registry.of_run(saved.meta["parts"]):
        data, network = build.make_data(recipe, spec), restore(saved, recipe, spec)
    model = network.model.eval()
    torch.manual_seed(recipe["seed"])
    sums, counts, seen = torch.zeros(0), torch.zeros(0), 0
    for batch in data.val_dataloader():
        batch_sums, batch_counts = through_time(model, network.task.preprocess(batch))
        sums, counts = _add(sums, batch_sums), _add(counts, batch_counts)
        seen += len(batch)
        if seen >= SEQUENCES:
            break
    return (sums / counts).tolist()


def _add(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two vectors, the shorter one filled up with zeros."""
    size = max(len(a), len(b))
    pad = torch.nn.functional.pad
    return pad(a, (0, size - len(a))) + pad(b, (0, size - len(b)))


def picture(curves: Mapping[str, Sequence[float]]) -> str:
    """The gradients of several runs as one chart, in SVG, each relative to its last step's.

    Raises: ZooError if no run has a finite, positive gradient at its last step.
    """
    drawable = {name: norms for name, norms in curves.items() if 0 < norms[0] < math.inf}
    if not drawable:
        raise ZooError(
            f"nothing to draw: the gradient is zero, infinite or NaN at the last step of {', '.join(curves)}.\n"
            "  Zero means that the last output does not depend on the last input: all units of a layer may have died."
        )
    lines = {name: [(k, norm / norms[0]) for k, norm in enumerate(norms)] for name, norms in drawable.items()}
    axes = "steps before the last, k", "|dh_T/dx_(T-k)| / |dh_T/dx_T|"
    return svg.chart("Gradient of the last output through time", *axes, lines, True)
