"""The card of a model on the Hub: what it is, how to use it, how it was measured, and under which terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from rnnzoo.data.forms import FORMS
from rnnzoo.publishing.package import Package
from rnnzoo.results.tables import score
from rnnzoo.runs.summary import Summary
from rnnzoo.system.console import inline

HUB_ID = re.compile(r"[\w-][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
UNSAID = "Not said. Look it up before you use or share this model."


def card(package: Package, repository: str, license: str | None, data_license: str | None) -> str:
    """The card in Markdown, under front matter in YAML. repository: owner/name. data_license: of the data, in words."""
    front = yaml.safe_dump(front_matter(package, repository, license), sort_keys=False, allow_unicode=True)
    recipe, summary = package.recipe, package.summary
    data = summary.get("data", {})
    name = _text(recipe["name"])
    architecture = recipe["model"]["architecture"]
    cell = _name(architecture.get("cell"))
    parts = [f"architecture `{_text(architecture['name'])}`", *([f"cell `{_text(cell)}`"] if cell else [])]
    if "parameters" in summary:
        parts.append(f"{summary['parameters']:,} parameters")
    labels = FORMS[package.spec.form].name.replace("_", " ")
    return f"""---
{front}---

# {name}

A recurrent network, trained with rnnzoo for the task `{_text(_name(recipe["task"]))}`:
{", ".join(parts)}. Its data are of the form {labels}.

## Use it

```python
import rnnzoo

model = rnnzoo.load("hf://{repository}")
{_usage(package)}
```

On the command line: `rnnzoo predict hf://{repository} --text "..."`, or `rnnzoo serve hf://{repository}`.
The weights are safetensors and the rest is JSON; nothing in this repository is executed.

## Scores

{_table(summary)}

{_measured(summary)}

## Data

`{_text(data.get("id") or "unknown")}`, revision `{_text(data.get("revision") or "unknown")}`{_sizes(data)}.
Licence of the data: {_text(data_license) if data_license else UNSAID}
`spec.json` holds the words and the labels of the data that the model knows.

## How it was made

`config.yaml` is the complete recipe: `rnnzoo fit config.yaml` trains it again, where the data are. {_made(summary)}
"""


def front_matter(package: Package, repository: str, license: str | None) -> dict[str, Any]:
    """The metadata that the Hub reads."""
    recipe, summary = package.recipe, package.summary
    task, architecture = _name(recipe["task"]), recipe["model"]["architecture"]
    kind = FORMS[package.spec.form].hub_task
    data = summary.get("data", {})
    source = str(data.get("id") or "unknown")
    tags = ["rnnzoo", "recurrent", task, architecture["name"], _name(architecture.get("cell"))]
    values = {name: value for name, value in _values(summary, "test/").items() if name != "loss"}
    front: dict[str, Any] = {"library_name": "rnnzoo", "license": license or "unknown"}
    front["tags"] = list(dict.fromkeys(str(tag).lower() for tag in tags if tag))
    if kind is not None:
        front["pipeline_tag"] = kind
    if HUB_ID.fullmatch(source) and not source.startswith("rnnzoo/"):
        front["datasets"] = [source]
    if values:
        front["metrics"] = list(values)
        dataset = {"name": source, "type": source, "split": "test"}
        if data.get("revision"):
            dataset["revision"] = str(data["revision"])
        metrics = [{"name": name, "type": name, "value": value} for name, value in values.items()]
        result = {"task": {"type": kind or task, "name": task}, "dataset": dataset, "metrics": metrics}
        front["model-index"] = [{"name": repository.partition("/")[2], "results": [result]}]
    return front


def _values(summary: Summary, start: str) -> dict[str, float]:
    """The scores of a part, by their names without it."""
    scores = {name: value for name, value in summary.get("metrics", {}).items() if value is not None}
    return {name.removeprefix(start): value for name, value in scores.items() if name.startswith(start)}


def _table(summary: Summary) -> str:
    test, dev = _values(summary, "test/"), _values(summary, "best/")
    if not test and not dev:
        return "This run was not scored."
    ways = {"max": "higher is better", "min": "lower is better"}
    rows = ["| Metric | Test | Dev | |", "| --- | --- | --- | --- |"]
    for name in dict.fromkeys([*test, *dev]):
        way = ways.get(summary.get("directions", {}).get(name, ""), "")
        numbers = [score(part[name], None) if name in part else "" for part in (test, dev)]
        rows.append(f"| {_text(name)} | {' | '.join(numbers)} | {way} |")
    return "\n".join(rows)


def _measured(summary: Summary) -> str:
    best, scoring = summary.get("best", {}), summary.get("scoring", {})
    chosen = f"The checkpoint was chosen by `{_text(best['monitor'])}` on dev. " if best.get("monitor") else ""
    how = "; ".join(f"{_text(name)}: {_text(way)}" for name, way in scoring.items())
    seed = f"One run, seed {summary['seed']}. " if "seed" in summary else ""
    return f"{seed}{chosen}The test part was scored once, after training.{f' Computed as: {how}.' if how else ''}"


def _sizes(data: Mapping[str, Any]) -> str:
    sizes = data.get("sizes") or {}
    return "".join(f", {count:,} {_text(part)}" for part, count in sizes.items())


def _made(summary: Summary) -> str:
    named = sorted(summary.get("versions", {}).items())
    versions = ", ".join(f"{_text(name)} {_text(version)}" for name, version in named)
    seconds = summary.get("cpu_seconds")
    cost = f"It took {seconds:,.0f} CPU-seconds. " if seconds is not None else ""
    return f"{cost}{f'Versions: {versions}.' if versions else ''}"


def _usage(package: Package) -> str:
    asked = {"text": '["a text", "another one"]', "series": "[[0.5, 0.1, 0.3]]", "sound": '["sound.wav"]'}
    return f"print(model.predict({asked[FORMS[package.spec.form].asks]}))"


def _name(part: Any) -> str:
    """The name of a part of a recipe, which is a text or a mapping."""
    return str(part["name"]) if isinstance(part, Mapping) else str(part or "")


def _text(value: object) -> str:
    """A foreign name or value within a line of Markdown: it opens no link, no tag and no cell."""
    return re.sub(r"[`\[\]<>|]", "", inline(value, 300))
