"""Precision, and numbers that stay finite."""

from __future__ import annotations

import torch

from rnnzoo.testing.cells.running import everything, run
from rnnzoo.testing.cells.subject import CellSubject, ragged


def check_keeps_float64(subject: CellSubject) -> None:
    """A cell in float64 gives float64, and the numbers of float32 to float32's precision."""
    cell = subject.moved()
    x, lengths = ragged(cell)
    outputs, last = run(cell, x, lengths)
    exact, end = run(cell.double(), x.double(), lengths)
    subject.require(exact.dtype == torch.float64, f"outputs: expected float64 from float64, found {exact.dtype}")
    subject.agree(outputs.double(), exact, "outputs in float32, against float64", 1e-4)
    subject.agree(tuple(s.to(e.dtype) for s, e in zip(last, end, strict=True)), end, "last state in float32", 1e-4)


def check_autocast(subject: CellSubject) -> None:
    """Under bf16 autocast outputs, states and gradients are finite, and parameters keep gradients of their own type."""
    for training in (False, True):
        cell = subject.moved().train(training)
        x, lengths = ragged(cell)
        for path in ("auto", "reference"):
            with torch.autocast("cpu", torch.bfloat16):
                outputs, last = run(cell, x, lengths, path=path)
            for what, tensor in {"outputs": outputs, **{f"state {k}": s for k, s in enumerate(last)}}.items():
                subject.finite(tensor, f"{what} under bf16 autocast")
            parameters = [p for p in cell.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(outputs.float().square().sum(), parameters, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    subject.finite(gradient, "gradients under bf16 autocast")
                    subject.require(gradient.dtype == parameter.dtype, "gradients: expected the parameters' dtype")


def check_finite_for_large_inputs(subject: CellSubject) -> None:
    """Inputs of 1e4 in size give finite outputs, states and gradients."""
    cell = subject.make().eval()
    x, lengths = ragged(cell)
    found = everything(run, cell, 1e4 * x.sign(), lengths, None)
    for name, tensor in found.items():
        subject.finite(tensor, f"{name} for inputs of 1e4")


def check_finite_for_long_sequences(subject: CellSubject) -> None:
    """Two thousand steps give finite outputs and states."""
    cell = subject.make().eval()
    with torch.no_grad():
        outputs, last = run(cell, torch.randn(2, 2000, cell.input_size))
    for what, tensor in {"outputs": outputs, **{f"state {k}": s for k, s in enumerate(last)}}.items():
        subject.finite(tensor, f"{what} after 2000 steps")
