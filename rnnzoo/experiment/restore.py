"""What a checkpoint holds: the recipe it is from, the data that the model knows, the trained network. No Lightning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from rnnzoo.batch import DataSpec
from rnnzoo.errors import RunError
from rnnzoo.experiment.network import Network, make_network
from rnnzoo.recipe import Recipe
from rnnzoo.recipe.migrations import migrate
from rnnzoo.runs import checkpoint
from rnnzoo.tasks.calibration import Calibration


def origin(saved: checkpoint.Checkpoint) -> tuple[Recipe, DataSpec]:
    """The resolved recipe that a checkpoint is from, in today's format, and the data that its model knows.

    Raises: RunError; RecipeError for a recipe that a newer rnnzoo wrote.
    """
    try:
        recipe = migrate(saved.meta["recipe"], _version(saved.meta))
        spec = DataSpec.from_json(saved.spec)
        sections = [recipe[name] for name in ("data", "task", "model", "optimizer", "schedule", "trainer")]
        parts = [part[key] for part in saved.meta["parts"] for key in ("kind", "name", "distribution", "version")]
        if not all(isinstance(section, dict) for section in sections):
            raise TypeError("a section is not a mapping")
        if not all(isinstance(text, str) for text in (*parts, recipe.get("name", ""))):
            raise TypeError("the recipe or a part is not named by a text")
        return recipe, spec
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"the checkpoint does not say how its model is built: {type(error).__name__}: {error}.\n"
            "  Its meta.json holds the recipe and its spec.json the data, where `rnnzoo fit` wrote them."
        ) from error


def _version(meta: Mapping[str, object]) -> str | None:
    """The version of rnnzoo that wrote a checkpoint, if it says so."""
    versions = meta.get("versions")
    version = versions.get("rnnzoo") if isinstance(versions, dict) else None
    return version if isinstance(version, str) else None


def restore(saved: checkpoint.Checkpoint, recipe: Recipe, spec: DataSpec) -> Network:
    """The network of a checkpoint, with its weights, in memory of about their size.

    Raises: RunError, RecipeError.
    """
    numbers = sum(weight.numel() for weight in saved.weights.values())
    try:
        with _limited(10 * len(saved.weights) + 1000, 2 * numbers + 2**24):
            network = make_network(recipe, spec)
    except (KeyError, AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise RunError(f"the checkpoint's model cannot be built: {type(error).__name__}: {error}.") from error
    checkpoint.apply(network.model, saved)
    network.task.calibration = Calibration.from_meta(saved.meta, network.task.class_names())
    return network


@contextmanager
def _limited(parts: int, numbers: int) -> Iterator[None]:
    """Refuse to build a network of more parts, or more numbers, than its weights can belong to. Raises: RunError.

    A weight is counted before it is given values: until then an operating system lends it no memory.
    """
    built = counted = 0

    def count_part(module: nn.Module, name: str, part: nn.Module | Tensor | None) -> None:
        nonlocal built, counted
        built += 1
        counted += part.numel() if isinstance(part, Tensor) else 0
        if built > parts:
            raise RunError("the checkpoint's recipe builds more layers than the checkpoint has weights for.")
        if counted > numbers:
            raise RunError("the checkpoint's recipe builds a larger network than the checkpoint has weights for.")

    hooks = [
        nn.modules.module.register_module_parameter_registration_hook(count_part),
        nn.modules.module.register_module_buffer_registration_hook(count_part),
        nn.modules.module.register_module_module_registration_hook(count_part),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
