"""What a recipe cannot have with a strategy, said before its run begins."""

from __future__ import annotations

from collections.abc import Iterator

from rnnzoo import registry
from rnnzoo.recipe import Recipe
from rnnzoo.training.callbacks.averaging import Averaging
from rnnzoo.training.callbacks.gradient_flow import GradientFlow

PRECISIONS = ("auto", "32-true", "bf16-mixed")
UNSUPPORTED = {  # strategies by the beginning of their name: why not, and what to take
    "fsdp": (
        "the first process writes checkpoints, and has a part of the weights alone",
        "Take fsdp2, which shares out weights and gathers them for checkpoints, or ddp.",
    ),
    "deepspeed": (
        "DeepSpeed writes the training state itself, with pickle, which rnnzoo never reads",
        "Take fsdp2, which shares out weights and the optimizer's state as well, or ddp.",
    ),
}


def unsupported(strategy: str) -> str | None:
    """Why no recipe can have a strategy, and what to take; None where one can."""
    why = UNSUPPORTED.get(strategy.partition("_")[0])
    return why and f"trainer.strategy: '{strategy}' does not work with checkpoints: {why[0]}.\n  {why[1]}"


def mistakes(recipe: Recipe) -> Iterator[str]:
    """The parts of a recipe that need whole weights where its strategy shares them out."""
    trainer = recipe["trainer"]
    if trainer["strategy"] != "fsdp2":
        return
    for name in recipe["callbacks"]:
        part = registry.load("callbacks", name)
        if isinstance(part, type) and issubclass(part, (Averaging, GradientFlow)):
            what = "averages" if issubclass(part, Averaging) else "differentiates, in one process,"
            yield f"callbacks.{name}: {what} whole weights, which fsdp2 shares out.\n  Leave it out, or take ddp."
    thawed = [f"freeze.{part}" for part, epochs in (recipe.get("freeze") or {}).items() if epochs not in (0, "always")]
    for key in thawed:
        yield f"{key}: fsdp2 cannot share out weights that thaw.\n  Freeze them always, or take ddp."
    if recipe["bad_numbers"]["policy"] == "rollback":
        yield (
            "bad_numbers.policy: rollback keeps copies of whole weights, which fsdp2 shares out.\n"
            "  Take skip or stop, or the strategy ddp."
        )
    if trainer["precision"] not in PRECISIONS:
        yield (
            f"trainer.precision: {trainer['precision']} was not tried with fsdp2.\n"
            f"  Take {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, or the strategy ddp."
        )
    if trainer["accelerator"] in ("mps", "tpu"):
        yield f"trainer.accelerator: fsdp2 runs on cpu and cuda, not on {trainer['accelerator']}.\n  Take one of them."
