"""What the command line prints of parts, recipes and runs. Listing imports no part; runs are read without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnzoo import __version__, registry
from rnnzoo.errors import UnknownName, nearest, unknown

LISTS = (*registry.KINDS, "recipes", "models")  # models: those that are trained and shipped
HEADER: tuple[str, ...] = ("KIND", "NAME", "DISTRIBUTION", "VERSION")
COMBINATION: tuple[str, ...] = ("TASK", "NEEDS", "ARCHITECTURES")
TAIL = 3  # lines of metrics.jsonl


def table(rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print columns side by side, under a title."""
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if title:
        print(title)
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def printable(value: Any) -> str:
    """A value in one line of a terminal, without control characters: what stands in a file moves no cursor."""
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1000 or not value else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(key)} {printable(item)}" for key, item in value.items())
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def amount(value: float, unit: str = "") -> str:
    """A count with its thousands apart, and its unit: "1,000 steps", "1 step"."""
    return f"{value:,} {unit}".rstrip() + ("" if value == 1 or not unit else "es" if unit.endswith("s") else "s")


def duration(seconds: float) -> str:
    """A time as people say it: "0.4 s", "8.6 s", "42 s", "2 min 5 s", "3 h 20 min"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 and seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" + (f" {rest} s" if rest else "")


def roughly(seconds: float) -> str:
    """An estimate of a time: "40 s", "3 min", "2 h 10 min"."""
    step = 1 if seconds < 90 else 60 if seconds < 3600 else 600
    return duration(max(1, round(seconds / step)) * step)


def size(count: float) -> str:
    """Bytes in the unit that suits: "1.2 GiB", "640 MiB"."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def percent(share: float) -> str:
    """A share in per cent; a small one keeps a digit that is not nought."""
    return f"{100 * share:.1f} %" if share >= 5e-4 or not share else f"{100 * share:.1g} %"


def short(path: Path) -> Path:
    """The path from the current directory, where it is below that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


# -- parts and recipes ----------------------------------------------------------------------------------------------


def kind_of(word: str) -> str:
    """The list that a word names, in the singular or the plural. Raises: UnknownName."""
    kinds = {kind.removesuffix("s"): kind for kind in LISTS} | {kind: kind for kind in LISTS}
    if word in kinds:
        return kinds[word]
    match = nearest(word, kinds)
    hint = f"\n  Did you mean '{match}'?" if match else ""
    raise UnknownName(f"no kind of part is named '{word}'.{hint}\n  Kinds: {', '.join(LISTS)}.")


def listed(kind: str) -> list[dict[str, str]]:
    """The names of one kind, each with its kind, the distribution that brings it, its version and its place."""
    if kind in ("recipes", "models"):
        from rnnzoo import pretrained, recipe

        places = recipe.shipped() if kind == "recipes" else pretrained.shipped()
        house = {"kind": kind.removesuffix("s"), "distribution": registry.HOUSE, "version": __version__}
        return [{**house, "name": name, "value": str(short(path))} for name, path in places.items()]
    return [entry._asdict() | {"kind": registry.SINGULAR[kind]} for entry in registry.entries(kind)]


def combinations() -> list[dict[str, str]]:
    """Each task, the shape of answer it needs, and the architectures that give it by default. Imports all of them."""
    from rnnzoo.resolver import able_to, loadable

    return [
        {"task": name, "needs": task.needs, "architectures": ", ".join(able_to(task.needs))}
        for name, task in loadable("tasks")
    ]


def show_recipe(name: str) -> None:
    """Print a recipe's file. Raises: RecipeError."""
    from rnnzoo import recipe

    print(recipe.locate(name).read_text(encoding="utf-8"), end="")


def show_model(name: str) -> None:
    """Print a shipped model's card. Raises: UnknownName."""
    from rnnzoo import pretrained

    place = pretrained.find(name)
    if place is None:
        raise UnknownName(unknown("no trained model is shipped as", name, pretrained.names()))
    print((place / "README.md").read_text(encoding="utf-8"), end="")


def show_part(kind: str, name: str) -> None:
    """Print whose a part is, its docstring, its parameters and its source. Raises: UnknownName, PluginError."""
    import inspect

    entry = registry.find(kind, name)
    cls = registry.load(kind, name)
    whose = f"{entry.value}, {entry.distribution} {entry.version}".rstrip()
    print(
        f"{registry.SINGULAR[kind]} {entry.name}: {whose}\n\n{inspect.getdoc(cls) or '(no docstring)'}\n\nParameters:"
    )
    table(_parameters(kind, cls))
    print("\nSource:")
    try:
        print(inspect.getsource(cls), end="")
    except (OSError, TypeError):
        print("  not available")


def _parameters(kind: str, cls: Any) -> list[tuple[str, ...]]:
    """Name, type and default of what a recipe may set of a part; for a data set, that of its form too."""
    from rnnzoo.resolver import GIVEN_BY
    from rnnzoo.schema import described, part_kind, signature

    classes = [cls]
    if kind == "datasets":
        from rnnzoo.data.forms import FORMS

        classes += [FORMS[cls.form]] if getattr(cls, "form", None) in FORMS else []
    rows: list[tuple[str, ...]] = []
    for owner in classes:
        try:
            found = signature(owner, GIVEN_BY[kind])
        except ValueError as error:
            return [(f"cannot be read: {error}",)]
        for name, parameter in found.items():
            inner = part_kind(parameter.annotated)
            what = f"one of the {inner}" if inner else described(parameter.annotated)
            rows.append((name, what, "required" if parameter.required else f"= {json.dumps(parameter.default)}"))
    return rows or [("none",)]


# -- runs -----------------------------------------------------------------------------------------------------------


def show_header(facts: Mapping[str, Any], recipe: Mapping[str, Any], folder: Path) -> None:
    """Print what a run is about to train on, and what: the last moment to see that it is not what was meant."""
    data = facts["data"]
    rows: list[tuple[str, Any]] = [("data", _identity(data)), ("examples", _sizes(data["sizes"]))]
    rows += _text_rows(data)
    rows += [("model", _model(recipe)), ("parameters", facts["parameters"]), ("device", _device(facts))]
    table([*rows, ("run", short(folder))], f"{facts['recipe']}, seed {facts['seed']}")
    print(flush=True)


def _text_rows(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and their counts, what was cut and what is unknown: as far as there is any."""
    sizes = _mapping(data, "sizes")
    found = {
        "labels": _labels(_mapping(data, "labels")),
        "truncated": _parts(
            {part: count / sizes[part] for part, count in _mapping(data, "truncated").items() if sizes.get(part)},
            "of the examples",
        ),
        "unknown": _parts(_mapping(data, "unknown_share"), "of the tokens"),
    }
    return [(name, value) for name, value in found.items() if value]


LABELS = 12  # that are named


def _labels(counts: Mapping[str, int]) -> str:
    """ "neg 11,250, pos 11,250"; in quotes, where their edges or their cases could mislead."""
    alike = len({name.strip().casefold() for name in counts}) < len(counts)
    quoted = alike or any(name != name.strip() or not name for name in counts)
    told = [f"{name!r} {count:,}" if quoted else f"{name} {count:,}" for name, count in counts.items()]
    more = [f"... ({len(told):,} labels)"] if len(told) > LABELS else []
    warning = "; some differ in case or blanks alone" if alike else ""
    return ", ".join(told[:LABELS] + more) + warning


def _parts(shares: Mapping[str, float], what: str) -> str:
    """ "train 3.1 %, test 2.9 % of the examples", without the parts that have none."""
    told = [f"{part} {percent(share)}" for part, share in shares.items() if share]
    return f"{', '.join(told)} {what}" if told else ""


def _identity(data: Mapping[str, Any]) -> str:
    revision = data.get("revision")
    return str(data.get("id")) + (f", revision {str(revision)[:12]}" if revision else "")


def _sizes(sizes: Mapping[str, Any]) -> str:
    return ", ".join(f"{part} {printable(count)}" for part, count in sizes.items())


def _model(recipe: Mapping[str, Any]) -> str:
    """ "bidirectional, cell lstm, hidden size 64, 1 layer": the network in words."""
    return ", ".join(_words(_mapping(_mapping(recipe, "model"), "architecture")))


def _words(component: Mapping[str, Any]) -> list[str]:
    """A component's name, the parts in it, and its sizes; what is off or not given is left out."""
    told = [str(component.get("name", "?"))]
    for key, value in component.items():
        word = key.replace("_", " ")
        if isinstance(value, Mapping) and "name" in value:
            told.append(f"{word} {value['name']}")
        elif key == "num_layers":
            told.append(amount(value, "layer") if isinstance(value, int) else f"{word} {value}")
        elif key.endswith("_size") or key in ("dropout", "attention"):
            told += [f"{word} {printable(value)}"] if value else []
        elif key == "cell":
            told.append(f"{word} {value}")
    return told


def _device(facts: Mapping[str, Any]) -> str:
    """ "cpu (AMD EPYC), 32-true precision, 1 thread, 2 processes"."""
    hardware = _mapping(facts, "hardware")
    name = hardware.get("cpu") if facts.get("device") == "cpu" else hardware.get("gpu")
    told = [str(facts.get("device")) + (f" ({name})" if name else "")]
    told += [f"precision {facts['precision']}"] if "precision" in facts else []
    counts = ((facts.get(key), unit) for key, unit in (("threads", "thread"), ("processes", "process")))
    told += [amount(count, unit) for count, unit in counts if isinstance(count, int)]
    return ", ".join(told)


def show_result(summary: Mapping[str, Any], folder: Path) -> None:
    """Print the one table of a run that has just finished."""
    scores = [(name, value) for name, value in summary["metrics"].items() if isinstance(value, float)]
    speed = summary["throughput"]["tokens_per_second"]
    vectors = [("word vectors", _coverage(summary["vectors"]))] if "vectors" in summary else []
    table(
        [
            *scores,
            ("parameters", summary["parameters"]),
            *vectors,
            ("training", f"{summary['train_seconds']:.1f} s" + (f", {speed:,.0f} tokens/s" if speed else "")),
            ("engine", "; ".join(sorted({f"{layer['cell']}: {layer['path']}" for layer in summary["engine"]}))),
            ("W&B", _tracker(summary["wandb"], folder)),
            ("run", short(folder)),
        ],
        f"{summary['recipe']}, seed {summary['seed']}",
    )


def _coverage(vectors: Mapping[str, Any]) -> str:
    types, tokens = (f"{100 * vectors[key]:.1f} %" for key in ("types", "tokens"))
    return f"for {types} of the vocabulary, {tokens} of the training tokens"


def show_run(told: Mapping[str, Any]) -> None:
    """Print what a run's folder tells, as `runs.read` read it; what it does not know is left out."""
    summary, folder = told["summary"], Path(told["path"])
    rows: list[tuple[Any, Any]] = [("folder", short(folder)), ("status", summary.get("status", "unknown"))]
    rows += [(key, summary[key]) for key in ("recipe", "started") if key in summary]
    rows += [("seed", str(summary["seed"]))] if "seed" in summary else []
    rows += [(key.replace("_", " "), summary[key]) for key in QUANTITIES if key in summary]
    rows += list(_mapping(summary, "metrics").items())
    for layer in summary["engine"] if isinstance(summary.get("engine"), list) else []:
        if isinstance(layer, dict):
            ran = "{cell} {direction}: {path} ({why})".format_map(_Known(layer))
            rows.append((f"engine {layer.get('layer', '')}", ran))
    for section in ("best", "throughput", "data", "vectors", "versions"):
        rows += [(f"{section} {key.replace('_', ' ')}", value) for key, value in _mapping(summary, section).items()]
    rows += [(f"checkpoint {name}", target) for name, target in told["checkpoints"].items()]
    rows += [("W&B", _tracker(_mapping(summary, "wandb"), folder))] if "wandb" in summary else []
    table((name, value) for name, value in rows if value is not None)
    if told["metrics"]:
        print("\nlast of metrics.jsonl:")
        for record in told["metrics"][-TAIL:]:
            print("  " + json.dumps(record))


QUANTITIES = ("parameters", "steps", "train_seconds", "cpu_seconds", "peak_memory_bytes")


class _Known(dict):
    def __missing__(self, key: str) -> str:
        return "?"


def _mapping(summary: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = summary.get(key)
    return value if isinstance(value, dict) else {}


def _tracker(place: Mapping[str, Any], folder: Path) -> Any:
    """Where W&B has the run: its page, or its folder as a path from here."""
    if place.get("url") or not place.get("path"):
        return place.get("url") or place.get("mode", "unknown")
    return short(folder / str(place["path"]))
