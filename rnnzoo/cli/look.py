"""`rnnzoo look`: a first look at a recipe's data, before a training."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console
from rnnzoo.system.files import JsonObject
from rnnzoo.system.quantities import percent

EXAMPLE = "rnnzoo look quickstart"
SHOWN = 20  # labels, or features


def add_arguments(parser: Parser) -> None:
    parser.usage = "rnnzoo look RECIPE [--json] [--KEY.KEY VALUE ...]"
    parser.takes_keys = True
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name from `rnnzoo list recipes`")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--KEY.KEY", metavar="VALUE", help="a key of the recipe, such as --data.train reviews.csv")


def run(arguments: Namespace) -> int:
    from rnnzoo import recipe as recipes

    raw = recipes.read(arguments.recipe, arguments.overrides)
    from rnnzoo.experiment.look import look
    from rnnzoo.experiment.resolver import resolve

    facts = look(resolve(raw))
    if arguments.json:
        console.print_json(facts, indent=2)
    else:
        _show(facts)
    return 0


def _show(facts: JsonObject) -> None:
    identity = facts["data"]
    revision = f", revision {identity['revision'][:12]}" if identity.get("revision") else ""
    console.print(f"{facts['recipe']}: {console.inline(identity['id'])}{revision} ({facts['form']})\n")
    console.table(_parts(facts))
    if facts["labels"]:
        console.print()
        console.table(_labels(facts["labels"]), "Labels")
    for part, numbers in facts["numbers"].items():
        console.print()
        console.table(_numbers(numbers["features"]), f"Numbers of {part}")
    console.print()
    for remark in facts["remarks"] or ["Nothing odd was found."]:
        console.print(f"- {console.inline(remark)}")
    if facts["suggestions"]:
        words = [
            f"{name}: {value} (now {_said(facts['settings'][name])})" for name, value in facts["suggestions"].items()
        ]
        console.print(f"\nTo begin with: {', '.join(words)}")


def _said(value: object) -> str:
    return "none" if value is None else str(value)


def _parts(facts: JsonObject) -> list[list[object]]:
    """Rows, lengths, unknown tokens and empty rows of each part."""
    lengths = facts["lengths"]
    quantiles = list(next(iter(lengths.values()))) if lengths else []
    tokens = facts["vocabulary"] is not None
    head: list[object] = ["part", "rows", *(f"length {name}" for name in quantiles)]
    rows = [head + (["unknown"] if tokens else []) + ["empty"]]
    for part, count in facts["rows"].items():
        row: list[object] = [part, count, *(lengths[part][name] for name in quantiles)]
        rows.append(row + ([percent(facts["unknown_share"][part])] if tokens else []) + [facts["empty"][part]])
    return rows


def _labels(labels: dict[str, dict[str, int]]) -> list[list[object]]:
    """The most frequent labels, each with its count in every part."""
    train = labels["train"]
    names = sorted(train, key=train.__getitem__, reverse=True)
    rows: list[list[object]] = [["label", *labels, "share of train"]]
    total = sum(train.values()) or 1
    for name in names[:SHOWN]:
        rows.append([name, *(own[name] for own in labels.values()), percent(train[name] / total)])
    if len(names) > SHOWN:
        rest = names[SHOWN:]
        rows.append([f"{len(rest)} more", *(sum(own[name] for name in rest) for own in labels.values()), ""])
    return rows


def _numbers(features: dict[str, dict[str, object]]) -> list[list[object]]:
    """The range of each feature."""
    columns = ("min", "mean", "max", "missing")
    rows: list[list[object]] = [["feature", *columns]]
    for name, own in list(features.items())[:SHOWN]:
        rows.append([name, *("" if own[key] is None else own[key] for key in columns)])
    if len(features) > SHOWN:
        rows.append([f"{len(features) - SHOWN} more", "", "", "", ""])
    return rows
