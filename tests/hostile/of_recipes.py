"""Recipes and overrides that mean harm, or are broken."""

from __future__ import annotations

from making import DEEP, EVIL, HUGE_INT, PICKLE, YAML_BOMB, Entry, makes, sparse, special, writes

HEAD = "data: {name: toy_reviews}\ntask: {name: sentiment}\n"
CELLS = "lstm"
for _ in range(20):
    CELLS = f"{{name: residual, cell: {CELLS}}}"
RECIPES: dict[str, bytes | str] = {
    "nothing": "",
    "a list": "- data\n",
    "a text": '"\\e[2J"\n',
    "a tag that calls": "!!python/object/apply:os.system ['touch executed']\n",
    "a tag that makes an object": HEAD + "model: !!python/object/new:os.system ['touch executed']\n",
    "a tag that names code": HEAD + "model: !!python/name:os.system\n",
    "a tag that imports": HEAD + "model: !!python/module:evil\n",
    "a tag of bytes": HEAD + "name: !!binary aGFsbG8=\n",
    "a tag of its own": "%TAG ! tag:evil,2000:\n---\n" + HEAD + "name: !run x\n",
    "a bomb of aliases": YAML_BOMB,
    "an alias to itself": HEAD + "model: &a {x: *a}\n",
    "a merge key": HEAD + "model: {<<: {a: 1}}\n",
    "brackets a hundred thousand deep": DEEP,
    "braces deep": b"{a: " * 20_000,
    "indents deep": "".join(f"{' ' * n}a:\n" for n in range(400)),
    "many keys": HEAD + "".join(f"k{n}: 1\n" for n in range(20_000)),
    "many lines": HEAD + "# x\n" * 100_000,
    "null bytes": b"\0" * 1000,
    "UTF-16": HEAD.encode("utf-16"),
    "no UTF-8": b"data: {name: caf\xe9}\n",
    "half of a character": HEAD + 'name: "\\ud800"\n',
    "a key twice": HEAD + "seed: 1\nseed: 2\n",
    "a list as a key": HEAD + "[a, b]: 1\n",
    "a key that steers": HEAD + '"\\e[2J\\u202e": 1\n',
    "two documents": HEAD + "---\n" + HEAD,
    "a version of YAML": "%YAML 9.9\n---\n" + HEAD,
    "a pickle": PICKLE,
    "a zip": b"PK\x03\x04" + bytes(500),
    "an import path as a class": HEAD + "model: {class_path: os.system, init_args: {command: touch executed}}\n",
    "a target of Hydra": HEAD + "optimizer: {_target_: os.system, command: touch executed}\n",
    "an import path as a cell": HEAD + "model: {architecture: {name: lstm, cell: 'os:system'}}\n",
    "a dotted cell": HEAD + "model: {architecture: {name: recurrent, cell: evil.Cell}}\n",
    "an import path as a data set": "data: {name: evil.Source}\ntask: {name: sentiment}\n",
    "a path as a data set": "data: {name: ../../etc/passwd}\ntask: {name: sentiment}\n",
    "an import path as a callback": HEAD + "callbacks: {evil.Callback: true}\n",
    "a logger of the Trainer": HEAD + "trainer: {logger: {class_path: evil.Logger}}\n",
    "a plugin of the Trainer": HEAD + "trainer: {plugins: [evil.Plugin]}\n",
    "a profiler of the Trainer": HEAD + "trainer: {profiler: evil}\n",
    "a strategy by its path": HEAD + "trainer: {strategy: evil.Strategy}\n",
    "a name that leaves the folder": HEAD + "name: ../../../tmp/evil\nseed: x\n",
    "a name that steers": HEAD + 'name: "\\e[2J\\u202e"\nseed: x\n',
    "a seed of many digits": HEAD.encode() + b"seed: " + HUGE_INT + b"\n",
    "a million layers": HEAD
    + "model: {architecture: {name: stacked, cell: lstm, hidden_size: 8, num_layers: 1000000}}\n",
    "a network that no memory holds": HEAD + "model: {architecture: {name: lstm, hidden_size: 1000000}}\n",
    "cells in each other without end": HEAD
    + f"model: {{architecture: {{name: lstm, cell: {CELLS}, hidden_size: x}}}}\n",
    "vectors over http": HEAD + "model: {inputs: {tokens: {vectors: 'http://127.0.0.1/a'}}}\n",
    "vectors of a file address": HEAD + "model: {inputs: {tokens: {vectors: 'file:///etc/passwd'}}}\n",
    "vectors without a digest": HEAD + "model: {inputs: {tokens: {vectors: 'https://127.0.0.1/a'}}}\n",
    "vectors of a device": HEAD + "model: {inputs: {tokens: {vectors: /dev/zero}}}\n",
    "its own base": HEAD + "base: mine.yaml\n",
    "an import path as its base": HEAD + "base: evil.recipe\n",
    "a base that is no recipe": HEAD + "base: /etc/passwd\n",
    "a base that is a device": HEAD + "base: /dev/zero\n",
    "a base that is an address": HEAD + "base: https://127.0.0.1/a.yaml\n",
    "a base that is a list of lists": HEAD + "base: [[[]]]\n",
}


def recipes() -> dict[str, Entry]:
    fit = ("fit", "mine.yaml")
    entries = {name: Entry(writes("mine.yaml", content), fit) for name, content in RECIPES.items()}
    entries |= {f"a recipe that is {name}": Entry(make, fit) for name, make in special("mine.yaml").items()}
    entries |= {
        f"a base that is {name}": Entry(makes(writes("mine.yaml", HEAD + "base: b.yaml\n"), make), fit)
        for name, make in special("b.yaml").items()
    }
    entries["a recipe of a terabyte"] = Entry(sparse("mine.yaml"), fit)
    circle = makes(*(writes(f"{n}.yaml", HEAD + f"base: {(n + 1) % 40}.yaml\n") for n in range(40)))
    entries["a circle of bases"] = Entry(circle, ("fit", "0.yaml"))
    many = makes(
        writes("mine.yaml", HEAD + f"base: [{', '.join(['b.yaml'] * 20)}]\n"),
        writes("b.yaml", f"base: [{', '.join(['c.yaml'] * 20)}]\n"),
        writes("c.yaml", f"base: [{', '.join(['d.yaml'] * 20)}]\n"),
        writes("d.yaml", "seed: 1\n"),
    )
    entries["bases that multiply"] = Entry(many, fit)
    for key, value in {
        "--model": "!!python/object/apply:os.system ['touch executed']",
        "--seed": "[" * 50_000,
        "--base": "evil.yaml",
        "--model.architecture.cell": "evil:Cell",
        f"--{EVIL}": "1",
        "--a.b.c.d.e.f": EVIL,
        "--name": "&a [*a]",
    }.items():
        entries[f"an override {key.strip('-')!r:.20}"] = Entry(lambda: None, ("fit", "quickstart", key, value))
    return entries
