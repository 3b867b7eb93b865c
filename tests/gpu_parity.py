"""How far each path is from the plain loop, by cell and precision, as JSON: `python tests/gpu_parity.py CELL ...`.

The largest difference of outputs and gradients, as a share of the largest value, from the plain loop in float32. Half
precisions are autocast's. A path that cannot run a cell says why. Exits 1 where a difference is above its bound.
"""

import json
import os
import sys
from contextlib import nullcontext
from typing import Any

import torch

from rnnzoo import registry
from rnnzoo.cells.build import make_cell
from rnnzoo.engine.recurrence import Recurrence, using_path
from rnnzoo.engine.sequences import Sequences
from rnnzoo.errors import ZooError

BOUNDS = {"fp32": 1e-4, "bf16": 0.1, "fp16": 0.02}
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
GPU = torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1"
DEVICE = "cuda" if GPU else "cpu"
SHAPE = (16, 40, 64, 64) if GPU else (3, 5, 6, 7)  # batch, steps, input_size, hidden_size


def answers(layer: Recurrence, path: str, precision: str, x: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
    """Outputs and gradients, by one path."""
    dtype = HALVES.get(precision)
    with using_path(layer, path), nullcontext() if dtype is None else torch.autocast(DEVICE, dtype):
        outputs = layer(Sequences.of(x, lengths))[0].padded.float()
    weights = torch.linspace(-1, 1, outputs.numel(), device=DEVICE).view_as(outputs)
    return [outputs, *torch.autograd.grad((outputs * weights).sum(), [x, *layer.cell.parameters()])]


def difference(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    pairs = zip(found, wanted, strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-3)) for a, b in pairs)


def measure(name: str) -> dict[str, dict[str, Any]]:
    """By path and precision: the largest difference, or why the path cannot run the cell. Nothing if it is missing."""
    if name not in {entry.name for entry in registry.entries("cells")}:
        return {}
    torch.manual_seed(0)
    batch, steps, input_size, hidden_size = SHAPE
    layer = Recurrence(make_cell(name, input_size, hidden_size)).to(DEVICE)
    x = torch.randn(batch, steps, input_size, device=DEVICE, requires_grad=True)
    lengths = torch.linspace(1, steps, batch).long()  # on the CPU, as batches have them
    wanted = answers(layer, "reference", "fp32", x, lengths)
    found: dict[str, dict[str, Any]] = {}
    for path in ("reference", "fused", "triton", "linear"):
        for precision in BOUNDS if GPU else ("fp32",):
            try:
                value: Any = difference(answers(layer, path, precision, x, lengths), wanted)
            except ZooError as refusal:
                value = str(refusal)
            found.setdefault(path, {})[precision] = value
    return found


def main(cells: list[str]) -> int:
    torch.backends.cudnn.rnn.fp32_precision = torch.backends.cuda.matmul.fp32_precision = "ieee"
    found = {name: measure(name) for name in cells}
    numbers = [
        (precision, value)
        for paths in found.values()
        for by_precision in paths.values()
        for precision, value in by_precision.items()
        if not isinstance(value, str)
    ]
    print(json.dumps({"device": DEVICE, "bounds": BOUNDS, "differences": found}))
    return int(any(not value <= BOUNDS[precision] for precision, value in numbers))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
