"""The text of a C file, from the description of a model: constants, weights, functions of the cells, the runtime."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnzoo.export.base import Exported
from rnnzoo.export.c.cells import CWriter, helpers, layer_facts
from rnnzoo.export.c.weights import ALPHABET, PIECE, Weights
from rnnzoo.export.web import parts

HERE = Path(__file__).parent
Facts = Mapping[str, Any]
ARGUMENT = {"values": "const float *", "tokens": "const int *", "case": "const int *", "characters": "const int *"}
MERGES = {"concat": "RNN_CONCAT", "sum": "RNN_SUM", "mean": "RNN_MEAN", "product": "RNN_PRODUCT"}
POOLS = {"last": "RNN_LAST", "mean": "RNN_POOL_MEAN", "max": "RNN_MAX", "max_mean": "RNN_MAX_MEAN"}
POOLS |= {"attention": "RNN_ATTENTION"}


def source(exported: Exported, weights: Weights) -> str:
    """The file of a model. Raises: ZooError for a part that has no form in C, with the reason."""
    writer = CWriter(weights)
    facts = parts.model(exported.model, writer)
    stacks = [facts["stack"], *(part["stack"] for part in facts["inputs"] if "stack" in part)]
    blocks = [
        _about(exported),
        "#include <math.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>",
        "\n".join(f"#define RNN_{name} {value}" for name, value in _constants(exported, facts, stacks, weights)),
        "typedef void rnn_function(int H, const float *const *given, float *const *made);",
        f'#define RNN_ALPHABET "{ALPHABET.decode()}"',
        "static const char *const RNN_TEXT[] = {\n" + ",\n".join(f'"{text}"' for text in weights.literals()) + "};",
        (HERE / "runtime.c")
        .read_text(encoding="utf-8")
        .replace("static rnn_matrix W[", f"{_shapes(weights)}\n\nstatic rnn_matrix W["),
        *helpers(writer.functions),
        *(
            f"static void rnn_program_{k}(int H, const float *const *given, float *const *made) {body}"
            for k, body in enumerate(writer.functions)
        ),
        *(_stack(stack, name) for stack, name in zip(stacks, _names(stacks), strict=True)),
        _inputs(exported, facts["inputs"], _names(stacks), weights),
        _interface(exported),
    ]
    return "\n\n".join(blocks) + "\n"


def _names(stacks: Sequence[Facts]) -> list[str]:
    return ["RNN_STACK", *(f"RNN_STACK_{k}" for k in range(1, len(stacks)))]


def _about(exported: Exported) -> str:
    """What a reader needs: what goes in, what comes out."""
    fields = [f"{name}: {_what(field.kind, field.size)}" for name, field in exported.fields.items()]
    labels = ", ".join(exported.labels[:20]) + (", ..." if len(exported.labels) > 20 else "")
    lines = [
        f"The recurrent network {exported.recipe.get('name') or 'model'} for {exported.recipe['task']['name']}.",
        "Written by rnnzoo export; C99, no library but libm:  cc -std=c99 -O2 model.c -lm",
        *fields,
        f"logits: of {labels}; then {exported.task.decoding}.",
        "With -DRNN_MAIN it is a program: a sequence a line on standard input, a line of logits for each answer.",
    ]
    return "/*\n" + "\n".join(f" * {_comment(line)}" for line in lines) + "\n */"


def _comment(line: str) -> str:
    """A text that ends no comment and is one line of ASCII."""
    return (
        line.encode("ascii", "backslashreplace").decode().replace("*/", "* /").replace("/*", "/ *").replace("\n", " ")
    )


def _what(kind: str, size: int) -> str:
    if kind == "values":
        return f"{size} numbers a step"
    return f"ids from 0 to {size - 1}" + (
        ", as many a step as the longest word has; 0 after its end" if kind == "characters" else ""
    )


def _constants(
    exported: Exported, facts: Facts, stacks: Sequence[Facts], weights: Weights
) -> Iterator[tuple[str, object]]:
    layers = [layer for stack in stacks for layer in stack["layers"]]
    pool, head = facts["pool"], facts["head"]
    one = pool is not None
    output = facts["stack"]["output"]
    tails = head.get("tails", [])
    yield "MATRICES", len(weights.shapes)
    yield "PIECE", PIECE
    yield "LARGEST", max(layer["size"] for layer in layers)
    yield "WIDEST", max(max(layer["input"], 2 * layer["output"]) for layer in layers)
    yield "MOST", layer_facts(layers)
    yield "STATE_NUMBERS", max(sum(len(x["states"]) * x["size"] for x in stack["layers"]) for stack in stacks)
    yield "FIELDS", len(facts["inputs"])
    yield "INPUT", facts["stack"]["layers"][0]["input"]
    yield "OUTPUT", output
    yield "ONE", int(one)
    yield "POOL", POOLS[pool["name"]] if one else "RNN_LAST"
    yield "POOLED", output * (2 if one and pool["name"] == "max_mean" else 1)
    yield "FEATURES", "RNN_POOLED" if one else output
    score = (pool or {}).get("score") or [{"weight": 0, "bias": 0}] * 2
    yield "SCORE", score[0]["weight"]
    yield "SCORE_BIAS", score[0]["bias"]
    yield "SCORE_OUT", score[1]["weight"]
    yield "HEAD", head["weight"]
    yield "HEAD_BIAS", _or_none(head["bias"])
    yield "TAILS", len(tails)
    yield "CLASSES", head["ends"][-1] if tails else weights.shapes[head["weight"]][0]
    numbers = [n for tail in tails for part in tail for n in (part["weight"], _or_none(part["bias"]))]
    yield "TAIL", "((const int[]){" + ", ".join(map(str, numbers or [0])) + "})"
    yield "STREAMS", int(bool(exported.slots))


def _or_none(number: int | None) -> int:
    return -1 if number is None else number


def _shapes(weights: Weights) -> str:
    return (
        "static const rnn_shape RNN_SHAPES[] = {\n"
        + ",\n".join(f"  {{{a}, {b}, {c}}}" for a, b, c in weights.shapes)
        + "};"
    )


def _stack(stack: Facts, name: str) -> str:
    def numbers(values: Sequence[int | None]) -> str:
        return f"(const int[]){{{', '.join(str(_or_none(v)) for v in values) or '0'}}}"

    def program(number: int | None) -> str:
        return "0" if number is None else f"rnn_program_{number}"

    rows = []
    for layer in stack["layers"]:
        recur = layer["recur"] or {"weight": None, "bias": None, "blocks": 1}
        products, states = layer["products"], layer["states"]
        sizes = [layer["size"], layer["input"], layer["output"], len(layer["gates"]), len(states), layer["kept"]]
        sizes += [
            layer["allKept"],
            int(layer["reverse"]),
            recur["blocks"],
            recur["weight"],
            recur["bias"],
            len(products),
        ]
        parts_of = [", ".join(str(_or_none(size)) for size in sizes)]
        parts_of += [numbers([p["weight"] for p in products]), numbers([p["bias"] for p in products])]
        parts_of += [program(layer["project"]), program(layer["step"]), program(layer["readout"])]
        parts_of += [str(len(layer["channels"])), numbers(layer["channels"])]
        parts_of += [str(len(layer["outer"])), numbers(layer["outer"])]
        parts_of += [f"(const float[]){{{', '.join(repr(float(s['initial'])) + 'f' for s in states)}}}"]
        rows.append("  {" + ", ".join(parts_of) + "}")
    both = int(stack["bidirectional"])
    facts = f"{len(rows)}, {both}, {MERGES[stack['merge']]}, {int(stack['residual'])}, {stack['output']}"
    layers = f"static const rnn_layer {name}_LAYERS[] = {{\n" + ",\n".join(rows) + "};"
    return f"{layers}\nstatic const rnn_stack {name} = {{{name}_LAYERS, {facts}}};"


def _inputs(exported: Exported, inputs: Sequence[Facts], stacks: Sequence[str], weights: Weights) -> str:
    names = iter(stacks[1:])
    rows = []
    widths = [int(part.output_size) for part in exported.model.inputs]  # type: ignore[arg-type]  # they are Inputs
    for part, width in zip(inputs, widths, strict=True):
        windows = part.get("windows", [])
        kind = {"lookup": "RNN_LOOKUP", "values": "RNN_VALUES", "letters": "RNN_LETTERS"}[part["kind"]]
        lists = [[window[key] for window in windows] for key in ("weight", "bias")]
        lists += [[weights.shapes[n][1] // weights.shapes[part["table"]][1] for n in lists[0]]]  # letters of each
        arrays = ", ".join(f"(const int[]){{{', '.join(map(str, some)) or '0'}}}" for some in lists)
        stack = f"&{next(names)}" if "stack" in part else "0"
        rows.append(f"  {{{kind}, {part.get('table', 0)}, {width}, {len(windows)}, {arrays}, {stack}}}")
    return "static const rnn_input RNN_INPUTS[] = {\n" + ",\n".join(rows) + "};"


def _identifier(name: str) -> str:
    """A field's name as one that C takes."""
    return re.sub(r"\W", "_", name, flags=re.ASCII) + "_ids" * (name in ("case", "default", "float", "int"))


def _interface(exported: Exported) -> str:
    fields = [(_identifier(name), field) for name, field in exported.fields.items()]
    letters = any(field.kind == "characters" for _, field in fields)
    arguments = ", ".join(f"{ARGUMENT[field.kind]}{name}" for name, field in fields)
    arguments += ", int letters" if letters else ""
    shape = "RNN_CLASSES" if exported.answers_once else "(steps, RNN_CLASSES)"
    struct = "typedef struct { float number[RNN_STATE_NUMBERS]; } rnn_state;"
    answer = f"""/* Answer a sequence. logits: {shape}. state: where an earlier call ended, then this one;
 * NULL for a whole sequence. Returns 0; -1 where there is no memory; -2 for an id that the model does not know. */
int rnn_run(rnn_state *state, {arguments}, int steps, float *logits) {{
  const void *fields[] = {{{", ".join(name for name, _ in fields)}}};
  return rnn_answered(state, fields, {"letters" if letters else "0"}, steps, logits);
}}"""
    text = (HERE / "interface.c").read_text(encoding="utf-8")
    blocks = [struct, text.strip(), answer]
    if exported.slots:
        blocks.append((HERE / "stream.c").read_text(encoding="utf-8").strip())
    if len(fields) == 1 and not letters:
        ((_, field),) = fields
        kind = "float" if field.kind == "values" else "int"
        read = "strtof(text, &end)" if kind == "float" else "(int)strtol(text, &end, 10)"
        main = (HERE / "main.c").read_text(encoding="utf-8")
        width = field.size if kind == "float" else 1
        blocks.append(main.replace("KIND", kind).replace("READ", read).replace("WIDTH", str(width)).strip())
    return "\n\n".join(blocks)
