"""What the command line prints of a run: before it, after it, and of its folder. Runs are read without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rnnzoo.runs import snapshot
from rnnzoo.runs.record import AXES, Record
from rnnzoo.runs.summary import (
    Best,
    CalibrationFacts,
    DataFacts,
    StartFacts,
    StartPart,
    Summary,
    TrackerPlace,
    VectorFacts,
    is_number,
    well_formed,
)
from rnnzoo.system import console
from rnnzoo.system.console import printable, short, table
from rnnzoo.system.quantities import amount, duration, percent, size

TAIL = 3  # lines of metrics.jsonl
LABELS = 12  # that are named
Rows = list[tuple[str, object]]


def show_header(facts: Summary, recipe: Mapping[str, object], folder: Path) -> None:
    """Print what a run is about to train, and on what: the last moment to notice a mistake."""
    rows: Rows = [*data_rows(facts["data"]), ("model", network(recipe)), ("parameters", facts["parameters"])]
    rows += start_rows(facts.get("init_from", {}))
    table([*rows, ("device", _device(facts)), ("run", short(folder))], f"{facts['recipe']}, seed {facts['seed']}")
    console.print()
    console.flush()


def show_result(summary: Summary, folder: Path) -> None:
    """Print the one table of a run that has just finished."""
    scores = [(name, value) for name, value in summary["metrics"].items() if isinstance(value, float)]
    speed = summary["throughput"]["tokens_per_second"]
    vectors = [("word vectors", coverage(summary["vectors"]))] if "vectors" in summary else []
    table(
        [
            *scores,
            *calibration_rows(summary.get("calibration", {})),
            ("parameters", summary["parameters"]),
            *vectors,
            ("training", f"{summary['train_seconds']:.1f} s" + (f", {speed:,.0f} tokens/s" if speed else "")),
            *_bad_numbers_rows(summary),
            ("engine", "; ".join(sorted({f"{layer['cell']}: {layer['path']}" for layer in summary["engine"]}))),
            ("W&B", _tracker(summary["wandb"], folder)),
            ("run", short(folder)),
        ],
        f"{summary['recipe']}, seed {summary['seed']}",
    )


def show_run(record: Record) -> None:
    """Print what a run's folder holds; what is missing, or of a wrong type, is left out."""
    config = record["config"] or _mapping(record["summary"], "config")  # a shipped model has it among its facts
    precision = _mapping(config, "trainer").get("precision")  # summaries did not always have it
    facts, folder = well_formed({"precision": precision, **record["summary"]}), Path(record["path"])
    rows: Rows = [("folder", short(folder)), ("status", facts.get("status", "unknown"))]
    rows += ending_rows(facts, folder)
    rows += [("recipe", facts["recipe"])] if "recipe" in facts else []
    rows += [("seed", str(facts["seed"]))] if "seed" in facts else []
    rows += [("started", facts["started"].replace("T", " "))] if "started" in facts else []
    rows += [*network_rows(facts, config), *cost_rows(facts), *facts.get("metrics", {}).items()]
    rows += calibration_rows(facts.get("calibration", {}))
    rows += [("best checkpoint", best_checkpoint(facts["best"]))] if facts.get("best") else []
    for layer in facts.get("engine", []):
        cell, direction, path, why = (layer.get(key, "?") for key in ("cell", "direction", "path", "why"))
        rows.append((f"engine {layer.get('layer', '')}".strip(), f"{cell} {direction}: {path} ({why})"))
    rows += data_rows(facts.get("data", {}))
    rows += data_details(facts.get("data", {}))
    rows += [("word vectors", coverage(facts["vectors"]))] if facts.get("vectors") else []
    rows += start_rows(facts.get("init_from", {}))
    rows += [("versions", facts["versions"])] if facts.get("versions") else []
    rows += [("commit", commit[:12])] if (commit := facts.get("commit")) else []
    rows += [("checkpoints", record["checkpoints"])] if record["checkpoints"] else []
    rows += [("W&B", _tracker(facts["wandb"], folder))] if "wandb" in facts else []
    table((name, value) for name, value in rows if value is not None)
    if record["metrics"]:
        console.print("\nlast of metrics.jsonl:")
        table(map(_logged, record["metrics"][-TAIL:]))


# -- the data -------------------------------------------------------------------------------------------------------


def data_rows(data: DataFacts) -> Rows:
    """Which data, its sizes and labels, what was cut and what is unknown: as far as there is any."""
    rows: Rows = [("data", _identity(data))] if "id" in data else []
    sizes, cut = data.get("sizes", {}), data.get("truncated", {})
    optional = {
        "examples": ", ".join(f"{part} {printable(count)}" for part, count in sizes.items()),
        "labels": _labels(data.get("labels", {})),
        "truncated": _shares({part: cut[part] / sizes[part] for part in cut if sizes.get(part)}, "of the examples"),
        "unknown": _shares(data.get("unknown_share", {}), "of the tokens"),
    }
    return [*rows, *((name, text) for name, text in optional.items() if text)]


def start_rows(start: StartFacts) -> Rows:
    """The trained model that training starts from, and what each part took of it."""
    if not start:
        return []
    which = [text for key in ("recipe", "seed") if (text := f"{key} {start[key]}" if key in start else "")]
    rows: Rows = [("starts from", f"{start.get('source')} ({', '.join(which)})")]
    return rows + [(f"  {part['part']}", _taken(part)) for part in start.get("parts", []) if "part" in part]


def _taken(part: StartPart) -> str:
    """ "grown: 24,996 of 25,310 rows", "left as drawn: its cell is gru, and the trained model's lstm"."""
    outcome = part.get("outcome")
    if outcome == "left":
        return f"left as drawn: {part.get('why')}"
    return f"{outcome}: {part['rows']:,} of {part['of']:,} rows" if "rows" in part and "of" in part else f"{outcome}"


def data_details(data: DataFacts) -> Rows:
    """The fingerprint, and what else encoding found."""
    rows: Rows = [("fingerprint", data["fingerprint"][:12])] if "fingerprint" in data else []
    return rows + [(f"notes, {part}", notes) for part, notes in data.get("notes", {}).items() if notes]


def _identity(data: DataFacts) -> str:
    revision = data.get("revision")
    return f"{data.get('id')}" + (f", revision {revision[:12]}" if revision else "")


def _labels(counts: Mapping[str, int]) -> str:
    """ "neg 11,250, pos 11,250"; in quotes, where blanks or the case of letters could mislead."""
    alike = len({name.strip().casefold() for name in counts}) < len(counts)
    quoted = alike or any(name != name.strip() or not name for name in counts)
    texts = [f"{name!r} {count:,}" if quoted else f"{name} {count:,}" for name, count in counts.items()]
    more = [f"... ({len(texts):,} labels)"] if len(texts) > LABELS else []
    warning = "; some differ in case or blanks alone" if alike else ""
    return ", ".join(texts[:LABELS] + more) + warning


def _shares(shares: Mapping[str, float], of: str) -> str:
    """ "train 3.1 %, test 2.9 % of the examples", without the parts that have none."""
    texts = [f"{part} {percent(share)}" for part, share in shares.items() if share]
    return f"{', '.join(texts)} {of}" if texts else ""


def coverage(vectors: VectorFacts) -> str:
    types, tokens = percent(vectors.get("types", 0.0)), percent(vectors.get("tokens", 0.0))
    return f"for {types} of the vocabulary, {tokens} of the training tokens"


# -- the network and its training -----------------------------------------------------------------------------------


def ending_rows(facts: Summary, folder: Path) -> Rows:
    """How an unfinished run ended, and how to continue it."""
    status = facts.get("status")
    if status in ("finished", "running"):
        return []
    rows: Rows = [("ended by", facts["ended_by"])] if "ended_by" in facts else []
    states = snapshot.complete(folder / "resume")
    return [*rows, ("to go on", f"rnnzoo fit --resume {short(folder)}")] if states else rows


def network_rows(facts: Summary, config: Mapping[str, object]) -> Rows:
    """The network, how it was trained, and on what."""
    rows: Rows = []
    if _mapping(_mapping(config, "model"), "architecture"):
        rows.append(("model", network(config)))
    rows += [("parameters", facts["parameters"])] if "parameters" in facts else []
    optimizer, schedule = _mapping(config, "optimizer"), _mapping(config, "schedule")
    if optimizer:
        parts = [optimizer.get("name"), f"learning rate {_plain(optimizer['lr'])}" if "lr" in optimizer else None]
        parts += [f"schedule {schedule['name']}" if "name" in schedule else None]
        rows.append(("optimizer", ", ".join(str(part) for part in parts if part)))
    if "device" in facts or facts.get("hardware"):
        rows.append(("device", _device(facts)))
    return rows


def network(recipe: Mapping[str, object]) -> str:
    """ "bidirectional, cell lstm, hidden size 64, 1 layer": the network in words."""
    return ", ".join(_words(_mapping(_mapping(recipe, "model"), "architecture")))


def _words(component: Mapping[str, object]) -> list[str]:
    """A component's name, the parts in it, and its sizes; what is off or not set is left out."""
    words = [str(component.get("name", "?"))]
    for key, value in component.items():
        word = key.replace("_", " ")
        if isinstance(value, Mapping) and "name" in value:
            words.append(f"{word} {value['name']}")
        elif key == "num_layers":
            words.append(amount(value, "layer") if isinstance(value, int) else f"{word} {value}")
        elif key.endswith("_size") or key in ("dropout", "attention"):
            words += [f"{word} {printable(value)}"] if value else []
        elif key == "cell":
            words.append(f"{word} {value}")
    return words


def _device(facts: Summary) -> str:
    """ "cpu (AMD EPYC), precision 32-true, 1 thread, 2 processes"."""
    hardware, device = facts.get("hardware", {}), facts.get("device")
    name = hardware.get("cpu") if device in (None, "cpu") else hardware.get("gpu")
    texts = [f"{device} ({name})" if device and name else str(device or name)]
    reason = f" ({facts['precision_reason']})" if facts.get("precision_reason") else ""
    texts += [f"precision {facts['precision']}{reason}"] if "precision" in facts else []
    texts += [amount(facts["threads"], "thread")] if "threads" in facts else []
    texts += [amount(facts["processes"], "process")] if "processes" in facts else []
    return ", ".join(texts)


def cost_rows(facts: Summary) -> Rows:
    """What training took."""
    seconds, cpu, memory = facts.get("train_seconds"), facts.get("cpu_seconds"), facts.get("peak_memory_bytes")
    speed = facts.get("throughput", {}).get("tokens_per_second")
    parts = [
        duration(seconds) if seconds is not None else "",
        amount(facts["epochs"], "epoch") if "epochs" in facts else "",
        amount(facts["steps"], "step") if "steps" in facts else "",
        f"{speed:,.0f} tokens/s" if speed else "",
    ]
    rows: Rows = [("training", ", ".join(filter(None, parts)))] if any(parts) else []
    rows += [("processor time", duration(cpu))] if cpu is not None else []
    rows += _bad_numbers_rows(facts)
    return rows + ([("peak memory", size(memory))] if memory is not None else [])


def _bad_numbers_rows(facts: Summary) -> Rows:
    """How often training met NaN or infinity and went on."""
    counts = facts.get("bad_numbers", {})
    skipped, back = counts.get("skipped", 0), counts.get("rolled_back", 0)
    texts = [f"{amount(skipped, 'step')} left out"] if skipped else []
    texts += [f"went back {amount(back, 'time')}"] if back else []
    return [("bad numbers", ", ".join(texts))] if texts else []


def calibration_rows(facts: CalibrationFacts) -> Rows:
    """The temperature, and what it changed: "temperature 1.31; calibration error on test 4.1 % before, 0.9 % after"."""
    if "temperature" not in facts:
        return []
    ece, texts = facts.get("ece", {}), [f"temperature {facts['temperature']:.3g}"]
    part = "test" if "test after" in ece else "dev"
    before, after = (ece.get(f"{part} {when}") for when in ("before", "after"))
    if before is not None and after is not None:
        texts.append(f"calibration error on {part} {100 * before:.1f} % before, {100 * after:.1f} % after")
    rows: Rows = [("confidence", "; ".join(texts))]
    if thresholds := facts.get("thresholds", {}):
        told = [f"{label} from {100 * p:.1f} %" for label, p in thresholds.items()]
        rows.append(("thresholds, chosen on dev", ", ".join(told[:LABELS] + ["..."] * (len(told) > LABELS))))
    return rows


def best_checkpoint(best: Best) -> str:
    """ "of epoch 7, by val/accuracy, 0.8312": the epoch counted from 1; a summary has it from 0, as Lightning."""
    epoch, score = best.get("epoch"), best.get("score")
    parts = [f"of epoch {epoch + 1:g}" if epoch is not None else None]
    parts += [f"by {best['monitor']}" if best.get("monitor") else None, printable(score) if score is not None else None]
    return ", ".join(filter(None, parts))


def _tracker(place: TrackerPlace, folder: Path) -> str:
    """Where W&B has the run: its page, or its folder as a path from here."""
    if place.get("url") or not place.get("path"):
        return place.get("url") or place.get("mode", "unknown")
    return str(short(folder / place["path"]))


# -- values of files that anyone may have written -------------------------------------------------------------------


def _logged(line: Mapping[str, object]) -> tuple[str, ...]:
    """A line of metrics.jsonl: when, and each value by its name. The file counts epochs from 0, as Lightning."""
    epoch, step, seconds = (_number(line.get(key)) for key in ("epoch", "step", "time"))
    after = any(name.startswith("test/") for name in line)  # training has ended
    when = f"epoch {epoch + 1:g}" if epoch is not None and not after else ""
    at = [when, f"step {step:,}" if step is not None else "", duration(seconds) if seconds is not None else ""]
    values = {name: value for name, value in line.items() if name not in AXES}
    return (*at, "  ".join(f"{printable(name)} {printable(value)}" for name, value in values.items()))


def _plain(value: object) -> str:
    """A number of a recipe as people write it: 0.003, not 3.0e-03."""
    return f"{value:.10f}".rstrip("0") if isinstance(value, float) and 1e-7 < value < 1 else printable(value)


def _number(value: object) -> int | float | None:
    """A finite number; None for anything else."""
    return value if isinstance(value, (int, float)) and is_number(value) else None


def _mapping(values: Mapping[str, object], key: str) -> dict[str, object]:
    value = values.get(key)
    return value if isinstance(value, dict) else {}
