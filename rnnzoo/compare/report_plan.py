"""What a report on W&B shows of a comparison, as plain JSON: kept in a file where it cannot be sent at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TypedDict, cast

from rnnzoo.compare.comparison import Comparison
from rnnzoo.errors import RunError, ZooError
from rnnzoo.system import files
from rnnzoo.system.console import inline

FORMAT = 1
LIMIT = 2**20  # bytes of a plan
RUN_ID = re.compile(r"[\w-]{1,128}", re.ASCII)
TITLE = 100  # characters


class GroupPlan(TypedDict):
    """A group: its name, its runs' ids on W&B, and what differs from the others as texts by key."""

    name: str
    runs: list[str]
    settings: dict[str, str]


class Plan(TypedDict):
    """A report. sentences: the verdicts and notes. metrics: curves that are drawn, as "val/accuracy"."""

    format: int
    entity: str
    project: str
    title: str
    sentences: list[str]
    main: str
    metrics: list[str]
    groups: list[GroupPlan]


def plan(comparison: Comparison, entity: str, project: str) -> Plan:
    """The report of a comparison in a project of W&B's. Raises: RunError if none of its runs has a run of W&B's."""
    groups: list[GroupPlan] = []
    for group in comparison.groups:
        known = [str(run.wandb_id) for run in group.runs if RUN_ID.fullmatch(run.wandb_id)]
        if known:
            settings = {comparison.keys[key]: inline(str(value), 80) for key, value in group.settings.items()}
            groups.append({"name": inline(group.name, 80), "runs": known, "settings": settings})
    if not groups:
        raise RunError("no run of this comparison was logged to W&B: there is nothing that a report there could show.")
    tail = comparison.main.name.rpartition("/")[2]
    names = " and ".join(group["name"] for group in groups[:3])
    return {
        "format": FORMAT,
        "entity": entity,
        "project": project,
        "title": inline(f"{comparison.task}: {names}", TITLE),
        "sentences": [inline(str(text), 500) for text in (comparison.data, *comparison.verdicts, *comparison.notes)],
        "main": comparison.main.name,
        "metrics": [*dict.fromkeys((f"val/{tail}", "val/loss", "train/loss"))],
        "groups": groups,
    }


def write(path: Path, report: Plan) -> None:
    files.write_text(path, json.dumps(report, indent=2) + "\n")


def read(path: Path) -> Plan:
    """A plan from a file. Raises: ZooError for what is none."""
    try:
        found = json.loads(files.read_bytes(path, LIMIT))
    except OSError as error:
        raise ZooError(f"cannot read {path}: {files.reason(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise ZooError(f"cannot read {path}: it is no JSON.") from error
    if not _is_plan(found):
        raise ZooError(f"{path} is no report that `rnnzoo compare --report ENTITY/PROJECT` kept.")
    return cast(Plan, found)


def _is_plan(value: object) -> bool:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return False
    words = all(isinstance(value.get(key), str) for key in ("entity", "project", "title", "main"))
    lists = all(_texts(value.get(key)) for key in ("sentences", "metrics"))
    groups = value.get("groups")
    return words and lists and isinstance(groups, list) and all(map(_is_group, groups))


def _is_group(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return False
    runs, settings = value.get("runs"), value.get("settings")
    ids = isinstance(runs, list) and all(isinstance(run, str) and RUN_ID.fullmatch(run) for run in runs)
    return ids and isinstance(settings, dict) and _texts([*settings, *settings.values()])


def _texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
