"""One recurrent layer, as the engine runs it and as PyTorch does: the same numbers in, the same gradients out.

    from rnnzoo.bench.cells import make_case, measure
    measure("lstm", make_case("A", ragged=True), "train", rivals=["padded"])["speedup"]

All take (batch, time, input_size) and give (batch, time, features), and are timed in turns.
"""

from __future__ import annotations

import copy
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnzoo.architectures.base import LayerStack
from rnnzoo.bench import RIVALS, timing
from rnnzoo.cells.base import Cell, CellLike
from rnnzoo.engine.paths.fused import recognise
from rnnzoo.engine.recurrence import report, set_path
from rnnzoo.errors import ZooError, nearest

# -- cases ----------------------------------------------------------------------------------------------------------


class Size(NamedTuple):
    """time: steps of equal sequences. median, longest: steps of ragged ones."""

    time: int
    batch: int
    input_size: int
    hidden_size: int
    median: int
    longest: int


SIZES = {
    "A": Size(200, 32, 128, 64, 174, 500),  # reviews
    "B200": Size(35, 20, 200, 200, 12, 35),  # language models
    "B650": Size(35, 20, 650, 650, 12, 35),
    "C": Size(32, 32, 128, 128, 12, 32),  # tagged sentences
}
SIGMA = math.sqrt(2 * math.log(234 / 174))  # of log-lengths: IMDB's mean is 234 words, its median 174


@dataclass(frozen=True)
class Case:
    """A batch for one layer. lengths: (batch,) steps of each sequence; all are padded to the longest."""

    size: str
    input_size: int
    hidden_size: int
    lengths: tuple[int, ...]
    bidirectional: bool

    @property
    def time(self) -> int:
        return max(self.lengths)

    @property
    def ragged(self) -> bool:
        return min(self.lengths) < self.time

    @property
    def valid(self) -> float:
        """The share of the padded batch that is not padding."""
        return sum(self.lengths) / (len(self.lengths) * self.time)


def make_case(size: str, ragged: bool, bidirectional: bool | None = None) -> Case:
    """A batch of a size; in both directions where ragged, if `bidirectional` is None. Raises: ZooError."""
    found = find_size(size)
    lengths = draw_lengths(found.batch, found.median, found.longest) if ragged else [found.time] * found.batch
    both = ragged if bidirectional is None else bidirectional
    return Case(size, found.input_size, found.hidden_size, tuple(lengths), both)


def find_size(text: str) -> Size:
    """A known size, or one given as TIMExBATCHxINPUTxHIDDEN. Raises: ZooError."""
    if text in SIZES:
        return SIZES[text]
    if re.fullmatch(r"[1-9]\d*(x[1-9]\d*){3}", text):
        time, batch, input_size, hidden_size = map(int, text.split("x"))
        return Size(time, batch, input_size, hidden_size, math.ceil(0.35 * time), time)
    match = nearest(text, SIZES)
    hint = f"\n  Did you mean '{match}'?" if match else ""
    raise ZooError(
        f"no size is named '{text}'.{hint}\n  Known: {', '.join(SIZES)}; or steps, batch, input and hidden size, as in "
        "50x8x16x32."
    )


def draw_lengths(batch: int, median: int, longest: int, seed: int = 0) -> list[int]:
    """Lognormal lengths as IMDB's are, at most `longest` and at least a fiftieth of that. The same for a seed."""
    normal = torch.randn(batch, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (median * torch.exp(SIGMA * normal)).round().long().clamp(max(1, longest // 50), longest).tolist()


# -- contenders -----------------------------------------------------------------------------------------------------


class Contender(NamedTuple):
    """forward: from (batch, time, input_size) to (batch, time, features)."""

    forward: Callable[[Tensor], Tensor]
    module: nn.Module


TWINS: dict[str, Callable[..., nn.RNNBase]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn_tanh": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
}


def contenders(
    cell: CellLike, case: Case, engine: str = "auto", rivals: Collection[str] = RIVALS, device: str = "cpu"
) -> dict[str, Contender]:
    """The layer by the engine, named "engine", and its rivals.

    A cell that computes what a layer of torch.nn does is compared with that, at equal weights; any other with both
    nn.LSTM and nn.GRU. Raises: ZooError if the cell cannot be built.
    """
    lengths = torch.tensor(case.lengths)
    mask = (torch.arange(case.time) < lengths[:, None]).to(device) if case.ragged else None
    torch.manual_seed(0)
    layer = LayerStack(case.input_size, cell, case.hidden_size, bidirectional=case.bidirectional).to(device)
    set_path(layer, engine)
    found = {"engine": Contender(partial(_by_engine, layer, lengths), layer)}
    twin = recognise(layer.cells[0])
    for name in [twin] if twin else ["lstm", "gru"]:
        rnn = TWINS[name](case.input_size, case.hidden_size, batch_first=True, bidirectional=case.bidirectional)
        rnn = rnn.to(device)
        if twin:
            _copy_weights(layer, rnn)
        label = f"nn.{type(rnn).__name__}"
        if "padded" in rivals:
            found[f"{label} padded"] = Contender(partial(_padded, rnn), rnn)
        if "packed" in rivals:
            found[f"{label} packed"] = Contender(partial(_packed, rnn, lengths), rnn)
    if "reference" in rivals:
        other = copy.deepcopy(layer)
        set_path(other, "reference")
        found["reference loop"] = Contender(partial(_by_engine, other, lengths), other)
    if "naive" in rivals:
        found["naive loop"] = Contender(partial(_naive, layer, mask), layer)
    return found


@torch.no_grad()
def _copy_weights(layer: LayerStack, rnn: nn.RNNBase) -> None:
    for cell, suffix in zip(layer.cells, ("_l0", "_l0_reverse"), strict=False):
        for name, parameter in cell.named_parameters():
            getattr(rnn, name.rpartition(".")[2] + suffix).copy_(parameter)


def _by_engine(layer: LayerStack, lengths: Tensor, x: Tensor) -> Tensor:
    return layer(x, lengths, need_state=False).outputs


def _padded(rnn: nn.RNNBase, x: Tensor) -> Tensor:
    return rnn(x)[0]


def _packed(rnn: nn.RNNBase, lengths: Tensor, x: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(rnn(packed)[0], batch_first=True)[0]


def _naive(layer: LayerStack, mask: Tensor | None, x: Tensor) -> Tensor:
    directions = zip(layer.cells, (False, True), strict=False)
    return torch.cat([_loop(cell, mask, x, reverse) for cell, reverse in directions], -1)


def _loop(cell: Cell, mask: Tensor | None, x: Tensor, reverse: bool) -> Tensor:
    """Step by step over padded time; past a sequence's end the state stays as it is."""
    state, outputs = cell.initial_state(len(x), x), []
    for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
        y, new = cell(x[:, t], state)
        if mask is not None:
            alive = mask[:, t]
            y = y * alive[:, None]
            new = tuple(
                torch.where(alive.view(-1, *[1] * (s.dim() - 1)), s, old) for s, old in zip(new, state, strict=True)
            )
        state = new
        outputs.append(y)
    return torch.stack(outputs[::-1] if reverse else outputs, 1)


# -- measuring ------------------------------------------------------------------------------------------------------


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
) -> dict[str, Any]:
    """Time one layer and its rivals. mode: "train", forward and backward to the input and all weights; or "infer".

    "ms" holds the median of each, "speedup" how many times faster than each rival the engine is. Times are of the
    processor with one thread on the CPU, else of the wall. Freed memory is kept, for all alike.
    Raises: ZooError if there is no such device, or the engine path cannot run the cell.
    """
    with timing.conditions(threads, device) as clock:
        entrants = contenders(cell, case, engine, rivals, device)
        x = _random(len(case.lengths), case.time, case.input_size).to(device)
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


def _random(*shape: int) -> Tensor:
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
    gradient = (_random(*x.shape[:2], features) * real[:, :, None]).to(x.device)
    x = x.clone().requires_grad_()
    wanted = [x, *module.parameters()]
    return lambda: torch.autograd.grad(forward(x), wanted, gradient, allow_unused=True)


def scaling(
    cell: CellLike, size: str = "A", *, rounds: int = 7, threads: int = 1, device: str = "cpu", engine: str = "auto"
) -> dict[str, Any]:
    """What a token costs in training at 2,000 steps against one at 200: in microseconds, and the ratio."""
    found = find_size(size)
    calls, tokens = {}, {}
    with timing.conditions(threads, device) as clock:
        for steps in (200, 2000):
            case = Case(size, found.input_size, found.hidden_size, (steps,) * found.batch, False)
            x = _random(found.batch, steps, found.input_size).to(device)
            name = f"T={steps}"
            calls[name] = training(contenders(cell, case, engine, (), device)["engine"], x, case)
            tokens[name] = steps * found.batch
        ms = timing.summary(timing.interleaved(calls, rounds, clock))["ms"]
    cost = {name: 1000 * ms[name] / tokens[name] for name in ms}
    return {"size": size, "us_per_token": cost, "ratio": cost["T=2000"] / cost["T=200"]}


# -- the first call -------------------------------------------------------------------------------------------------

FIRST_CALL = """
import json, sys
from rnnzoo.bench.cells import first_call
print(json.dumps(first_call(**json.loads(sys.argv[1]))))
"""


def first_calls(cell: str, case: Case, engine: str = "auto", device: str = "cpu") -> dict[str, Any]:
    """Seconds of the first training step of a process, with an empty cache of built code and with a full one.

    Each runs in a process of its own, where torch is loaded and warm and the cell has not run; `_cpu_s` are of the
    processor, the compiler's among them.
    """
    given = json.dumps({"cell": cell, "case": asdict(case), "engine": engine, "device": device})
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rnnzoo-bench-") as cache:
        caches = {"RNNZOO_CACHE": "", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
        places = {name: os.path.join(cache, folder) for name, folder in caches.items()}
        for name in ("first_build", "later_load"):
            command = [sys.executable, "-c", FIRST_CALL, given]
            done = subprocess.run(command, env=os.environ | places, capture_output=True, text=True)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line[:1].strip()]
                raise ZooError(f"the first call of '{cell}' in a process of its own failed: {(lines or ['?'])[-1]}")
            wall, cpu, told["engine"] = json.loads(done.stdout.splitlines()[-1])
            told |= {f"{name}_s": wall, f"{name}_cpu_s": cpu}
    return told


def first_call(
    cell: str, case: dict[str, Any], engine: str, device: str
) -> tuple[float, float, list[dict[str, object]]]:
    """The engine's first training step after one of the reference loop: seconds of the wall and of the processor."""
    own = Case(**case | {"lengths": tuple(case["lengths"])})
    with timing.conditions(1, device):
        x = _random(len(own.lengths), own.time, own.input_size).to(device)
        entrants = contenders(cell, own, engine, ["reference"], device)
        training(entrants["reference loop"], x, own)()
        wall, cpu = timing.wall(device), sum(os.times()[:4])  # the last two of them are of finished children
        training(entrants["engine"], x, own)()
        seconds = timing.wall(device) - wall, sum(os.times()[:4]) - cpu
    return *seconds, report(entrants["engine"].module)
