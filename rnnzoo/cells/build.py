"""A cell from its name, a mapping or a class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from torch import nn

from rnnzoo import registry
from rnnzoo.cells.cell import Cell
from rnnzoo.cells.named import check_names
from rnnzoo.errors import CellError, ZooError

CellLike = Annotated[Any, registry.Part("cells")]  # "lstm", {"name": "lstm", ...}, or a Cell class


def make_cell(cell: CellLike, input_size: int, hidden_size: int) -> Cell:
    """Build a cell from a name, a mapping with the name and parameters, or a class (or any callable that gives one).

    Raises: UnknownName, PluginError; CellError for anything that is not a cell, or does not build.
    """
    if isinstance(cell, nn.Module):
        raise CellError(f"a cell must be given as a class or a name, got an instance of {type(cell).__name__}.")
    parameters: dict[str, Any] = {}
    build: Callable[..., Any]
    if isinstance(cell, Mapping):
        parameters = {key: value for key, value in cell.items() if key != "name"}
        cell = cell["name"]
    build = registry.load("cells", cell) if isinstance(cell, str) else cell
    name = registry.whose("cells", build) if isinstance(build, type) else repr(build)
    if isinstance(build, type) and not issubclass(build, Cell):
        raise CellError(f"{name} is not a rnnzoo.Cell.\n  Its bases: {', '.join(c.__name__ for c in build.__bases__)}.")
    try:
        built = build(input_size, hidden_size, **parameters)
    except (ZooError, MemoryError):
        raise
    except Exception as cause:  # the constructor of a plugin's cell may raise anything
        message = (str(cause).splitlines() or [""])[0]
        raise CellError(f"{name} cannot be built: {type(cause).__name__}: {message}") from cause
    if not isinstance(built, Cell):
        raise CellError(f"{name} gave a {type(built).__name__}, not a rnnzoo.Cell.")
    _check_built(name, built)
    return built


def _check_built(name: str, cell: Cell) -> None:
    if "_parameters" not in vars(cell) or not hasattr(cell, "hidden_size"):
        raise CellError(f"{name} was built without super().__init__(input_size, hidden_size).")
    check_names([spec.name for spec in cell.state_specs()], name, "state")
    for parameter_name, parameter in cell.named_parameters():
        lazy = isinstance(parameter, nn.parameter.UninitializedParameter)
        real = type(parameter) is nn.Parameter and parameter.device.type != "meta"  # not a fake one, without numbers
        if lazy or (real and bool(parameter.detach().sum().isnan())):
            raise CellError(f"{name} left its parameter '{parameter_name}' without numbers.\n  Fill it in __init__.")
