"""rnnzoo: the model zoo of recurrent networks for PyTorch Lightning. Importing it loads nothing heavy."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rnnzoo.architectures.base import Architecture
    from rnnzoo.cells.base import Cell, LinearCell, NoiseSpec, PointwiseCell, StateSpec
    from rnnzoo.cells.wrappers import Wrapper
    from rnnzoo.data.base import Source
    from rnnzoo.errors import ZooError
    from rnnzoo.experiment.build import from_recipe
    from rnnzoo.inference.predictor import create_model, load
    from rnnzoo.registry import register
    from rnnzoo.tasks.base import Task

_PUBLIC = {
    "Architecture": "rnnzoo.architectures.base",
    "Cell": "rnnzoo.cells.base",
    "LinearCell": "rnnzoo.cells.base",
    "NoiseSpec": "rnnzoo.cells.base",
    "PointwiseCell": "rnnzoo.cells.base",
    "StateSpec": "rnnzoo.cells.base",
    "Source": "rnnzoo.data.base",
    "Task": "rnnzoo.tasks.base",
    "Wrapper": "rnnzoo.cells.wrappers",
    "ZooError": "rnnzoo.errors",
    "create_model": "rnnzoo.inference.predictor",
    "from_recipe": "rnnzoo.experiment.build",
    "load": "rnnzoo.inference.predictor",
    "register": "rnnzoo.registry",
}
__all__ = [
    "Architecture",
    "Cell",
    "LinearCell",
    "NoiseSpec",
    "PointwiseCell",
    "Source",
    "StateSpec",
    "Task",
    "Wrapper",
    "ZooError",
    "__version__",
    "create_model",
    "from_recipe",
    "load",
    "register",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'rnnzoo' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
