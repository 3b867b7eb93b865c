"""Run folders as `rnnzoo fit` leaves them, made without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rnnzoo.recipe.writing import dump

CELLS: dict[str, dict[str, Any]] = {
    "lstm": {"name": "lstm", "init": "uniform", "forget_bias": None},
    "gru": {"name": "gru", "init": "uniform"},
    "vanilla": {"name": "vanilla", "init": "uniform"},
}


def recipe(cell: str = "lstm", seed: int = 1, **changes: Any) -> dict[str, Any]:
    """A resolved recipe. changes: values by dotted keys, the dots as two underscores."""
    config: dict[str, Any] = {
        "format": 2,
        "name": "reviews",
        "seed": seed,
        "engine": "auto",
        "data": {"name": "imdb", "vocab_size": 25000, "batch_size": 64, "num_workers": 0},
        "task": {"name": "sentiment"},
        "model": {
            "inputs": {"tokens": {"name": "tokens", "size": 64}},
            "architecture": {"name": "bidirectional", "cell": CELLS[cell], "hidden_size": 64, "num_layers": 1},
            "pooling": "max_mean",
            "head": {"dropout": 0.0},
        },
        "optimizer": {"name": "adam", "lr": 0.01},
        "schedule": {"name": "one_cycle", "warmup": 0.1},
        "trainer": {"max_epochs": 4, "precision": "32-true", "enable_progress_bar": True},
        "callbacks": {},
        "tracking": {"mode": "auto", "tags": []},
    }
    for key, value in changes.items():
        *sections, last = key.split("__")
        section = config
        for name in sections:
            section[name] = dict(section.get(name, {}))
            section = section[name]
        section[last] = value
    return config


def summary(folder: Path, config: dict[str, Any], accuracy: float | None = 0.8, **changes: Any) -> dict[str, Any]:
    """A summary of a finished run whose accuracy on test is given; changes: of its keys."""
    dev = None if accuracy is None else accuracy + 0.01
    return {
        "id": folder.name,
        "recipe": config["name"],
        "seed": config["seed"],
        "status": "finished",
        "started": f"2026-01-01T00:00:{config['seed']:02}+00:00",
        "parameters": 100_000,
        "tokens": 1_000_000,
        "versions": {"rnnzoo": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "lightning": "2.6.6"},
        "scoring": {},
        "data": {
            "id": "lhoestq/imdb",
            "revision": "e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
            "fingerprint": "5f01" * 16,
            "sizes": {"train": 4000, "dev": 500, "test": 1000},
        },
        "train_seconds": 40.0,
        "cpu_seconds": 38.0,
        "steps": 252,
        "epochs": 4,
        "engine": [{"layer": "0", "cell": "LSTMCell", "direction": "forward", "path": "native", "why": "fastest"}],
        "best": {"monitor": "val/accuracy", "mode": "max", "score": dev, "epoch": 3},
        "metrics": {"best/accuracy": dev, "best/loss": 0.5, "test/accuracy": accuracy, "test/loss": 0.55},
    } | changes


def records(last: float = 0.8, epochs: int = 4) -> list[dict[str, Any]]:
    """Lines of a metrics.jsonl: the dev accuracy grows evenly to `last`, an epoch of 63 steps in 10 seconds."""
    lines = []
    for epoch in range(epochs):
        done = epoch + 1
        at = {"step": 63 * done, "epoch": epoch, "time": 10.0 * done, "tokens_seen": 250_000 * done}
        at |= {"train_seconds": 10.0 * done, "cpu_seconds": 9.5 * done}
        lines += [at | {"val/accuracy": last * done / epochs, "val/loss": 1 / done}, at | {"train/loss": 0.9 / done}]
    return lines


def make_run(
    folder: Path,
    cell: str = "lstm",
    seed: int = 1,
    accuracy: float | None = 0.8,
    facts: dict[str, Any] | None = None,
    lines: list[dict[str, Any]] | None = None,
    **changes: Any,
) -> Path:
    """A finished run in `folder`. facts: keys of its summary. lines: of its metrics. changes: as of `recipe`."""
    folder.mkdir(parents=True)
    config = recipe(cell, seed, **changes)
    (folder / "config.yaml").write_text(dump(config))
    (folder / "summary.json").write_text(json.dumps(summary(folder, config, accuracy, **(facts or {}))))
    lines = records(accuracy or 0.0) if lines is None else lines
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def six_runs(root: Path) -> Path:
    """Runs of lstm, gru and vanilla, two seeds each, under root/runs."""
    for cell, accuracies in {"lstm": (0.82, 0.84), "gru": (0.80, 0.81), "vanilla": (0.60, 0.70)}.items():
        for seed, accuracy in enumerate(accuracies, 1):
            make_run(root / "runs" / "reviews" / f"{cell}-{seed}", cell, seed, accuracy)
    return root / "runs"
