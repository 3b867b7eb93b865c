"""Training states that `fit --resume` reads: of a sound run, with one value changed, and a manifest that agrees."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from making import DEEP, EVIL, HUGE_INT, NESTED, PICKLE, Entry, Make, inside, makes, sealed, sparse, special, writes

RECIPE = """
data: {name: text_files, train: train.csv, batch_size: 4}
task: {name: sentiment}
model: {architecture: {name: lstm, hidden_size: 4}, inputs: {tokens: {size: 4}}}
trainer: {max_epochs: 1, enable_progress_bar: false}
tracking: {mode: disabled}
"""
State = dict[str, Any]
STEP = "run/resume/step-000000009-9"


@functools.cache
def trained() -> Path:
    """A folder with a run of one epoch in `run`, and its data."""
    from rnnzoo.cli import main

    folder, before = Path(tempfile.mkdtemp(prefix="rnnzoo-state-")), os.getcwd()
    os.chdir(folder)
    Path("train.csv").write_text("text,label\n" + "good film,a\nbad film,b\n" * 20)
    Path("mine.yaml").write_text(RECIPE)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert main(["fit", "mine.yaml", "--run_dir", "run"]) == 0
    (state,) = sorted(Path("run/resume").glob("step-*"))[-1:]
    os.rename(state, STEP)
    for older in set(Path("run/resume").iterdir()) - {Path(STEP)}:
        shutil.rmtree(older)
    os.chdir(before)
    return folder


def state(step: Make) -> Make:
    """The run, with a step in its training state's folder and a manifest that agrees then."""

    def make() -> None:
        shutil.copytree(trained(), ".", dirs_exist_ok=True)
        inside(STEP, makes(step, lambda: sealed(("state.json", "state.safetensors"))))()

    return make


def changed(change: Callable[[State], object]) -> Make:
    def step() -> None:
        whole = json.loads(Path("state.json").read_text())
        change(whole["state"])
        Path("state.json").write_text(json.dumps(whole))

    return state(step)


def at(path: str, value: Any) -> Make:
    """The state with a value at a path, as "rnnzoo/identity/parts"."""

    def change(whole: State) -> None:
        *above, last = path.split("/")
        for key in above:
            whole = whole[int(key)] if isinstance(whole, list) else whole[key]
        whole[int(last) if isinstance(whole, list) else last] = value  # type: ignore[index]

    return changed(change)


def tensors(content: bytes) -> Make:
    return state(writes("state.safetensors", content))


RECIPE_AT = "rnnzoo/identity/recipe"
RANDOM = "rnnzoo/processes/0/random"
CHANGES: dict[str, Make] = {
    "no keys": changed(lambda whole: whole.clear()),
    "steps that are a text": at("global_step", "x"),
    "steps below zero": at("global_step", -1),
    "steps beyond counting": at("global_step", 10**300),
    "no processes": at("rnnzoo/processes", []),
    "processes that are a text": at("rnnzoo/processes", EVIL),
    "a process that is null": at("rnnzoo/processes/0", None),
    "an identity that is a text": at("rnnzoo/identity", "os.system"),
    "a fingerprint of other data": at("rnnzoo/identity/data/fingerprint", EVIL),
    "an import path as a cell": at(f"{RECIPE_AT}/model/architecture", {"name": "recurrent", "cell": "evil:Cell"}),
    "a class path": at(f"{RECIPE_AT}/optimizer", {"class_path": "os.system", "command": "touch executed"}),
    "a target of Hydra": at(f"{RECIPE_AT}/schedule", {"_target_": "os.system", "command": "touch executed"}),
    "a recipe that is a tensor": at(RECIPE_AT, {"$tensor": "0"}),
    "a data set that is not there": at(f"{RECIPE_AT}/data", {"name": "text_files", "train": "/dev/zero"}),
    "a name that steers": at(f"{RECIPE_AT}/name", {EVIL: EVIL}),
    "a part of no kind": at("rnnzoo/identity/parts/0/kind", EVIL),
    "a part of a package that is not here": at(
        "rnnzoo/identity/parts/0",
        {"kind": "cells", "name": "evil", "distribution": "x; touch executed", "version": "1"},
    ),
    "a checkpoint elsewhere": at("callbacks/Checkpoints/last", "../../../elsewhere"),
    "a checkpoint that is absolute": at("callbacks/Checkpoints/best", "/etc"),
    "callbacks that are a list": at("callbacks", []),
    "loops that are a text": at("loops", EVIL),
    "a count that is a list": at("loops/fit_loop/epoch_progress/current/completed", [[]]),
    "no weights": at("state_dict", {}),
    "weights that are a text": at("state_dict/model.head.bias", EVIL),
    "weights of another": at("state_dict/model.head.bias", {"$tensor": "0"}),
    "a weight that is not there": at("state_dict/model.head.bias", {"$tensor": "99999"}),
    "no optimizer": at("optimizer_states", []),
    "averages of another shape": at("optimizer_states/0/state/$pairs/0/1/exp_avg", {"$array": "0"}),
    "a rate that is a text": at("optimizer_states/0/param_groups/0/lr", EVIL),
    "a mark that is unknown": at("epoch", {"$call": "os.system"}),
    "two marks": at("epoch", {"$tensor": "0", "$array": "0"}),
    "pairs that are no pairs": at("epoch", {"$pairs": [[1, 2, 3]]}),
    "keys that cannot be keys": at("epoch", {"$pairs": [[[1], 2]]}),
    "bytes that are none": at("epoch", {"$bytes": "zz"}),
    "NumPy's state out of range": at(f"{RANDOM}/numpy/$tuple/2", 10**6),
    "Python's state out of range": at(f"{RANDOM}/python/$tuple/1/$tuple/624", 10**6),
    "torch's state of no size": at(f"{RANDOM}/torch", {"$tensor": "0"}),
    "a metric of a text": at("rnnzoo/processes/0/metrics/0/values", {"forward": EVIL, "total": EVIL}),
    "a start that is a text": at("rnnzoo/identity/init_from", EVIL),
    "a start of other types": at("rnnzoo/identity/init_from", {"source": [EVIL], "parts": {EVIL: 1}, "versions": 1}),
    "a step to take back that is a text": at("rnnzoo/processes/0/module/before_step", EVIL),
    "a step to take back that is empty": at("rnnzoo/processes/0/module/before_step", {}),
    "counts of bad numbers that are lists": at("callbacks/Finite/skipped", [1]),
    "good states that are a number": at("callbacks/Finite/good", 3),
    "a version that is none": at("pytorch-lightning_version", EVIL),
}
GOOD_STATES = {
    "texts": [EVIL],
    "without keys": [{}],
    "a step that is a text": [{"step": EVIL, "weights": {}, "optimizer": {}, "average": None}],
    "no weights": [{"step": 1, "weights": {}, "optimizer": {}, "average": None}],
    "weights that are a list": [{"step": 1, "weights": [[]], "optimizer": [], "average": EVIL}],
}
FILES: dict[str, Make] = {
    "nothing": state(writes("state.json", "")),
    "deep": state(writes("state.json", DEEP)),
    "nested": state(writes("state.json", NESTED)),
    "tuples in each other": state(writes("state.json", '{"state":' + '{"$tuple":[' * 40 + "]}" * 40 + "}")),
    "a list": state(writes("state.json", "[]")),
    "a text": state(writes("state.json", json.dumps({"state": EVIL}))),
    "a number of many digits": state(writes("state.json", b'{"state": ' + HUGE_INT + b"}")),
    "a pickle": state(writes("state.json", PICKLE)),
    "half of a character": state(writes("state.json", '{"state": "\\ud800"}')),
    "tensors that are a pickle": tensors(PICKLE),
    "tensors that are nothing": tensors(b""),
    "tensors with a header of four exabytes": tensors((2**62).to_bytes(8, "little") + b"{}"),
    "a terabyte": state(sparse("state.json")),
    "tensors of a terabyte": state(sparse("state.safetensors")),
}


def states() -> dict[str, Entry]:
    """Training states, and what stands beside them in a run that is to go on."""
    made = CHANGES | FILES
    rolling = {f"good states, {name}": at("callbacks/Finite/good", value) for name, value in GOOD_STATES.items()}
    for file in ("state.json", "state.safetensors"):
        made |= {
            f"{file} that is {name}": state(makes(lambda file=file: os.remove(file), make))
            for name, make in special(file).items()
        }
    for name in ("metrics.jsonl", "summary.json", "wandb", "pictures", ".lock", "checkpoints"):
        for kind, make in special(name).items():
            if kind != "a folder" and not (kind != "a device" and name == "summary.json"):
                clear = lambda name=name: os.path.lexists(name) and os.rename(name, f"../{name}.before")  # noqa: E731
                made[f"{name} that is {kind}"] = makes(state(lambda: None), inside("run", makes(clear, make)))
    command = ("fit", "--resume", "run", "--trainer.max_epochs", "2")
    codes = {name: None if name.startswith("a start") else 2 for name in made}  # a start of odd facts is left out
    entries = {f"resume, {name}": Entry(make, command, codes[name], leaves=True) for name, make in made.items()}
    roll = (*command, "--bad_numbers.policy", "rollback")
    return entries | {name: Entry(make, roll, 2, leaves=True) for name, make in rolling.items()}
