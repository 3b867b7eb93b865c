"""What is known of a run beside its scores: its name, parts, versions, data, and what it is computed with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch

from rnnzoo import __version__, registry
from rnnzoo import recipe as recipes
from rnnzoo.data.datamodule import ZooData
from rnnzoo.recipe.schema import part_kind, signature
from rnnzoo.system import capability, provenance
from rnnzoo.training.module import ZooModule


def run_name(recipe: Mapping[str, Any]) -> str:
    """What tells a run from others in a list: "imdb_bilstm-bidirectional-gru-seed2"."""
    architecture = recipe["model"]["architecture"]
    cell = architecture.get("cell")
    names = [recipe["name"], architecture["name"], cell.get("name") if isinstance(cell, dict) else None]
    return "-".join(dict.fromkeys([*filter(None, names), f"seed{recipe['seed']}"]))


def used_parts(recipe: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every registered part that a recipe names: kind, name, distribution and version."""
    found = {("datasets", recipe["data"]["name"]), ("tasks", recipe["task"]["name"])}

    def walk(component: Any, kind: str) -> None:
        name = component if isinstance(component, str) else component["name"]
        found.add((kind, name))
        cls = registry.load(kind, name)
        for key, parameter in signature(cls).items():
            inner = part_kind(parameter.annotated)
            value = parameter.default if isinstance(component, str) else component.get(key)
            if inner and value is not None:
                walk(value, inner)

    for component in (recipe["model"]["architecture"], recipe["model"]["character_encoder"]):
        if component is not None:
            walk(component, "architectures")
    return [registry.find(kind, name)._asdict() | {"name": name} for kind, name in sorted(found)]


def versions(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Of python, torch, lightning, rnnzoo, and of each plugin that the recipe uses."""
    plugins = {part["distribution"]: part["version"] for part in used_parts(recipe)}
    return plugins | {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "lightning": pl.__version__,
        "rnnzoo": __version__,
    }


def run_facts(recipe: Mapping[str, Any], module: ZooModule, data: ZooData) -> dict[str, Any]:
    """What is known of a run however it ends."""
    return {
        "recipe": recipe["name"],
        "seed": recipe["seed"],
        "digest": recipes.digest(recipe),
        "parameters": sum(p.numel() for p in module.model.parameters()),
        "versions": versions(recipe),
        "scoring": module.task.metric_signatures(),
        "commit": provenance.commit(),
        "hardware": provenance.hardware(),
        "data": {
            **data.identity,
            "fingerprint": data.fingerprint,
            "sizes": data.sizes,
            "labels": data.labels,
            "truncated": data.truncated,
            "unknown_share": {part: round(share, 6) for part, share in data.unknown_share.items()},
            "notes": data.notes,
        },
    }


def computed_with(trainer: pl.Trainer, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is computed with."""
    device = trainer.strategy.root_device.type
    has = "computes in bfloat16" if capability.bfloat16(device) else "does not compute in bfloat16"
    return {
        "device": device,
        "precision": trainer.precision,
        **({"precision_reason": f"auto: this {device} {has}"} if recipe["trainer"]["precision"] == "auto" else {}),
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
    }
