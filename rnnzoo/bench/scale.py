"""How cost grows as work grows: with processes, examples, steps of a sequence, hidden sizes and vocabularies.

What a machine has no memory for, or no time, is left out by name: each point is foretold from those before it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from rnnzoo.bench import timing
from rnnzoo.bench.cases import Case
from rnnzoo.bench.cells import measure
from rnnzoo.errors import ZooError
from rnnzoo.layers.heads import AdaptiveSoftmax, Softmax
from rnnzoo.system.files import JsonObject
from rnnzoo.system.memory import available_memory

SHARE = 0.8  # of the available memory that a point may need
POINTS = {  # of each section, in rising order
    "processes": (1, 2, 4),
    "examples": (10**4, 10**5, 10**6, 10**7),
    "steps": (10**2, 10**3, 10**4, 10**5),
    "hidden": (128, 256, 512, 1024, 2048, 4096),
    "vocabulary": (10**4, 10**5, 10**6),
}
BATCH, FEATURES, TOKENS = 8, 64, 256  # of the layers measured
Row = JsonObject


class Budget:
    """Says why a point is not measured, from what the last one took. seconds: of a whole section."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.perf_counter() + seconds
        self.took: tuple[int, float, float] | None = None  # the last point's size, its seconds, those before its work

    def refusal(self, size: int, need: float) -> str | None:
        """Why not: too little memory for so many bytes, or too little time; None where the point can be measured."""
        free = available_memory()
        if free is not None and need > SHARE * free:
            return f"needs {need / 2**30:.1f} GiB of memory, {free / 2**30:.1f} are available"
        left = self.ends - time.perf_counter()
        last, seconds, start = self.took or (size, 0.0, 0.0)
        expected = start + (seconds - start) * size / last
        if expected > left or left < 0:
            return f"would take about {expected:.0f} s, {max(0.0, left):.0f} s are left; --seconds gives more"
        return None


def rows(
    points: Iterable[int], seconds: float, need: Callable[[int], float], point: Callable[[int, float], Row]
) -> Iterator[Row]:
    """A row for each point: what `point(size, seconds left)` measured, or {"skipped": why}."""
    budget = Budget(seconds)
    for size in points:
        if why := budget.refusal(size, need(size)):
            yield {"size": size, "skipped": why}
            continue
        began = time.perf_counter()
        try:
            row = point(size, budget.ends - began)
        except subprocess.TimeoutExpired:
            yield {"size": size, "skipped": "took longer than --seconds allows"}
            continue
        seconds_taken = time.perf_counter() - began
        budget.took = size, seconds_taken, seconds_taken - row.get("seconds_to_first_step", seconds_taken)
        yield {"size": size, **row}


def processes(recipe: str, keys: Sequence[str], batches: int, seconds: float, points: Sequence[int]) -> list[Row]:
    """Training batches of a recipe in so many processes, one thread each, and in as many that know nothing of each
    other: what the machine itself can give. Rates are tokens a second of wall time, of all together, or examples
    where there are no tokens: the first batches of several processes are others, and may be longer."""
    found: list[Row] = []
    bytes_each = 0.0

    def point(count: int, left: float) -> Row:
        nonlocal bytes_each
        command = [recipe, "--batches", str(batches), *keys]
        (together,) = _fits([[*command, "--trainer.devices", str(count)]], left)
        alone = _fits([command] * count, left) if count > 1 else [together]
        bytes_each = max(bytes_each, *(float(one["peak_memory_bytes"] or 0) for one in alone))
        rate = _rate(together)
        ceiling = sum(_rate(one) for one in alone)
        first = found[0]["per_second"] if found else rate
        row = {"per_second": rate, "independent": ceiling}
        return row | {"ratio": rate / first, "ceiling": ceiling / first, "load": timing.load()}

    for row in rows(points, seconds, lambda count: count * bytes_each, point):
        found.append(row)
    return found


def examples(seconds: float, points: Sequence[int]) -> list[Row]:
    """Peak memory, and seconds from reading data to the end of the first step, of generated rows in memory."""
    found: list[Row] = []

    def need(size: int) -> float:
        done = [row for row in found if "skipped" not in row]
        return size / done[-1]["size"] * done[-1]["bytes_above_first"] + done[0]["peak_memory_bytes"] if done else 0.0

    def point(size: int, left: float) -> Row:
        (result,) = _fits([["quickstart", "--batches", "1", f"--data.examples={size}"]], left)
        peak = float(result["peak_memory_bytes"] or 0)
        base = next((row["peak_memory_bytes"] for row in found), peak)
        row = {"peak_memory_bytes": peak, "bytes_above_first": peak - base}
        return row | {"seconds_to_first_step": result["seconds_to_first_step"]}

    for row in rows(points, seconds, need, point):
        found.append(row)
    return found


def steps(seconds: float, points: Sequence[int]) -> list[Row]:
    """Microseconds a token in training an LSTM of 64 on sequences of so many steps, backward through all of them."""

    def need(size: int) -> float:
        return 4.0 * size * BATCH * FEATURES * 32

    return list(rows(points, seconds, need, lambda size, _: _layer(size, BATCH, FEATURES)))


def hidden(seconds: float, points: Sequence[int]) -> list[Row]:
    """Microseconds a token in training an LSTM of such sizes; its work grows with the square, "gflops" tells how."""

    def point(size: int, _: float) -> Row:
        row = _layer(16, 16, size)
        return row | {"gflops": 3 * 2 * 8 * size**2 / (1e3 * row["us_per_token"])}  # 8 n^2 weights, forward and twice

    weights_and_work = 4.0 * 8 * 4  # bytes, numbers for each of size^2, copies
    found = rows(points, seconds, lambda size: weights_and_work * size**2, point)
    return list(found)


def vocabulary(seconds: float, points: Sequence[int]) -> list[Row]:
    """Microseconds a token of an embedding, a softmax over the words, backward, and an SGD step.

    Of the whole softmax, of the adaptive one, and of that with sparse gradients of the embedding. 256 tokens a step,
    words as frequent as 1 / rank.
    """

    def point(words: int, _: float) -> Row:
        ranks = torch.rand(TOKENS, generator=torch.Generator().manual_seed(0))
        tokens = (words**ranks).long().clamp(max=words - 1)
        cutoffs = [words // 50, words // 5]
        calls = {
            "softmax": _language_step(Softmax(FEATURES, words), words, tokens, False),
            "adaptive": _language_step(AdaptiveSoftmax(FEATURES, words, cutoffs), words, tokens, False),
            "adaptive, sparse": _language_step(AdaptiveSoftmax(FEATURES, words, cutoffs), words, tokens, True),
        }
        with timing.conditions(1) as clock:
            ms = timing.summary(timing.interleaved(calls, 3, clock))["ms"]
        return {name: 1000 * value / TOKENS for name, value in ms.items()}

    return list(rows(points, seconds, lambda words: 4.0 * words * (4 * TOKENS + 10 * FEATURES), point))


def _rate(result: JsonObject) -> float:
    speed = result["throughput"]
    return float(speed["tokens_per_second"] or speed["examples_per_second"] or 0)


def _layer(length: int, batch: int, size: int) -> Row:
    case = Case(f"{length}x{batch}x{size}x{size}", size, size, (length,) * batch, False)
    result = measure("lstm", case, "train", rounds=2, rivals=())
    return {"us_per_token": 1000 * result["ms"]["engine"] / (length * batch)}


def _language_step(head: Softmax | AdaptiveSoftmax, words: int, tokens: Tensor, sparse: bool) -> Callable[[], None]:
    embedding = nn.Embedding(words, FEATURES, sparse=sparse)
    optimizer = torch.optim.SGD([*embedding.parameters(), *head.parameters()], lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        (head.nll(embedding(tokens), tokens.roll(-1)) / len(tokens)).backward()
        optimizer.step()

    return step


def _fits(commands: Sequence[Sequence[str]], seconds: float) -> list[JsonObject]:
    """What `rnnzoo bench fit --json` prints for each command, all at once. Raises: ZooError, TimeoutExpired."""
    ends = time.perf_counter() + seconds
    fit = [sys.executable, "-m", "rnnzoo", "bench", "fit"]
    start = partial(subprocess.Popen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children = [start([*fit, *command, "--json"]) for command in commands]
    try:
        told = [child.communicate(timeout=max(0.1, ends - time.perf_counter())) for child in children]
    finally:
        for child in children:
            if child.poll() is None:
                child.terminate()  # whereupon it ends its own
                child.wait()
    for command, child, (_, error) in zip(commands, children, told, strict=True):
        if child.returncode:
            raise ZooError(f"rnnzoo bench fit {' '.join(command)} failed.\n  " + "\n  ".join(error.splitlines()[-5:]))
    return [json.loads(printed) for printed, _ in told]
