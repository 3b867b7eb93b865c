"""The operations of a program: the tracer's rules, torch, C++ and Triton know the same ones."""

import pytest
import torch

from rnnzoo.engine.codegen.graph import Graph
from rnnzoo.engine.codegen.ir import (
    BINARY,
    OPERATIONS,
    ROW_SUM,
    UNARY,
    Op,
    Program,
    Ref,
    Untraceable,
    evaluate,
    is_additive,
    run,
    with_sums,
    without_unused,
)
from rnnzoo.engine.codegen.rules import RULES
from rnnzoo.engine.codegen.saved import CHEAP
from rnnzoo.engine.cpp import expressions as cpp
from rnnzoo.engine.paths.fused import LAYERS, SMOOTH
from rnnzoo.engine.triton import expressions as triton

ARITY = dict.fromkeys(UNARY, 1) | dict.fromkeys(BINARY, 2) | {"where": 3, ROW_SUM: 1}


def test_cpp_has_code_for_each_operation_that_is_not_a_loop():
    assert set(cpp.EXPRESSIONS) == set(OPERATIONS) - {ROW_SUM}
    for name in cpp.EXPRESSIONS:
        code = cpp.expression(Op(name, tuple(map(Ref, range(ARITY[name])))))
        assert all(f"v{k}" in code for k in range(ARITY[name]))


def test_triton_has_code_for_an_operation_or_refuses_it_by_name():
    assert set(triton.EXPRESSIONS) <= set(OPERATIONS)
    for name in OPERATIONS:
        op = Op(name, tuple(map(Ref, range(ARITY[name]))))
        if name in triton.EXPRESSIONS:
            assert all(f"v{k}" in triton.expression(op) for k in range(ARITY[name]))
        else:
            with pytest.raises(Untraceable, match=f"'{name}', which has no Triton code"):
                triton.expression(op)


def test_torch_computes_each_operation():
    numbers = [torch.full((2, 3), value) for value in (1.0, 0.25, 0.5)]
    assert all(evaluate(name, *numbers[: ARITY[name]]).numel() in (2, 6) for name in OPERATIONS)


def test_every_rule_comes_down_to_known_operations():
    for name, rule in RULES.items():
        graph = Graph()
        code = rule.__code__
        required = code.co_argcount - len(rule.__defaults__ or ())
        options = {"alpha": 0.7, "scale": 1.1, "input_scale": 0.9, "beta": 2.0, "threshold": 3.0, "lambd": 0.5}
        options |= {"negative_slope": 0.1, "min_val": -1.0, "max_val": 1.0, "value": 0.3, "eps": 0.1}
        options |= {"is_result": False, "self_is_result": False}
        parameters = code.co_varnames[:required]
        rule(**{key: options.get(key, graph.value("input", k)) for k, key in enumerate(parameters)})
        assert {node.name for node in graph.nodes} <= {"input", *OPERATIONS}, name


def test_lists_of_operations_name_known_ones():
    assert set(CHEAP) <= set(OPERATIONS)
    assert SMOOTH.union(*(layer.also for layer in LAYERS.values())) <= set(OPERATIONS)


def test_a_program_without_its_unused_operations_gives_the_same():
    program = Program(2, (Op("exp", (Ref(0),)), Op("add", (Ref(0), Ref(1))), Op("tanh", (Ref(3),))), (Ref(4), 0.5))
    smaller = without_unused(program)
    values = [torch.randn(2, 3), torch.randn(2, 3)]
    assert [op.name for op in smaller.ops] == ["add", "tanh"]
    assert all(torch.equal(a, b) for a, b in zip(run(smaller, values), run(program, values), strict=True))


@pytest.mark.parametrize(
    ("ops", "outputs", "additive"),
    [
        ((Op("add", (Ref(0), Ref(1))), Op("tanh", (Ref(3),))), (Ref(4),), True),
        ((Op("add", (Ref(1), Ref(0))), Op("mul", (Ref(3), Ref(2)))), (Ref(4),), True),
        ((Op("add", (Ref(0), Ref(1))), Op("mul", (Ref(3), Ref(1)))), (Ref(4),), False),
        ((Op("sub", (Ref(0), Ref(1))),), (Ref(3),), False),
        ((Op("add", (Ref(0), 1.0)), Op("add", (Ref(0), Ref(1)))), (Ref(4),), False),
        ((Op("add", (Ref(0), Ref(2))),), (Ref(3),), False),
        ((Op("add", (Ref(0), Ref(1))),), (Ref(1),), False),
    ],
)
def test_a_gate_and_its_product_become_one_input_where_they_are_only_ever_added(ops, outputs, additive):
    program = Program(3, ops, outputs)  # gx, gh, h
    assert is_additive(program, 1) == additive
    if additive:
        gx, gh, h = (torch.randn(2, 3) for _ in range(3))
        torch.testing.assert_close(run(with_sums(program, 1), [gx + gh, h]), run(program, [gx, gh, h]))
