"""rnnzoo: the model zoo of recurrent networks for PyTorch Lightning. Importing it loads nothing heavy.

All that a script or a plugin needs is imported from here, and conformance tests from `rnnzoo.testing`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rnnzoo.architectures.base import CAUSAL, EACH, ONE, SEQUENCE, Architecture, LayerStack
    from rnnzoo.architectures.decoder import Decoded, Decoder, DecoderState
    from rnnzoo.architectures.encoded import Encoded
    from rnnzoo.batch import Batch, DataSpec, Field
    from rnnzoo.cells.base import (
        Cell,
        CellLike,
        LinearCell,
        Named,
        NoiseSpec,
        PointwiseCell,
        State,
        StateSpec,
        make_cell,
    )
    from rnnzoo.cells.wrappers import Wrapper
    from rnnzoo.cli.hosted import Ended, run_hosted
    from rnnzoo.data.base import Columns, Source
    from rnnzoo.data.sources.embedded import Embedded
    from rnnzoo.engine.layout import Layout
    from rnnzoo.engine.recurrence import Recurrence, set_path, using_path
    from rnnzoo.engine.sequences import Sequences
    from rnnzoo.errors import CellError, DataError, PluginError, RecipeError, RunError, UnknownName, ZooError
    from rnnzoo.experiment.build import from_recipe
    from rnnzoo.inference.fit import fit
    from rnnzoo.inference.predictor import create_model, load
    from rnnzoo.inputs.base import Input
    from rnnzoo.launchers.base import Job, Launcher
    from rnnzoo.limits import (
        Count,
        Fraction,
        Layers,
        Limit,
        NonNegative,
        Positive,
        Probability,
        Seed,
        Share,
        Size,
        TopP,
        VocabSize,
        checked,
    )
    from rnnzoo.model import SequenceModel
    from rnnzoo.registry import register, unregister
    from rnnzoo.runs.trackers.base import TrackedRun, Tracker
    from rnnzoo.system.signals import ask_to_stop
    from rnnzoo.tasks.base import Output, Task
    from rnnzoo.tasks.units import Counted, Units

_PUBLIC = {
    # models and runs
    "create_model": "rnnzoo.inference.predictor",
    "fit": "rnnzoo.inference.fit",
    "from_recipe": "rnnzoo.experiment.build",
    "load": "rnnzoo.inference.predictor",
    "set_path": "rnnzoo.engine.recurrence",
    "using_path": "rnnzoo.engine.recurrence",
    # parts to subclass, and naming one without a package
    "Architecture": "rnnzoo.architectures.base",
    "Cell": "rnnzoo.cells.base",
    "Embedded": "rnnzoo.data.sources.embedded",
    "Input": "rnnzoo.inputs.base",
    "Job": "rnnzoo.launchers.base",
    "Launcher": "rnnzoo.launchers.base",
    "LayerStack": "rnnzoo.architectures.base",
    "LinearCell": "rnnzoo.cells.base",
    "PointwiseCell": "rnnzoo.cells.base",
    "Source": "rnnzoo.data.base",
    "Task": "rnnzoo.tasks.base",
    "TrackedRun": "rnnzoo.runs.trackers.base",
    "Tracker": "rnnzoo.runs.trackers.base",
    "Wrapper": "rnnzoo.cells.wrappers",
    "register": "rnnzoo.registry",
    "unregister": "rnnzoo.registry",
    # what parts are made of
    "Batch": "rnnzoo.batch",
    "CAUSAL": "rnnzoo.architectures.base",
    "CellLike": "rnnzoo.cells.base",
    "Columns": "rnnzoo.data.base",
    "Count": "rnnzoo.limits",
    "Counted": "rnnzoo.tasks.units",
    "DataSpec": "rnnzoo.batch",
    "EACH": "rnnzoo.architectures.base",
    "Decoded": "rnnzoo.architectures.decoder",
    "Decoder": "rnnzoo.architectures.decoder",
    "DecoderState": "rnnzoo.architectures.decoder",
    "Encoded": "rnnzoo.architectures.encoded",
    "Field": "rnnzoo.batch",
    "Fraction": "rnnzoo.limits",
    "Layers": "rnnzoo.limits",
    "Layout": "rnnzoo.engine.layout",
    "Limit": "rnnzoo.limits",
    "Named": "rnnzoo.cells.base",
    "NoiseSpec": "rnnzoo.cells.base",
    "NonNegative": "rnnzoo.limits",
    "ONE": "rnnzoo.architectures.base",
    "Output": "rnnzoo.tasks.base",
    "Positive": "rnnzoo.limits",
    "Probability": "rnnzoo.limits",
    "Recurrence": "rnnzoo.engine.recurrence",
    "SEQUENCE": "rnnzoo.architectures.base",
    "Seed": "rnnzoo.limits",
    "SequenceModel": "rnnzoo.model",
    "Sequences": "rnnzoo.engine.sequences",
    "Share": "rnnzoo.limits",
    "Size": "rnnzoo.limits",
    "State": "rnnzoo.cells.base",
    "StateSpec": "rnnzoo.cells.base",
    "TopP": "rnnzoo.limits",
    "Units": "rnnzoo.tasks.units",
    "VocabSize": "rnnzoo.limits",
    "checked": "rnnzoo.limits",
    "make_cell": "rnnzoo.cells.base",
    # a command within a program of another kind
    "Ended": "rnnzoo.cli.hosted",
    "ask_to_stop": "rnnzoo.system.signals",
    "run_hosted": "rnnzoo.cli.hosted",
    # what goes wrong
    "CellError": "rnnzoo.errors",
    "DataError": "rnnzoo.errors",
    "PluginError": "rnnzoo.errors",
    "RecipeError": "rnnzoo.errors",
    "RunError": "rnnzoo.errors",
    "UnknownName": "rnnzoo.errors",
    "ZooError": "rnnzoo.errors",
}
__all__ = [
    "CAUSAL",
    "EACH",
    "ONE",
    "SEQUENCE",
    "Architecture",
    "Batch",
    "Cell",
    "CellError",
    "CellLike",
    "Columns",
    "Count",
    "Counted",
    "DataError",
    "DataSpec",
    "Decoded",
    "Decoder",
    "DecoderState",
    "Embedded",
    "Encoded",
    "Ended",
    "Field",
    "Fraction",
    "Input",
    "Job",
    "Launcher",
    "LayerStack",
    "Layers",
    "Layout",
    "Limit",
    "LinearCell",
    "Named",
    "NoiseSpec",
    "NonNegative",
    "Output",
    "PluginError",
    "PointwiseCell",
    "Positive",
    "Probability",
    "RecipeError",
    "Recurrence",
    "RunError",
    "Seed",
    "SequenceModel",
    "Sequences",
    "Share",
    "Size",
    "Source",
    "State",
    "StateSpec",
    "Task",
    "TopP",
    "TrackedRun",
    "Tracker",
    "Units",
    "UnknownName",
    "VocabSize",
    "Wrapper",
    "ZooError",
    "__version__",
    "ask_to_stop",
    "checked",
    "create_model",
    "fit",
    "from_recipe",
    "load",
    "make_cell",
    "register",
    "run_hosted",
    "set_path",
    "unregister",
    "using_path",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'rnnzoo' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
