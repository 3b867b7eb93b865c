"""Clocks, samples taken in turns, and the facts of the machine that they were taken on."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from rnnzoo import __version__
from rnnzoo.engine.cpp.build import Unbuildable, compiler
from rnnzoo.errors import ZooError
from rnnzoo.system.files import JsonObject
from rnnzoo.system.memory import keep_memory
from rnnzoo.system.provenance import processor

Clock = Callable[[], float]  # seconds


def clock_name(threads: int, device: str = "cpu") -> str:
    """Whose seconds are counted: the "processor"'s for one thread on the CPU, the "wall"'s otherwise."""
    return "processor" if threads == 1 and device == "cpu" else "wall"


@contextmanager
def conditions(threads: int, device: str = "cpu") -> Iterator[Clock]:
    """So many threads of torch, freed memory kept, and on CUDA full float32 for every product; gives the clock.

    Raises: ZooError if there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ZooError("there is no CUDA device here.\n  Measure on the CPU, with --device cpu.")
    keep_memory()
    before = torch.get_num_threads()
    products: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.rnn)
    precision = [product.fp32_precision for product in products]
    torch.set_num_threads(threads)
    for product in products:
        product.fp32_precision = "ieee"
    try:
        yield time.process_time if clock_name(threads, device) == "processor" else partial(wall, device)
    finally:
        torch.set_num_threads(before)
        for product, old in zip(products, precision, strict=True):
            product.fp32_precision = old


def wall(device: str = "cpu") -> float:
    """Seconds on the wall clock, once the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def on_one_thread(call: Callable[[], object]) -> None:
    """Make a call with one thread of torch, whatever is set."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        call()
    finally:
        torch.set_num_threads(before)


def interleaved(calls: Mapping[str, Callable[[], object]], rounds: int, clock: Clock) -> dict[str, list[float]]:
    """Seconds of each call, in rounds of one each, after a round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            began = clock()
            call()
            seconds[name].append(clock() - began)
    return seconds


def summary(seconds: Mapping[str, Sequence[float]], own: str | None = None) -> JsonObject:
    """Medians and samples in milliseconds; and how many times faster than each of the others `own` is."""
    ms = {name: 1000 * statistics.median(samples) for name, samples in seconds.items()}
    result: JsonObject = {"ms": ms, "samples_ms": {n: [1000 * s for s in samples] for n, samples in seconds.items()}}
    if own is not None:
        result["speedup"] = {name: value / ms[own] for name, value in ms.items() if name != own}
    return result


def facts() -> JsonObject:
    """The machine and its software."""
    return {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "rnnzoo": __version__,
        "compiler": _compiler(),
        "memory_kept": keep_memory(),
    }


def load() -> list[float] | None:
    """The load average of the last 1, 5 and 15 minutes, where the system has it."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _compiler() -> str | None:
    try:
        printed = subprocess.run(
            [compiler(), "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
        return printed.splitlines()[0]
    except (Unbuildable, OSError, subprocess.SubprocessError, IndexError):
        return None
