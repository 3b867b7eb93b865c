"""Matrices of an ONNX model in 8 bits: whole numbers, times a scale for each row.

They are multiplied by Cast and Mul, which a runtime does once, when it loads the file. Of DequantizeLinear onnxruntime
makes products in 8 bits, whose inputs it rounds as well.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from rnnzoo.export.rounding import Rounded, Whole


def stored_in_eight_bits(model: Any, rounded: Rounded) -> int:
    """Store the matrices of a ModelProto that are `rounded`, or such transposed, in 8 bits. Returns how many.

    They are found by their numbers: an exporter may have transposed them, and given them other names.
    """
    from onnx import TensorProto, helper, numpy_helper

    by_shape: dict[tuple[int, ...], list[tuple[Whole, bool]]] = defaultdict(list)
    for whole in rounded.values():
        by_shape[tuple(whole.whole.shape)].append((whole, False))
        if whole.whole.dim() == 2:
            by_shape[tuple(whole.whole.shape)[::-1]].append((whole, True))
    kept, nodes, made = [], [], 0
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        match = next((pair for pair in by_shape.get(values.shape, []) if _same(values, *pair)), None)
        if match is None:
            kept.append(tensor)
            continue
        whole, transposed = match
        numbers = whole.whole.numpy()
        numbers = np.ascontiguousarray(numbers.T) if transposed else numbers
        name = tensor.name
        kept.append(numpy_helper.from_array(numbers, f"{name}.int8"))
        scale = whole.scale.numpy()
        scale = scale[None] if transposed else scale.reshape(-1, *[1] * (numbers.ndim - 1))
        kept.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.int8"], [f"{name}.whole"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]))
        made += 1
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    after = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(after)
    return made


def _same(values: np.ndarray, whole: Whole, transposed: bool) -> bool:
    expected = whole.value.numpy()
    return np.array_equal(values, expected.T if transposed else expected)
