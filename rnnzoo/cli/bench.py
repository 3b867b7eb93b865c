"""`rnnzoo bench`: how fast a cell or a recipe runs here. The measuring itself is in `rnnzoo.bench`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rnnzoo import registry
from rnnzoo.bench import LENGTHS, MODES, RIVALS, SECTIONS
from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError, unknown
from rnnzoo.system import console, marked
from rnnzoo.system.files import JsonObject
from rnnzoo.system.launcher import rank

EXAMPLE = "rnnzoo bench cell lstm gru --json"
CELL_EPILOG = """\
sizes: A is 200 steps, batch 32, 128 -> 64 (ragged: reviews of 10 to 500 words); B200 and B650 are 35 steps, batch 20,
200 -> 200 and 650 -> 650; C is 32 steps, batch 32, 128 -> 128 (ragged: sentences). Any other: 50x8x16x32.
rivals: torch.nn's layer on padded sequences (wrong where ragged and in both directions) and on packed ones, the
engine's reference loop, and a loop over `cell.forward`; and with more threads than one, the engine with one. A cell
that torch.nn lacks meets nn.LSTM and nn.GRU.
example: rnnzoo bench cell lstm gru --sizes A,C --modes train"""


def add_arguments(parser: Parser) -> None:
    kinds = parser.add_subparsers(metavar="cell | fit | predict | scale", title="what to measure", required=True)
    _add_cell(kinds.add_parser("cell", help="one layer of each cell, against torch.nn", epilog=CELL_EPILOG))
    _add_fit(
        kinds.add_parser(
            "fit",
            help="some training batches of a recipe",
            epilog="example: rnnzoo bench fit quickstart --engine native",
            usage="rnnzoo bench fit RECIPE [--batches N] [--threads N] [--json] [--KEY.KEY VALUE ...]",
        )
    )
    _add_predict(
        kinds.add_parser(
            "predict",
            help="a trained classifier of texts, against the same network in the usual code of PyTorch",
            epilog="example: rnnzoo bench predict sentiment --file reviews.txt",
        )
    )
    _add_scale(
        kinds.add_parser(
            "scale",
            help="how cost grows with processes, examples, steps, hidden sizes and vocabularies",
            epilog="example: rnnzoo bench scale quickstart --sections processes,examples --seconds 120",
            usage="rnnzoo bench scale RECIPE [--sections NAME,...] [--most N] [--seconds S] [--batches N] [--json]\n"
            "                          [--KEY.KEY VALUE ...]",
        )
    )


def _add_predict(predict: Parser) -> None:
    predict.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    predict.add_argument("--file", required=True, metavar="FILE", help="a text a line, or a table")
    predict.add_argument("--text_column", metavar="NAME", help="of a table (default: as the run's data had it)")
    predict.add_argument("--texts", type=_count, default=1024, metavar="N", help="the first so many (default: 1024)")
    predict.add_argument("--threads", type=_count, default=1, metavar="N", help="1, the default, counts processor time")
    predict.add_argument("--rounds", type=_count, default=7, metavar="N", help="samples of each (default: 7)")
    predict.add_argument("--json", action="store_true", help="print one JSON object")
    predict.set_defaults(measure=_predict)


def _add_cell(cell: Parser) -> None:
    cell.add_argument("names", nargs="+", metavar="NAME", help="names from `rnnzoo list cells`")
    cell.add_argument("--sizes", type=_words, default=["A"], metavar="SIZE,...", help="(default: A)")
    for name, known in (("lengths", LENGTHS), ("modes", MODES), ("rivals", RIVALS)):
        cell.add_argument(
            f"--{name}", type=_among(name, known), default=known, metavar=",".join(known), help="(default: all)"
        )
    cell.add_argument("--directions", choices=("auto", "1", "2"), default="auto", help="(default: 2 where ragged)")
    cell.add_argument("--engine", default="auto", metavar="PATH", help="engine path to measure (default: auto)")
    cell.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    cell.add_argument("--threads", type=_count, default=1, metavar="N", help="1, the default, counts processor time")
    cell.add_argument("--rounds", type=_count, default=7, metavar="N", help="samples of each (default: 7)")
    cell.add_argument("--build", action="store_true", help="time the first call, with an empty and with a full cache")
    cell.add_argument("--scaling", action="store_true", help="time a token at 2,000 steps against one at 200")
    output = cell.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--markdown", action="store_true", help="print the README's table")
    output.add_argument("--update", type=Path, metavar="FILE", help="write that table between FILE's bench markers")
    cell.set_defaults(measure=_cell)


def _add_fit(fit: Parser) -> None:
    fit.takes_keys = True
    fit.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name from `rnnzoo list recipes`")
    fit.add_argument("--batches", type=_count, default=20, metavar="N", help="after two to warm up (default: 20)")
    fit.add_argument("--threads", type=_count, default=1, metavar="N", help="(default: 1)")
    fit.add_argument("--json", action="store_true", help="print one JSON object")
    fit.add_argument("--KEY.KEY", metavar="VALUE", help="any key of the recipe")
    fit.set_defaults(measure=_fit)


def _add_scale(scale: Parser) -> None:
    scale.takes_keys = True
    scale.add_argument("recipe", metavar="RECIPE", help="trained in 1, 2 and 4 processes; the rest is generated")
    scale.add_argument(
        "--sections", type=_among("sections", SECTIONS), default=SECTIONS, metavar=",".join(SECTIONS), help="(all)"
    )
    scale.add_argument("--most", type=_count, metavar="N", help="leave out larger sizes")
    scale.add_argument("--seconds", type=_count, default=300, metavar="S", help="for each section (default: 300)")
    scale.add_argument("--batches", type=_count, default=20, metavar="N", help="of the recipe (default: 20)")
    scale.add_argument("--json", action="store_true", help="print one JSON object")
    scale.add_argument("--KEY.KEY", metavar="VALUE", help="any key of the recipe")
    scale.set_defaults(measure=_scale)


def run(arguments: Namespace) -> int:
    return arguments.measure(arguments)


def _words(text: str) -> list[str]:
    words = [word for word in text.split(",") if word]
    if not words:
        raise argparse.ArgumentTypeError("must name one, or several with commas between")
    return words


def _among(what: str, known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        for word in _words(text):
            if word not in known:
                raise ZooError(unknown(f"rnnzoo bench: --{what} knows no", word, known))
        return _words(text)

    return parse


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got '{text}'")
    return int(text)


def _cell(arguments: Namespace) -> int:
    for name in arguments.names:
        registry.find("cells", name)
    from rnnzoo.bench import cells, tables, timing
    from rnnzoo.bench.cases import make_case
    from rnnzoo.bench.first_call import first_calls

    if arguments.update:
        marked.read(arguments.update, tables.MARK)  # a mistake before anything is measured
    cases = [
        make_case(size, lengths == "ragged", None if arguments.directions == "auto" else arguments.directions == "2")
        for size in arguments.sizes
        for lengths in arguments.lengths
    ]
    options = {
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "device": arguments.device,
        "engine": arguments.engine,
    }
    report: JsonObject = {
        "machine": timing.facts(),
        "settings": options | {"clock": timing.clock_name(arguments.threads, arguments.device)},
        "load_before": timing.load(),
        "results": [],
    }
    quiet = arguments.json or arguments.markdown or arguments.update
    for name in arguments.names:
        for case in cases:
            for mode in arguments.modes:
                result = {"name": name} | cells.measure(name, case, mode, rivals=arguments.rivals, **options)
                report["results"].append(result)
                if not quiet:
                    tables.show_result(result)
    if arguments.scaling:
        report["scaling"] = [
            {"name": name} | cells.scaling(name, size, **options)
            for name in arguments.names
            for size in arguments.sizes
        ]
    if arguments.build:
        report["build"] = [
            {"name": name} | first_calls(name, cases[0], arguments.engine, arguments.device) for name in arguments.names
        ]
    report["load_after"] = timing.load()
    if arguments.json:
        console.print_json(report)
    elif arguments.markdown:
        console.print(tables.markdown(report), end="")
    elif arguments.update:
        tables.update(arguments.update, tables.markdown(report))
    else:
        tables.show_rest(report)
    return 0


def _fit(arguments: Namespace) -> int:
    from rnnzoo import recipe
    from rnnzoo.experiment.resolver import resolve

    resolved = resolve(recipe.read(arguments.recipe, arguments.overrides))
    from rnnzoo.bench import recipes, tables

    result = recipes.measure(resolved, arguments.batches, arguments.threads)
    if rank() == 0 and arguments.json:
        console.print_json(result)
    elif rank() == 0:
        tables.show_fit(result)
    return 0


def _predict(arguments: Namespace) -> int:
    from itertools import islice

    from rnnzoo.bench import prediction
    from rnnzoo.inference import predictor, texts

    model = predictor.load(arguments.run)
    with texts.opened(arguments.file, texts.Column.of(model.recipe["data"], arguments.text_column)) as lines:
        asked = list(islice(lines, arguments.texts))
    result = prediction.measure(model, asked, arguments.rounds, arguments.threads)
    if arguments.json:
        console.print_json(result)
        return 0
    speed = result["texts_per_second"]
    of = "processor-second" if result["settings"]["clock"] == "processor" else "second"
    console.print(
        f"{len(asked):,} texts: {speed['rnnzoo']:.0f} a {of}, the usual code {speed['usual']:.0f}: "
        f"{result['speedup']['usual']:.2f}x; the same answers to {result['largest_difference']:.1g}"
    )
    return 0


def _scale(arguments: Namespace) -> int:
    from rnnzoo import recipe
    from rnnzoo.experiment.resolver import resolve

    resolve(recipe.read(arguments.recipe, arguments.overrides))  # a mistake before anything is measured
    from rnnzoo.bench import scale, tables, timing

    report: JsonObject = {
        "machine": timing.facts(),
        "settings": {"threads": 1, "device": "cpu", "clock": "wall and processor"},
        "load_before": timing.load(),
        "sections": {},
    }
    for section in arguments.sections:
        points = [size for size in scale.POINTS[section] if arguments.most is None or size <= arguments.most]
        if section == "processes":
            found = scale.processes(arguments.recipe, arguments.overrides, arguments.batches, arguments.seconds, points)
        else:
            found = getattr(scale, section)(arguments.seconds, points)
        report["sections"][section] = found
    report["load_after"] = timing.load()
    if arguments.json:
        console.print_json(report)
    else:
        tables.show_scale(report)
    return 0
