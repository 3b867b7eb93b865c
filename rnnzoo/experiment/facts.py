"""The facts of a run beside its scores: its name, parts, versions, data, device and precision."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any, Literal, cast

import lightning.pytorch as pl
import torch

from rnnzoo import __version__, registry
from rnnzoo import recipe as recipes
from rnnzoo.data.datamodule import ZooData
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.schema import part_kind, signature
from rnnzoo.runs.summary import DataFacts, Hardware, Summary
from rnnzoo.system import capability, provenance
from rnnzoo.training.module import ZooModule


def run_name(recipe: Recipe) -> str:
    """A name that distinguishes a run in a list: "imdb_bilstm-bidirectional-gru-seed2"."""
    architecture = recipe["model"]["architecture"]
    cell = architecture.get("cell")
    names = [recipe["name"], architecture["name"], cell.get("name") if isinstance(cell, dict) else None]
    return "-".join(dict.fromkeys([*filter(None, names), f"seed{recipe['seed']}"]))


def used_parts(recipe: Recipe) -> list[dict[str, str]]:
    """Every registered part that a recipe names: kind, name, distribution and version."""
    parts: set[tuple[str, str]] = set()

    def walk(component: Any, kind: str) -> None:
        name = component if isinstance(component, str) else component["name"]
        parts.add((kind, name))
        for key, parameter in signature(registry.load(kind, name), registry.KINDS[kind].reserved).items():
            inner = part_kind(parameter.annotated)
            value = parameter.default if isinstance(component, str) else component.get(key)
            if inner and value is not None:
                for part in value if isinstance(value, list) else [value]:
                    walk(part, inner)

    for component, kind in _components(recipe):
        walk(component, kind)
    return [registry.find(kind, name)._asdict() | {"name": name} for kind, name in sorted(parts)]


def _components(recipe: Recipe) -> Iterator[tuple[Any, str]]:
    """The parts that a resolved recipe names, but for those inside of others, and their kinds."""
    sections = {"data": "datasets", "task": "tasks", "optimizer": "optimizers", "schedule": "schedules"}
    for section, kind in sections.items():
        yield recipe[section], kind
    yield recipe["model"]["architecture"], "architectures"
    for component in recipe["model"]["inputs"].values():
        yield component, "inputs"
    for name, settings in recipe["callbacks"].items():
        yield {"name": name, **settings}, "callbacks"
    for component in recipe["tracking"].get("also") or ():  # older runs have none
        yield component, "trackers"


def versions(recipe: Recipe) -> dict[str, str]:
    """Of python, torch, lightning, rnnzoo, and of each plugin that the recipe uses."""
    plugins = {part["distribution"]: part["version"] for part in used_parts(recipe)}
    return plugins | {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "lightning": pl.__version__,
        "rnnzoo": __version__,
    }


def run_facts(recipe: Recipe, module: ZooModule, data: ZooData) -> Summary:
    """The facts of a run that hold however it ends."""
    return {
        "recipe": recipe["name"],
        "seed": recipe["seed"],
        "digest": recipes.digest(recipe),
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "versions": versions(recipe),
        "scoring": module.task.metric_signatures(),
        "directions": directions(module),
        "commit": provenance.commit(),
        "hardware": cast(Hardware, provenance.hardware()),
        "data": _data_facts(data),
    }


def directions(module: ZooModule) -> dict[str, Literal["max", "min"]]:
    """Which way each metric is better, by its name, as far as it says so."""
    said = {name: getattr(metric, "higher_is_better", None) for name, metric in module.task.metrics().items()}
    known: dict[str, Literal["max", "min"]] = {
        name: "max" if up else "min" for name, up in said.items() if up is not None
    }
    monitor, mode = module.task.monitor
    return {**known, "loss": "min", monitor: mode}


def _data_facts(data: ZooData) -> DataFacts:
    facts: DataFacts = {
        "fingerprint": data.fingerprint,
        "scored_rows": data.scored_rows,
        "sizes": data.sizes,
        "labels": data.labels,
        "truncated": data.truncated,
        "unknown_share": {part: round(share, 6) for part, share in data.unknown_share.items()},
        "notes": data.notes,
    }
    return cast(DataFacts, data.identity | facts)


def computed_with(trainer: pl.Trainer, recipe: Recipe) -> Summary:
    """The device, precision, processes and threads of a run."""
    device = trainer.strategy.root_device.type
    facts: Summary = {
        "device": device,
        "precision": trainer.precision,
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
    }
    if recipe["trainer"]["precision"] == "auto":
        does = "computes in bfloat16" if capability.bfloat16(device) else "does not compute in bfloat16"
        facts["precision_reason"] = f"auto: this {device} {does}"
    return facts
