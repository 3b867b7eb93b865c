"""An ONNX file, which onnxruntime and others run: the loop over time is an ONNX Scan.

    session = onnxruntime.InferenceSession("model.onnx")
    logits, *state = session.run(None, {"tokens": tokens, "lengths": lengths, **state})

The description is the model's metadata property "rnnzoo".
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rnnzoo.errors import Unavailable, ZooError
from rnnzoo.export.base import Exported
from rnnzoo.export.format import Format, Run, plain_json
from rnnzoo.export.onnx_int8 import stored_in_eight_bits
from rnnzoo.export.pure import program

PROPERTY = "rnnzoo"
PRODUCER = "rnnzoo"


class Onnx(Format):
    """One file with its weights."""

    name, suffix, takes_int8 = "onnx", ".onnx", True

    def write(self, exported: Exported, path: Path) -> None:
        onnx = _package("onnx")
        _package("onnxscript")
        if any(slot.initial.is_complex() for slot in exported.slots) or _complex(exported.model):
            raise ZooError("format onnx cannot hold this model: its cell has complex numbers, and ONNX has none.")
        model = _converted(exported)
        stored_in_eight_bits(model, exported.rounded)
        model.producer_name = PRODUCER
        entry = model.metadata_props.add()
        entry.key, entry.value = PROPERTY, plain_json(exported.description())
        onnx.checker.check_model(model)
        onnx.save(model, str(path))

    @contextmanager
    def running(self, exported: Exported, path: Path) -> Iterator[Run]:
        runtime = _package("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        try:
            session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a class for each of its codes; a plugin's step may need any operator
            raise ZooError(f"onnxruntime does not take the file: {_line(error)}.") from error

        def run(*arguments: Tensor) -> list[Tensor]:
            named = dict(zip(exported.input_names, (a.numpy() for a in arguments), strict=True))
            return [torch.from_numpy(result) for result in session.run(list(exported.output_names), named)]

        yield run


def _complex(model: torch.nn.Module) -> bool:
    return any(t.is_complex() for t in (*model.parameters(), *model.buffers()))


def _package(name: str) -> Any:
    """Raises: Unavailable."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"format onnx needs the package {name}.\n  pip install 'rnnzoo[onnx]'") from error


def _converted(exported: Exported) -> Any:
    """The ModelProto of a model. Raises: ZooError naming what has no operator of ONNX."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                program(exported),
                dynamo=True,
                input_names=list(exported.input_names),
                output_names=list(exported.output_names),
                optimize=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ZooError(f"format onnx cannot hold this model: {_line(error.__cause__ or error)}.") from error
    finally:
        logger.setLevel(before)
    assert made is not None
    return made.model_proto


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


FORMAT = Onnx()
