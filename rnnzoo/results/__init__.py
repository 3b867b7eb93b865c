"""The table of results: what finished runs of shipped recipes gave, over their seeds, beside what was published.

    recipes/manifests/<recipe>-seed<N>.json     the facts of one run, copied from its summary by `rnnzoo results --keep`
    recipes/RESULTS.md, recipes/RESULTS.csv     made of them by `rnnzoo results --markdown FILE --csv FILE`
    rnnzoo/results/published.yaml                       published figures, by recipe, and where each is printed

A run counts if it is one of the recipe as it stands: finished, whole, its test part scored. Only judging a run, which
resolves recipes, imports torch; the table does not.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from statistics import fmean, stdev
from typing import Any

from rnnzoo import recipe as recipes
from rnnzoo import runs
from rnnzoo.errors import RunError, ZooError
from rnnzoo.system import files

KEPT = (
    "status",
    "seed",
    "started",
    "commit",
    "hardware",
    "threads",
    "processes",
    "precision",
    "versions",
    "parameters",
    "data",
    "metrics",
    "best",
    "epochs",
    "steps",
    "train_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
    "throughput",
)
FREE = (  # what runs of one recipe may differ in
    "name",
    "seed",
    "engine",
    "tracking",
    "trainer.accelerator",
    "trainer.enable_progress_bar",
    "trainer.log_every_n_steps",
)
AUTO = ("bf16-mixed", "32-true")  # what a precision of "auto" can be
ALIKE = ("data.id", "data.revision", "data.sizes", "parameters", "precision")  # in all runs that a row is the mean of
MADE_HERE = "made here"  # in place of a published figure, where there is none to compare with
UNCHECKED = " (not checked at its source)"
PIN = "#sha256="  # after a file's address, before its digest
COLUMNS = (
    "recipe",
    "metric",
    "unit",
    "direction",
    "mean",
    "std",
    "seeds",
    "dev",
    "parameters",
    "epochs",
    "train_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
    "hardware",
    "commit",
    "digest",
    "command",
    "published",
    "source",
)
MARKED = re.compile(r"(<!-- results (\S+) -->\n).*?(<!-- /results -->)", re.DOTALL)

Row = dict[str, Any]


# -- runs -----------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """Where manifests are kept."""
    return recipes.folder() / "manifests"


def digest(recipe: str) -> str:
    """The sha256 of what a shipped recipe says, its bases merged: the same for every seed. Imports no torch."""
    said = recipes.read(recipe).data
    return recipes.digest({key: value for key, value in said.items() if key != "seed"})


def manifest(run: str | Path) -> dict[str, Any]:
    """The facts of a run that counts: of its recipe, its seed, its scores, its cost, the code and the machine.

    run: a run's folder or id, or a kept manifest, which is judged again.
    Raises: RunError with the reason why the run does not count.
    """
    if Path(run).suffix == ".json":
        facts = _kept(Path(run))
    else:
        told = runs.read(run)
        facts = told["summary"] | {"config": told["config"]}
    if facts.get("status") != "finished":
        raise _refused(run, f"it is {facts.get('status', 'no finished run')}", "Wait for its end, or run it again.")
    facts = {"precision": facts["config"]["trainer"]["precision"]} | facts  # summaries did not always have it
    if missing := [key for key in KEPT if key not in facts]:
        raise _refused(run, f"its summary does not tell {', '.join(missing)}", "Run it again, with this rnnzoo.")
    if flaw := _flaw(facts):
        raise _refused(run, flaw, "Only a whole run whose test part was scored counts; run it again.")
    name = _recipe_of(run, facts)
    config = {key: _local(value) for key, value in facts["config"].items() if key not in ("name", "tracking")}
    return {"recipe": name, "digest": digest(name), **{key: facts[key] for key in KEPT}, "config": config}


def metric(facts: Mapping[str, Any]) -> str:
    """The metric that chose a run's checkpoint: "accuracy"."""
    return facts["best"]["monitor"].removeprefix("val/")


def scored(facts: Mapping[str, Any]) -> str:
    """The score that counts, as the run's facts name it: of the test part or, where there is none, of dev."""
    return f"{'test' if 'test' in facts['data']['sizes'] else 'best'}/{metric(facts)}"


def chosen(facts: Mapping[str, Any]) -> str:
    """The score on dev that chose the checkpoint, as the run's facts name it."""
    return f"best/{metric(facts)}"


def _local(value: Any) -> Any:
    """Nested settings, with a file's name for its path on this machine."""
    if isinstance(value, dict):
        return {key: _local(item) for key, item in value.items()}
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value


def _recipe_of(run: str | Path, facts: Mapping[str, Any]) -> str:
    """The shipped recipe that a run was of, down to every default."""
    asked = facts["recipe"]
    names = [name for name in recipes.shipped() if asked in (name, Path(name).stem)]
    if not names:
        raise _refused(run, f"no recipe '{asked}' comes with rnnzoo", "Give its settings a file in recipes/.")
    from rnnzoo.experiment.resolver import resolve

    ran = _leaves(resolve(recipes.of(facts["config"], Path(asked).stem)))
    changed: list[str] = []
    for name in names:
        says = _leaves(resolve(recipes.read(name)))
        if says["trainer.precision"] == "auto" and facts["precision"] in AUTO:
            ran["trainer.precision"] = "auto"
        changed = [key for key in says | ran if _file(says.get(key)) != _file(ran.get(key)) and not _free(key)]
        if not changed:
            _pinned(run, name, facts, says, ran)
            return name
    told = f"{changed[0]} was {ran.get(changed[0])!r} and is {says.get(changed[0])!r}"
    raise _refused(run, f"recipe '{names[-1]}' says otherwise: {told}", "Run the recipe as it stands.")


def _pinned(
    run: str | Path, name: str, facts: Mapping[str, Any], says: Mapping[str, Any], ran: Mapping[str, Any]
) -> None:
    """Raises: RunError for a run on a file of its own where the recipe names the digest of another."""
    for key, value in says.items():
        pin = value.partition(PIN)[2] if isinstance(value, str) and key.startswith("data.") else ""
        found = str(ran.get(key)).partition(PIN)[2] or facts["data"].get("revision")
        if pin and pin.lower() != str(found).lower():
            told = f"{key} was {ran.get(key)!r}, of SHA-256 {found}, and is {value!r}"
            raise _refused(run, f"recipe '{name}' says otherwise: {told}", "Run the recipe as it stands.")


def _file(value: Any) -> Any:
    """A setting; of a path or an address, the file's name: where a file lies does not change what is in it."""
    return PurePosixPath(value.partition("#")[0]).name if isinstance(value, str) and "/" in value else value


def _free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def _leaves(value: Any, key: str = "") -> dict[str, Any]:
    """Nested settings as one level, by dotted keys."""
    if not isinstance(value, Mapping) or not value:
        return {key: value}
    pairs = ((f"{key}.{name}" if key else name, item) for name, item in value.items())
    return {name: leaf for path, item in pairs for name, leaf in _leaves(item, path).items()}


def _refused(run: str | Path, why: str, remedy: str) -> RunError:
    return RunError(f"{run} does not count: {why}.\n  {remedy}")


def keep(run: str | Path) -> Path:
    """Keep a run's manifest beside the recipes; one of the same recipe and seed is replaced. Raises: RunError."""
    facts = manifest(run)
    path = folder() / _place(facts)
    path.parent.mkdir(exist_ok=True)
    files.write_text(path, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return path


def _place(facts: Mapping[str, Any]) -> str:
    """The name of the file that a run's facts are kept in."""
    return f"{runs.slug(facts['recipe'])}-seed{facts['seed']}.json"


def kept() -> list[dict[str, Any]]:
    """The manifests that are kept. Raises: RunError."""
    return [_kept(path) for path in sorted(folder().glob("*.json"))]


def _kept(path: Path) -> dict[str, Any]:
    try:
        facts = files.json_value(files.read_text(path), nan=True)
        if not (isinstance(facts, dict) and {"recipe", "digest", "config", *KEPT} <= facts.keys()):
            raise ValueError("it does not hold a run's facts")
        if isinstance(facts["metrics"], dict):
            facts["metrics"] = runs.scores(facts["metrics"])
        if flaw := _flaw(facts):
            raise ValueError(flaw)
        return facts
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read the manifest {path}: {files.reason(error)}.") from error


def _flaw(facts: Mapping[str, Any]) -> str | None:
    """What of a run's facts is not as it should be, by its key; None if nothing is."""
    for key, (what, holds) in FACTS.items():
        value = _value(facts, key)
        if not holds(value):
            return f"its {key} is {value!r:.80}, not {what}"
    for name in (scored(facts), chosen(facts)):
        value = facts["metrics"].get(name)
        if value is None:
            return f"it has no {name}"
        if not _is_number(value):
            return f"its metrics.{name} is {value!r:.80}, not a finite number"
    return None


def _value(facts: Mapping[str, Any], key: str) -> Any:
    """What stands at a dotted key; None if nothing does."""
    value: Any = facts
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


NUMBER, COUNT = ("a finite number", _is_number), ("a whole number", lambda value: type(value) is int)
TEXT, MAPPING = ("text", _is_text), ("a mapping", lambda value: isinstance(value, dict))
NUMBER_OR_NONE = ("a finite number or null", lambda value: value is None or _is_number(value))
TEXT_OR_NONE = ("text or null", lambda value: value is None or _is_text(value))
FACTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "recipe": TEXT,
    "seed": COUNT,
    "config": MAPPING,
    "metrics": MAPPING,
    "data.sizes": MAPPING,
    "best.monitor": TEXT,
    "best.mode": ("max or min", lambda value: value in ("max", "min")),
    "parameters": COUNT,
    "epochs": COUNT,
    "train_seconds": NUMBER,
    "cpu_seconds": NUMBER_OR_NONE,
    "peak_memory_bytes": NUMBER_OR_NONE,
    "threads": COUNT,
    "hardware.cpu": TEXT,
    "hardware.gpu": TEXT_OR_NONE,
    "commit": TEXT_OR_NONE,
}


# -- the table ------------------------------------------------------------------------------------------------------


def rows(manifests: Iterable[Mapping[str, Any]]) -> tuple[list[Row], list[str]]:
    """One row for each recipe, in alphabetical order, and why recipes have none. The order of runs does not matter.

    Raises: ZooError for two runs of one recipe and seed, or for runs of one recipe on data that are not alike.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for facts in manifests:
        groups.setdefault(facts["recipe"], []).append(facts)
    shipped, printed = recipes.shipped(), published()
    found, stale = [], []
    for name, group in sorted(groups.items()):
        if name not in shipped:
            stale.append(f"{name}: no such recipe comes with rnnzoo any more.")
        elif {facts["digest"] for facts in group} != {digest(name)}:
            stale.append(f"{name}: recipe changed since. Run it again, then `rnnzoo results RUN --keep`.")
        else:
            ordered = sorted(group, key=lambda facts: facts["seed"])
            found += [_row(name, ordered, shown) for shown in printed.get(name, [{}])]
    return found, stale


def _row(name: str, group: Sequence[Mapping[str, Any]], shown: Mapping[str, Any]) -> Row:
    """A row of a recipe's runs. shown: which score it has, and what was published, as in published.yaml."""
    seeds = [facts["seed"] for facts in group]
    if len(set(seeds)) < len(seeds):
        raise ZooError(f"two runs of {name} have the same seed.\n  Give one run for each seed.")
    for key in ALIKE:
        told = [_value(facts, key) for facts in group]
        other = next((place for place, value in enumerate(told) if value != told[0]), None)
        if other is not None:
            raise ZooError(
                f"runs of {name} are not alike: {key} is {told[0]!r:.80} of seed {seeds[0]}, "
                f"{told[other]!r:.80} of seed {seeds[other]}.\n"
                f"  Kept, they are {_place(group[0])} and {_place(group[other])}.\n"
                "  Run the older one again, then `rnnzoo results RUN --keep`."
            )
    part = "test" if scored(group[0]).startswith("test/") else "val"
    parts, shown_metric = shown.get("parts", [part]), shown.get("metric", metric(group[0]))
    scores = [_score(facts, parts, shown_metric) for facts in group]
    figures = shown.get("figures", [])
    return {
        "recipe": name,
        "metric": "/".join([*(("+".join(parts),) if parts != ["test"] else ()), shown_metric]),
        "unit": shown.get("unit", ""),
        "direction": group[0]["best"]["mode"],
        "mean": fmean(scores),
        "std": stdev(scores) if len(scores) > 1 else None,
        "seeds": len(seeds),
        "dev": fmean(_score(facts, ["val"], shown_metric) for facts in group),
        "parameters": group[0]["parameters"],
        **{key: _mean(group, key) for key in ("epochs", "train_seconds", "cpu_seconds", "peak_memory_bytes")},
        "hardware": _told(_machine(facts) for facts in group),
        "commit": _told(facts["commit"] or "" for facts in group),
        "digest": group[0]["digest"],
        "command": f"rnnzoo fit {name} --seed {seeds[0]}",
        "published": figures[0]["value"] if figures else None,
        "source": "; ".join(_cited(figure) for figure in figures) or MADE_HERE,
        "figures": figures,
    }


def _score(facts: Mapping[str, Any], parts: Sequence[str], name: str) -> float:
    """A run's metric over one part, or the mean over several, weighed by their sizes."""
    sizes = [facts["data"]["sizes"]["dev" if part == "val" else part] for part in parts] if len(parts) > 1 else [1]
    values = [facts["metrics"][f"{'best' if part == 'val' else part}/{name}"] for part in parts]
    return sum(size * value for size, value in zip(sizes, values, strict=True)) / sum(sizes)


def _cited(figure: Mapping[str, Any]) -> str:
    """ "0.8363: LSTM-CRF (Lample and others); differs: ...": one published figure with all that belongs to it."""
    differs = f"; differs: {figure['differs']}" if "differs" in figure else ""
    return f"{figure['value']}: {figure['by']}{differs}" + ("" if "checked" in figure else UNCHECKED)


def _mean(group: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [facts[key] for facts in group]
    return None if None in values else round(fmean(values), 3)


def _told(values: Iterable[str]) -> str:
    return "; ".join(sorted({*values} - {""}))


def _machine(facts: Mapping[str, Any]) -> str:
    """ "AMD EPYC, 2 threads"."""
    hardware = facts["hardware"]
    return hardware["gpu"] or f"{hardware['cpu']}, {facts['threads']} thread" + "s" * (facts["threads"] > 1)


def published() -> dict[str, list[dict[str, Any]]]:
    """The rows of each recipe and the figures published beside them; the head of published.yaml describes both."""
    import yaml

    return yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8"))


# -- as text --------------------------------------------------------------------------------------------------------

SHOWN = {  # the columns of a page, and what stands in them
    "Recipe": lambda row: f"`{row['recipe']}`",
    "Metric": lambda row: _named(row) + {"max": " ↑", "min": " ↓"}[row["direction"]],
    "Test": lambda row: score(row["mean"], row["std"]) + _in_bits(row),
    "Seeds": lambda row: str(row["seeds"]),
    "Dev": lambda row: score(row["dev"], None),
    "Published": lambda row: "<br>".join(map(_beside, row["figures"])) or MADE_HERE,
    "Parameters": lambda row: f"{row['parameters']:,}",
    "Epochs": lambda row: f"{row['epochs']:g}",
    "Training": lambda row: f"{row['train_seconds'] / 60:.1f} min",
    "Memory": lambda row: "" if row["peak_memory_bytes"] is None else f"{row['peak_memory_bytes'] / 2**30:.1f} GiB",
    "Hardware": lambda row: row["hardware"],
    "Command": lambda row: f"`{row['command']}`",
    "Commit": lambda row: "; ".join(commit[:8] + "+" * commit.endswith("+") for commit in row["commit"].split("; ")),
    "Digest": lambda row: row["digest"][:8],
}
BRIEF = ("Recipe", "Metric", "Test", "Seeds", "Training", "Memory", "Published")
PAGE = """# Results

Test scores of the shipped recipes: the mean over seeds and its standard deviation (n - 1), of the checkpoint that was
best on dev; the test part is read once a run. "val" marks a recipe that has no test part, and its score is of dev. Time
and memory are means. Each row's command makes it again. This page is written by `rnnzoo results --markdown` from
`manifests/`, the facts of every run that counts; `RESULTS.csv` has more columns. A digest is of the recipe; a "+" after
a commit says that the working tree had changes. Published figures are of work on the same data, and what is not alike
is said: a † stands before a figure made under other conditions that matter, and the conditions after it. "Made here"
says that no published figure is known to us. The rows of `jsb_lstm`, `ptb_lstm` and `shakespeare_lstm` were scored in
columns side by side, each of which began without context; scored as one stream, as it is done now, a perplexity is a
little lower (4.826 for the shipped `shakespeare_lstm`).

"""


def _named(row: Row) -> str:
    """ "val/accuracy", or "loss (nats a character)": what a row's score is."""
    name = row["metric"].replace("_", " ")
    return f"{name} ({row['unit']})" if row["unit"] else name


def _in_bits(row: Row) -> str:
    """A score in nats once more, in bits."""
    return f" ({row['mean'] / math.log(2):.3f} bits)" if row["unit"].startswith("nats") else ""


def _beside(figure: Mapping[str, Any]) -> str:
    """ "† 0.8363 LSTM-CRF (Lample and others); differs: ...": a published figure in a cell of the table."""
    return ("† " if "differs" in figure else "") + _cited(figure).replace(": ", " ", 1)


def score(mean: float, std: float | None) -> str:
    """ "0.8945 ± 0.0015"."""
    digits = 4 if abs(mean) < 10 else 2
    return f"{mean:.{digits}f}" + ("" if std is None else f" ± {std:.{digits}f}")


def markdown(found: Sequence[Row], columns: Sequence[str] = tuple(SHOWN)) -> str:
    """The table in Markdown."""
    lines = [columns, ["---"] * len(columns), *([SHOWN[column](row) for column in columns] for row in found)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_csv(found: Sequence[Row]) -> str:
    """The table as CSV; an empty field is not known."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def updated(text: str, found: Sequence[Row]) -> str:
    """A page with the table written anew between each `<!-- results PATTERN -->` and `<!-- /results -->`.

    PATTERN, as imdb_*, says which recipes. Raises: ZooError if there is no such place.
    """

    def table(place: re.Match[str]) -> str:
        return place[1] + markdown([row for row in found if fnmatch.fnmatch(row["recipe"], place[2])], BRIEF) + place[3]

    if not MARKED.search(text):
        raise ZooError(
            "the page has no place for the table.\n"
            "  Mark it by a line <!-- results * --> and, below, a line <!-- /results -->."
        )
    return MARKED.sub(table, text)
