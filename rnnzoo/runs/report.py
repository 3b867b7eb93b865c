"""What the command line prints of a run: before it, after it, and of its folder. Runs are read without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnzoo.system import console
from rnnzoo.system.console import printable, short, table

TAIL = 3  # lines of metrics.jsonl
LABELS = 12  # that are named


# -- quantities -----------------------------------------------------------------------------------------------------


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


# -- runs --------------------------------------------------------------------------------------------------------------


def show_header(facts: Mapping[str, Any], recipe: Mapping[str, Any], folder: Path) -> None:
    """Print what a run is about to train on, and what: the last moment to see that it is not what was meant."""
    data = facts["data"]
    rows: list[tuple[str, Any]] = [("data", _identity(data)), ("examples", _sizes(_mapping(data, "sizes")))]
    rows += _text_rows(data)
    rows += [("model", _model(recipe)), ("parameters", facts["parameters"]), ("device", _device(facts))]
    table([*rows, ("run", short(folder))], f"{facts['recipe']}, seed {facts['seed']}")
    console.print()
    console.flush()


def _text_rows(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and their counts, what was cut and what is unknown: as far as there is any."""
    sizes, cut = _numbers(data, "sizes"), _numbers(data, "truncated")
    found = {
        "labels": _labels(_numbers(data, "labels")),
        "truncated": _parts({part: cut[part] / sizes[part] for part in cut if sizes.get(part)}, "of the examples"),
        "unknown": _parts(_numbers(data, "unknown_share"), "of the tokens"),
    }
    return [(name, value) for name, value in found.items() if value]


def _labels(counts: Mapping[str, Any]) -> str:
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
    hardware, device = _mapping(facts, "hardware"), facts.get("device")
    name = hardware.get("gpu") if device not in (None, "cpu") else hardware.get("cpu")
    told = [f"{device} ({name})" if device and name else str(device or name)]
    reason = f" ({facts['precision_reason']})" if facts.get("precision_reason") else ""
    told += [f"precision {facts['precision']}{reason}"] if "precision" in facts else []
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
    types, tokens = (percent(_number(vectors, key) or 0.0) for key in ("types", "tokens"))
    return f"for {types} of the vocabulary, {tokens} of the training tokens"


def show_run(told: Mapping[str, Any]) -> None:
    """Print what a run's folder tells, as `runs.read` read it; what it does not know is left out."""
    summary, folder = told["summary"], Path(told["path"])
    config = _dict(told["config"]) or _mapping(summary, "config")  # a shipped model has it among its facts
    rows: list[tuple[str, Any]] = [("folder", short(folder)), ("status", summary.get("status", "unknown"))]
    rows += [("recipe", summary["recipe"])] if "recipe" in summary else []
    rows += [("seed", str(summary["seed"]))] if "seed" in summary else []
    rows += [("started", str(summary["started"]).replace("T", " "))] if "started" in summary else []
    rows += [*_built(summary, config), *_cost(summary), *_mapping(summary, "metrics").items()]
    rows += [("best checkpoint", _best(_mapping(summary, "best")))] if _mapping(summary, "best") else []
    for layer in summary["engine"] if isinstance(summary.get("engine"), list) else []:
        if isinstance(layer, dict):
            ran = "{cell} {direction}: {path} ({why})".format_map(_Known(layer))
            rows.append((f"engine {layer.get('layer', '')}".strip(), ran))
    rows += _data(_mapping(summary, "data"))
    rows += [("word vectors", _coverage(vectors))] if (vectors := _mapping(summary, "vectors")) else []
    rows += [("versions", versions)] if (versions := _mapping(summary, "versions")) else []
    rows += [("commit", str(summary["commit"])[:12])] if summary.get("commit") else []
    rows += [("checkpoints", told["checkpoints"])] if told["checkpoints"] else []
    rows += [("W&B", _tracker(_mapping(summary, "wandb"), folder))] if "wandb" in summary else []
    table((name, value) for name, value in rows if value is not None)
    if told["metrics"]:
        console.print("\nlast of metrics.jsonl:")
        table(map(_record, told["metrics"][-TAIL:]))


def _built(summary: Mapping[str, Any], config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The network, how it was trained, and on what."""
    rows: list[tuple[str, Any]] = []
    if _mapping(_mapping(config, "model"), "architecture"):
        rows.append(("model", _model(config)))
    rows += [("parameters", summary["parameters"])] if "parameters" in summary else []
    optimizer, schedule = _mapping(config, "optimizer"), _mapping(config, "schedule")
    if optimizer:
        parts = [optimizer.get("name"), f"learning rate {_plain(optimizer['lr'])}" if "lr" in optimizer else None]
        parts += [f"schedule {schedule['name']}" if "name" in schedule else None]
        rows.append(("optimizer", ", ".join(str(part) for part in parts if part)))
    means: dict[str, Any] = {"precision": _mapping(config, "trainer").get("precision"), **summary}
    if "device" in summary or _mapping(summary, "hardware"):
        rows.append(("device", _device({key: value for key, value in means.items() if value is not None})))
    return rows


def _cost(summary: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What training took."""
    seconds, cpu, memory = (_number(summary, key) for key in ("train_seconds", "cpu_seconds", "peak_memory_bytes"))
    speed = _number(_mapping(summary, "throughput"), "tokens_per_second")
    parts = [duration(seconds) if seconds is not None else None]
    parts += [amount(n, unit) for unit in ("epoch", "step") if (n := _number(summary, f"{unit}s")) is not None]
    parts += [f"{speed:,.0f} tokens/s" if speed else None]
    rows: list[tuple[str, Any]] = [("training", ", ".join(filter(None, parts)))] if any(parts) else []
    rows += [("processor time", duration(cpu))] if cpu is not None else []
    return rows + ([("peak memory", size(memory))] if memory is not None else [])


def _data(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Which data it was, its sizes and labels, and what was found in it."""
    rows: list[tuple[str, Any]] = [("data", _identity(data))] if "id" in data else []
    rows += [("examples", _sizes(_mapping(data, "sizes")))] if _mapping(data, "sizes") else []
    rows += _text_rows(data)
    rows += [("fingerprint", str(data["fingerprint"])[:12])] if "fingerprint" in data else []
    return rows + [(f"notes, {part}", notes) for part, notes in _mapping(data, "notes").items() if notes]


def _best(best: Mapping[str, Any]) -> str:
    """ "of epoch 7, by val/accuracy, 0.8312": the epoch counted from 1; a summary has it from 0, as Lightning."""
    epoch, score = _number(best, "epoch"), _number(best, "score")
    parts = [f"of epoch {epoch + 1:g}" if epoch is not None else None]
    parts += [f"by {best['monitor']}" if best.get("monitor") else None, printable(score) if score is not None else None]
    return ", ".join(filter(None, parts))


def _record(record: Mapping[str, Any]) -> tuple[str, ...]:
    """A line of metrics.jsonl: when, and each value by its name. The file counts epochs from 0, as Lightning."""
    epoch, step, seconds = (_number(record, key) for key in ("epoch", "step", "time"))
    after = any(name.startswith("test/") for name in record)  # training has ended
    when = f"epoch {epoch + 1:g}" if epoch is not None and not after else ""
    told = [when, f"step {step:,}" if step is not None else "", duration(seconds) if seconds is not None else ""]
    values = {name: value for name, value in record.items() if name not in ("epoch", "step", "time")}
    return (*told, "  ".join(f"{printable(name)} {printable(value)}" for name, value in values.items()))


def _plain(value: Any) -> str:
    """A number of a recipe as people write it: 0.003, not 3.0e-03."""
    return f"{value:.10f}".rstrip("0") if isinstance(value, float) and 1e-7 < value < 1 else printable(value)


def _number(values: Mapping[str, Any], key: str) -> Any:
    """A value that is a finite number; None where it is not, whatever stands there."""
    value: Any = values.get(key)
    return value if type(value) in (int, float) and math.isfinite(value) else None


def _numbers(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping's items that are finite numbers; empty where there is no mapping."""
    found = _mapping(values, key)
    return {name: number for name in found if (number := _number(found, name)) is not None}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


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
