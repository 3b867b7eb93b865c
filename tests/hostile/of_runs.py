"""Files of a run that `show`, `results` and `compare` read."""

from __future__ import annotations

import json
import os

from making import (
    DEEP,
    EVIL,
    HUGE_INT,
    NESTED,
    PICKLE,
    QUICKSTART,
    YAML_BOMB,
    Entry,
    Make,
    run_with,
    sparse,
    special,
    writes,
)


def shown() -> dict[str, Entry]:
    """Files of a run that `show`, `results` and `compare` read."""
    made: dict[str, Make] = {}
    for file in ("summary.json", "config.yaml"):
        for name, content in {
            "deep": DEEP,
            "nested": NESTED,
            "no UTF-8": b"\xff\xfe\xff",
            "a pickle": PICKLE,
            "a number of many digits": HUGE_INT,
            "half of a character": b'{"a": "\\ud800"}',
            "a tag that calls": b"!!python/object/apply:os.system ['touch executed']",
        }.items():
            made[f"a {file} that is {name}"] = run_with(writes(file, content))
        made |= {f"a {file} that is {name}": run_with(make, without=file) for name, make in special(file).items()}
        made[f"a {file} of a terabyte"] = run_with(sparse(file))
    made["a config.yaml that is a bomb"] = run_with(writes("config.yaml", YAML_BOMB))
    made["a config.yaml that is a number"] = run_with(writes("config.yaml", "-1"))
    made["a summary.json that is a list"] = run_with(writes("summary.json", "[]"))
    entries = {}
    for name, make in made.items():
        entries[f"show {name}"] = Entry(make, ("show", "run"))
        entries[f"compare {name}"] = Entry(make, ("compare", "run"))
        if "summary" in name:
            entries[f"results of {name}"] = Entry(make, ("results", "run"))
    summary = json.loads((QUICKSTART / "summary.json").read_text())
    summary |= {"recipe": EVIL, "status": EVIL, EVIL: EVIL, "versions": {EVIL: EVIL}, "started": EVIL}
    summary["metrics"] = {f"test/{EVIL}": 0.5}
    compared = run_with(writes("summary.json", json.dumps(_finished(summary))))
    steering = run_with(
        writes("summary.json", json.dumps(summary)), writes("metrics.jsonl", json.dumps({EVIL: 1.0}) + "\n")
    )
    entries["show names that steer"] = Entry(steering, ("show", "run"), code=0)
    entries["show names that steer, as JSON"] = Entry(steering, ("show", "run", "--json"), code=0)
    for flags in ((), ("--json",), ("--csv",), ("--md",)):
        name = " ".join(["compare names that steer", *flags])
        entries[name] = Entry(compared, ("compare", "run", *flags), code=0)
    for name, make in special("metrics.jsonl").items():
        entries[f"compare at equal cost metrics that are {name}"] = Entry(
            run_with(make), ("compare", "run", "--at", "epoch=1")
        )
    for name, line in {"lists in a line": b'{"val/a": [' + b"[]," * 2**20 + b"[]]}", "lines": b"[]\n" * 2**21}.items():
        entries[f"compare at equal cost metrics of many {name}"] = Entry(
            run_with(writes("metrics.jsonl", line)), ("compare", "run", "--at", "epoch=1")
        )
    entries["compare at equal cost metrics of a terabyte"] = Entry(
        run_with(sparse("metrics.jsonl")), ("compare", "run", "--at", "epoch=1")
    )
    entries["compare at equal cost metrics that are deep"] = Entry(
        run_with(writes("metrics.jsonl", DEEP)), ("compare", "run", "--at", "epoch=1")
    )
    entries["show metrics in a pipe"] = Entry(run_with(lambda: os.mkfifo("metrics.jsonl")), ("show", "run"), code=0)
    entries["show metrics that are a device"] = Entry(
        run_with(lambda: os.symlink("/dev/zero", "metrics.jsonl")), ("show", "run"), code=0
    )
    return entries


def _finished(summary: dict[str, object]) -> dict[str, object]:
    """A summary that is compared: each text of it steers, and each number is as large as there are."""
    config = {"name": EVIL, "task": {"name": EVIL}, "optimizer": {EVIL: EVIL, "name": EVIL}}
    data = {"id": EVIL, "revision": EVIL, "fingerprint": EVIL, "sizes": {"test": 10**300}}
    numbers = {"metrics": {f"test/{EVIL}": 1e308, "test/loss": -1e308}, "parameters": 10**300, "cpu_seconds": 1e308}
    best = {"monitor": f"val/{EVIL}", "mode": "max", "score": 1e308, "epoch": 10**300}
    engine = [{"layer": EVIL, "path": EVIL}]
    return summary | numbers | {"status": "finished", "config": config, "data": data, "best": best, "engine": engine}
