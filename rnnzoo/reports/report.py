"""report.html of a run: what was trained, on what, how well, how fast, examples, how to use and how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from rnnzoo.pictures.theme import Picture
from rnnzoo.reports import page
from rnnzoo.reports.examples import Example, Examples
from rnnzoo.reports.page import attribute, command, facts, section, table, text
from rnnzoo.runs import per_class
from rnnzoo.runs import report as words
from rnnzoo.runs.record import Record
from rnnzoo.runs.summary import Summary, well_formed
from rnnzoo.system import files
from rnnzoo.system.console import printable, short
from rnnzoo.system.quantities import amount, duration
from rnnzoo.system.redaction import without_secrets

SHOWN, LETTERS = 10, 320  # examples: the worst, and as many at random; of a text
LAYERS, LINKS, CONFIG = 40, 60, 40_000  # rows of the engine; pictures that are named; characters of the recipe
TILES = 6
CLASSES = 100  # whose scores are shown


def render(
    record: Record, curves: Mapping[str, Picture], errors: Mapping[str, Picture], examples: Examples | None
) -> str:
    """The page of a run. curves, errors: its pictures by their file's name, of its training and of its test."""
    run, folder = well_formed(record["summary"]), Path(record["path"])
    config = record["config"] or {}
    title = f"{run.get('recipe', folder.name)}, seed {run.get('seed', 'unknown')}"
    body = [
        *_header(run, config, title, folder),
        section("well", "How well", _scores(run), _figures(curves)),
        section("errors", "Where it errs", _figures(errors), _by_class(folder)),
        section("examples", "Examples of the test", *_examples(examples)),
        section("what", "What was trained, and on what", facts(_about(run, config))),
        section("fast", "How fast", facts(words.cost_rows(run)), _engine(run)),
        section("use", "How to use it", *_use(folder, examples)),
        section("again", "How to repeat it", *_again(run, folder)),
        section("more", "More pictures", _links(folder, {*curves, *errors})),
        f"</main><footer><p>Made by <code>rnnzoo show {text(_name(folder))} --report</code>.</p></footer>",
    ]
    return page.page(title, body)


def _header(run: Summary, config: Mapping[str, object], title: str, folder: Path) -> Iterator[str]:
    status = run.get("status", "unknown")
    kind = f" {status}" if status in ("finished", "failed", "interrupted") else ""
    yield f'<header><p class="over">rnnzoo · {text(folder.name)}<span class="state{kind}">{text(status)}</span></p>'
    yield f'<h1>{text(title)}</h1><p class="lead">{text(_sentence(run, config), 1000)}</p>'
    if run.get("ended_by"):
        yield f"<p>Ended by: {text(without_secrets(run['ended_by']), 500)}</p>"
    tiles = "".join(f"<li><b>{text(value, 40)}</b><span>{text(name, 60)}</span></li>" for name, value in _tiles(run))
    yield f'<ul class="tiles">{tiles}</ul></header><main>' if tiles else "</header><main>"


def _sentence(run: Summary, config: Mapping[str, object]) -> str:
    """ "Bidirectional, cell lstm, with 78,722 parameters, trained on ToyReviews (4,000 examples) in 18 s"."""
    network = words.network(config) if config.get("model") else "a network"
    parts = [network[:1].upper() + network[1:]]
    parts += [f"{amount(run['parameters'], 'parameter')}"] if "parameters" in run else []
    data = run.get("data", {})
    trained = f"trained on {data.get('id') or 'unknown data'}"
    trained += f" ({amount(data['sizes']['train'], 'example')})" if "train" in data.get("sizes", {}) else ""
    trained += f" for {amount(run['epochs'], 'epoch')}" if "epochs" in run else ""
    trained += f" in {duration(run['train_seconds'])}".replace(" s", "\u00a0s") if "train_seconds" in run else ""
    return "; ".join([*parts, trained]) + "."


def _tiles(run: Summary) -> list[tuple[str, str]]:
    """The figures that a reader looks for first."""
    metrics = {name: value for name, value in run.get("metrics", {}).items() if value is not None}
    monitor = run.get("best", {}).get("monitor", "").partition("/")[2]
    part = "test" if any(name.startswith("test/") for name in metrics) else "best"
    chosen = [name for name in metrics if name.startswith(f"{part}/")]
    chosen.sort(key=lambda name: (name != f"{part}/{monitor}", name.endswith("/loss"), name))
    where = "on test" if part == "test" else "on dev"
    tiles = [(f"{name.partition('/')[2]} {where}", printable(metrics[name])) for name in chosen[:3]]
    speed = run.get("throughput", {}).get("tokens_per_second")
    tiles += [("parameters", printable(run["parameters"]))] if "parameters" in run else []
    tiles += [("training time", duration(run["train_seconds"]))] if "train_seconds" in run else []
    return (tiles + ([("tokens a second", f"{speed:,.0f}")] if speed else []))[:TILES]


def _scores(run: Summary) -> str:
    """Each metric on dev and on test."""
    metrics = run.get("metrics", {})
    names = dict.fromkeys(name.partition("/")[2] for name in metrics)
    rows = [[name, *(_score(metrics, f"{part}/{name}") for part in ("best", "test"))] for name in names]
    best = words.best_checkpoint(run.get("best", {})) if rows else ""
    note = f'<p class="quiet">Of the best checkpoint: {text(best)}.</p>' if best else ""
    sure = facts(words.calibration_rows(run.get("calibration", {})))
    return table("Scores", ["metric", "dev", "test"], rows[:100], [False, True, True]) + note + sure


def _score(metrics: Mapping[str, float | None], name: str) -> str:
    value = metrics.get(name)
    return "–" if value is None else printable(value)


def _by_class(folder: Path) -> str:
    """Precision, recall and F1 of each class in the test, the most frequent first, as far as the run says."""
    found = per_class.read(folder)
    classes = sorted(found.get("classes", {}).items(), key=lambda item: -item[1].get("support", 0))
    rows: list[tuple[str, Mapping[str, object]]] = [(name, {**own}) for name, own in classes[:CLASSES]]
    rows += [("all, micro", {**found.get("micro", {})}), ("all, macro", {**found.get("macro", {})})]
    keys = ("precision", "recall", "f1", "support")
    told = [
        [name, *(printable(value) if (value := own.get(key)) is not None else "–" for key in keys)]
        for name, own in rows
    ]
    return table("Each class in the test", ["class", *keys], told, [False, *[True] * 4]) if classes else ""


def _figures(pictures: Mapping[str, Picture]) -> str:
    figures = "".join(f"<figure>{picture.inline()}</figure>" for picture in pictures.values())
    return f'<div class="figures">{figures}</div>' if figures else ""


def _examples(examples: Examples | None) -> Iterator[str]:
    if examples is None:
        return
    by = examples.metric
    sure = examples.file.confidence is not None
    worst = [one for one in examples.worst(SHOWN) if one.truth is None or one.truth != one.prediction]
    yield _example_list(f"The worst by {by}" + (", of equal ones the most confident first" if sure else ""), worst, by)
    yield _example_list("Drawn at random", examples.random(SHOWN), by)


def _example_list(title: str, rows: Sequence[Example], metric: str | None) -> str:
    """What was asked, what is true and what was answered; nothing where the run kept no texts."""
    if not any(row.input or row.truth or row.prediction for row in rows):
        return ""
    graded = any(row.score not in (None, 0, 1) for row in rows)  # else truth and prediction say it
    items = "".join(_example(row, metric if graded else None) for row in rows)
    return f'<h3>{text(title)}</h3><ol class="examples">{items}</ol>'


def _example(row: Example, metric: str | None) -> str:
    right = " right" if row.truth == row.prediction else ""
    answers = [("truth", row.truth, ""), ("prediction", row.prediction, f' class="said{right}"')]
    answers += [("confidence", None if row.confidence is None else f"{100 * row.confidence:.1f} %", "")]
    answers += [(metric, None if row.score is None else printable(row.score), "")] if metric else []
    lines = "".join(
        f"<div{kind}><dt>{text(name)}</dt><dd>{text(value, LETTERS)}</dd></div>"
        for name, value, kind in answers
        if value is not None
    )
    asked = f"<p>{text(row.input, LETTERS)}</p>" if row.input else ""
    return f'<li><span class="quiet">{row.id}</span>{asked}<dl>{lines}</dl></li>'


def _about(run: Summary, config: Mapping[str, object]) -> words.Rows:
    data = run.get("data", {})
    rows = [*words.network_rows(run, config), *words.start_rows(run.get("init_from", {}))]
    rows += [*words.data_rows(data), *words.data_details(data)]
    return [(name, printable(value)) for name, value in rows]


def _engine(run: Summary) -> str:
    keys = ("layer", "cell", "direction", "path", "why")
    rows = [[str(layer.get(key, "–")) for key in keys] for layer in run.get("engine", [])[:LAYERS]]
    return table("What ran each recurrent layer", keys, rows, [False] * 5)


def _use(folder: Path, examples: Examples | None) -> Iterator[str]:
    name, says = _name(folder), "--file FILE"
    inputs = examples.inputs if examples is not None else None
    first = next((line for line in inputs or [] if line), None)
    if first is not None:
        says = f"--text {shlex.quote(' '.join(first.split()[:12]))}"
    streams = examples is not None and examples.file.header.unit == "window"
    ask = f"rnnzoo generate {name} --length 100" if streams else f"rnnzoo predict {name} {says}"
    yield command(ask)
    yield "<p>Its scores, computed again; and beside another run:</p>"
    yield command(f"rnnzoo test {name}\nrnnzoo compare {name} OTHER_RUN")
    yield "<p>In Python:</p>"
    answer = 'model.generate("", length=100).text' if streams else "model.predict([...])"
    yield command(f"import rnnzoo\n\nmodel = rnnzoo.load({_name(folder, quoted=False)!r})\n{answer}")


def _again(run: Summary, folder: Path) -> Iterator[str]:
    name = _name(folder)
    yield "<p>Run it again and compare, or train its recipe in a new folder:</p>"
    yield command(f"rnnzoo reproduce {name}\nrnnzoo fit {name}/config.yaml")
    commit = run.get("commit")
    rows: list[tuple[str, object]] = [("recipe digest", run["digest"])] if "digest" in run else []
    data = run.get("data", {})
    rows += [(f"data {key}", data[key]) for key in ("revision", "fingerprint") if data.get(key)]  # type: ignore[literal-required]
    rows += [("seed", run["seed"])] if "seed" in run else []
    rows += [("started", run["started"].replace("T", " "))] if "started" in run else []
    rows += [("commit", commit)] if commit else []
    rows += [(name, version) for name, version in list(run.get("versions", {}).items())[:50]]
    yield facts(rows)
    try:
        config = without_secrets(files.read_text(folder / "config.yaml", 2**20))
    except (OSError, ValueError):
        return
    more = "\n# ... and more, in config.yaml" if len(config) > CONFIG else ""
    yield f"<details><summary>The complete recipe</summary>{command(config[:CONFIG] + more)}</details>"


def _links(folder: Path, drawn: set[str]) -> str:
    """What callbacks have drawn, as links to files beside the page."""
    try:
        names = sorted(path.name for path in (folder / "pictures").glob("*.svg") if path.stem not in drawn)
    except OSError:
        return ""
    links = [f'<li><a href="pictures/{attribute(quote(name))}">{text(name, 100)}</a></li>' for name in names[:LINKS]]
    return f"<ul>{''.join(links)}</ul>" if links else ""


def _name(folder: Path, quoted: bool = True) -> str:
    name = short(folder).as_posix()
    return shlex.quote(name) if quoted else name
