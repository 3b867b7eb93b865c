"""One recurrent layer, as the engine runs it and as PyTorch does: the same numbers in, the same gradients out.

    from rnnzoo.bench.cases import make_case
    from rnnzoo.bench.cells import measure
    measure("lstm", make_case("A", ragged=True), "train", rivals=["padded"])["speedup"]

All take (batch, time, input_size) and give (batch, time, features), and are timed in turns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from rnnzoo.architectures.base import LayerStack
from rnnzoo.bench import RIVALS, timing
from rnnzoo.bench.cases import Case, find_size
from rnnzoo.bench.contenders import Contender, contenders
from rnnzoo.cells.base import CellLike
from rnnzoo.engine.recurrence import report
from rnnzoo.system.files import JsonObject


def measure(
    cell: CellLike,
    case: Case,
    mode: str = "train",
    *,
    rounds: int = 7,
    threads: int = 1,
    device: str = "cpu",
    engine: str = "auto",
    rivals: Collection[str] = RIVALS,
) -> JsonObject:
    """Time one layer and its rivals. mode: "train", forward and backward to the input and all weights; or "infer".

    "ms" holds the median of each, "speedup" how many times faster than each rival the engine is. Times are of the
    processor with one thread on the CPU, else of the wall. Freed memory is kept, for all alike.
    Raises: ZooError if there is no such device, or the engine path cannot run the cell.
    """
    with timing.conditions(threads, device) as clock:
        entrants = contenders(cell, case, engine, rivals, device)
        x = random_input(len(case.lengths), case.time, case.input_size).to(device)
        call: Callable[..., Callable[[], object]] = inference if mode == "infer" else partial(training, case=case)
        calls = {name: call(entrant, x) for name, entrant in entrants.items()}
        if threads > 1:
            alone = contenders(cell, case, engine, (), device)["engine"]
            calls["engine, one thread"] = partial(timing.on_one_thread, call(alone, x))
        seconds = timing.interleaved(calls, rounds, clock)
    layer = entrants["engine"].module
    assert isinstance(layer, LayerStack)
    return {
        "cell": type(layer.cells[0]).__name__,
        **{key: value for key, value in asdict(case).items() if key != "lengths"},
        "lengths": "ragged" if case.ragged else "equal",
        "time": case.time,
        "batch": len(case.lengths),
        "valid": round(case.valid, 4),
        "mode": mode,
        "engine": report(layer),
        **timing.summary(seconds, "engine"),
    }


def random_input(*shape: int) -> Tensor:
    """Normal numbers of a shape, always the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def inference(entrant: Contender, x: Tensor) -> Callable[[], Tensor]:
    """A call that computes the outputs alone."""
    entrant.module.eval()
    return torch.no_grad()(partial(entrant.forward, x))


def training(entrant: Contender, x: Tensor, case: Case) -> Callable[[], tuple[Tensor | None, ...]]:
    """A call that returns gradients of the input and of the weights; those of the outputs are zero in the padding."""
    forward, module = entrant
    module.train()
    with torch.no_grad():
        features = forward(x).shape[-1]
    real = torch.arange(case.time) < torch.tensor(case.lengths)[:, None]
    gradient = (random_input(*x.shape[:2], features) * real[:, :, None]).to(x.device)
    x = x.clone().requires_grad_()
    wanted = [x, *module.parameters()]
    return lambda: torch.autograd.grad(forward(x), wanted, gradient, allow_unused=True)


def scaling(
    cell: CellLike, size: str = "A", *, rounds: int = 7, threads: int = 1, device: str = "cpu", engine: str = "auto"
) -> JsonObject:
    """What a token costs in training at 2,000 steps against one at 200: in microseconds, and the ratio."""
    known = find_size(size)
    calls, tokens = {}, {}
    with timing.conditions(threads, device) as clock:
        for steps in (200, 2000):
            case = Case(size, known.input_size, known.hidden_size, (steps,) * known.batch, False)
            x = random_input(known.batch, steps, known.input_size).to(device)
            name = f"T={steps}"
            calls[name] = training(contenders(cell, case, engine, (), device)["engine"], x, case)
            tokens[name] = steps * known.batch
        ms = timing.summary(timing.interleaved(calls, rounds, clock))["ms"]
    cost = {name: 1000 * ms[name] / tokens[name] for name in ms}
    return {"size": size, "us_per_token": cost, "ratio": cost["T=2000"] / cost["T=200"]}
