"""Train over 10 million tokens, in memory and streaming: the curve of memory, its growth, and tokens a second.

    python tests/machines/stream_memory.py [--tokens 10000000] [--task next_word|sentiment] [--steps 300] [--folder DIR]

Writes a text of so many tokens, and trains the same small model in processes of their own: from rows in memory, from a
stream that is encoded first, and from the same stream again. RssAnon is what a process holds, RssFile the pages of
mapped files, which the system takes back when it needs them. Exits 1 where a stream grows by 1 GiB or more, or trains
at less than 90 % of the throughput from memory; 0 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GIB = 2**30
GROWTH, SHARE = 1.0, 0.9  # GiB at most, and of the throughput in memory at least
WARM = 20  # steps before the clock starts
WORDS = 50_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--task", choices=("next_word", "sentiment"), default="next_word")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--one", choices=("memory", "stream"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.folder, options.task, options.one == "stream", options.steps)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        written(folder, options.task, options.tokens)
        found = {}
        for name, kind in (("in memory", "memory"), ("stream, first start", "stream"), ("stream", "stream")):
            command = [sys.executable, __file__, "--one", kind, "--task", options.task, "--folder", str(folder)]
            environment = os.environ | {"RNNZOO_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
            answer = subprocess.run(
                [*command, "--steps", str(options.steps)], env=environment, stdout=subprocess.PIPE, check=True
            )
            found[name] = json.loads(answer.stdout.splitlines()[-1])
            show(name, found[name])
    return judged(found)


def written(folder: Path, task: str, tokens: int) -> None:
    """A text of so many tokens in lines of 1 to 39 words, with a label each for sentiment; the words are Zipf's."""
    path = folder / f"{task}-{tokens}.csv"
    link = folder / "train.csv"
    if not path.exists():
        rng = random.Random(1)
        words = [f"word{rank}" for rank in range(WORDS)]
        pool = rng.choices(words, weights=[1 / (rank + 1) for rank in range(WORDS)], k=2_000_000)
        with path.open("w") as file:
            file.write("" if task == "next_word" else "text,label\n")
            while tokens > 0:
                length = min(tokens, rng.randint(1, 39))
                start = rng.randrange(len(pool) - length)
                line = " ".join(pool[start : start + length])
                file.write(f"{line}\n" if task == "next_word" else f"{line},{'even' if start % 2 else 'odd'}\n")
                tokens -= length + (task == "next_word")  # the end of a line is a token there
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    (folder / "dev.csv").write_text("".join(path.open().readlines(20_000)))


def measured(folder: Path, task: str, streaming: bool, steps: int) -> dict[str, object]:
    """Memory in MiB over the steps, from before the data are read, and tokens a second of the steps after `WARM`."""
    import torch

    from rnnzoo.experiment.build import from_recipe

    recipe = folder / f"{task}.yaml"
    files = f"train: {folder / 'train.csv'}, dev: {folder / 'dev.csv'}"
    data = {
        "next_word": f"{{name: text_lines, {files}, vocab_size: 2000, batch_size: 20, tbptt_steps: 35}}",
        "sentiment": f"{{name: text_files, {files}, vocab_size: 2000, batch_size: 64}}",
    }[task]
    recipe.write_text(
        f"data: {data}\ntask: {{name: {task}}}\nengine: fused\n"
        "model: {inputs: {tokens: {size: 64}}, architecture: {name: lstm, hidden_size: 64}}\n"
    )
    torch.set_num_threads(1)
    start, began = memory(), time.perf_counter()
    module, zoo = from_recipe(recipe, f"--data.streaming={str(streaming).lower()}")
    curve = [(0, *memory())]
    prepared = time.perf_counter() - began
    module.train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    loader = iter(zoo.train_dataloader())
    tokens, seconds, state = [], [], None
    for step in range(steps):
        at = time.perf_counter()
        batch = next(loader)
        output = module(batch, state)
        state = None if output.state is None else detached(output.state)
        loss = module.task.loss(module.model, output, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - at)
        tokens.append(batch.tokens)
        if step % max(1, steps // 12) == 0 or step == steps - 1:
            curve.append((step + 1, *memory()))
    rates = [count / second for count, second in zip(tokens[WARM:], seconds[WARM:], strict=True)]
    return {"start": start, "curve": curve, "prepared": prepared, "rate": statistics.median(rates), "peak": peak()}


def detached(state: object) -> object:
    """The state without its graph: tensors in tuples, whatever their nesting."""
    import torch
    from torch.utils._pytree import tree_map

    return tree_map(lambda value: value.detach() if isinstance(value, torch.Tensor) else value, state)


def memory() -> tuple[float, float]:
    """RssAnon and RssFile of this process, in MiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))


def peak() -> float:
    """The most that this process had in memory at any time, in MiB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def growth(found: dict) -> float:
    """From before the data to the peak, in GiB."""
    return (found["peak"] - sum(found["start"])) / 1024


def show(name: str, found: dict) -> None:
    ready, rate = f"ready after {found['prepared']:.1f} s", f"{found['rate']:,.0f} tokens/s"
    print(f"{name}: {ready}, {rate}, growth {growth(found):.2f} GiB", flush=True)
    print("     step   RssAnon   RssFile   (MiB; before the data: {:.0f} and {:.0f})".format(*found["start"]))
    for step, anonymous, mapped in found["curve"]:
        print(f"  {step:>7} {anonymous:>9.0f} {mapped:>9.0f}", flush=True)


def judged(found: dict[str, dict]) -> int:
    streams = [found["stream, first start"], found["stream"]]
    most, share = max(map(growth, streams)), found["stream"]["rate"] / found["in memory"]["rate"]
    good = most < GROWTH and share >= SHARE
    print(f"growth of a stream: {most:.2f} GiB (below {GROWTH:g}); in memory: {growth(found['in memory']):.2f} GiB")
    print(f"throughput of a stream: {100 * share:.1f} % of that from memory (at least {100 * SHARE:g} %)")
    print("ok" if good else "missed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
