"""`rnnzoo encode`: vectors of texts or series, by a trained model."""

from __future__ import annotations

import os

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.inference import texts
from rnnzoo.system import console
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo encode sentiment --file reviews.txt --out vectors.npy"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.add_argument("--file", required=True, metavar="FILE", help="as of `rnnzoo predict`; - is stdin")
    parser.add_argument(
        "--out", required=True, type=typed, metavar="FILE", help="for the vectors (rows, features), .npy"
    )
    parser.add_argument(
        "--pooling", metavar="NAME", help="over steps: last, mean, max or max_mean (default: the model's)"
    )
    parser.add_argument("--text_column", metavar="NAME", help="of a table (default: as the run's data had it)")


def run(arguments: Namespace) -> int:
    path = None if arguments.file == "-" else typed(arguments.file)
    if path is not None and not os.path.isdir(path):
        with texts.opened(arguments.file, texts.Column()):  # a missing file is a mistake before a model is loaded
            pass
    from rnnzoo.inference import encode, predictor

    model = predictor.load(arguments.run)
    if path is not None and (questions := model.read_file(path)) is not None:
        shape = encode.write(model, (question for _, question in questions), arguments.out, arguments.pooling)
    else:
        with texts.opened(arguments.file, texts.Column.of(model.recipe["data"], arguments.text_column)) as asked:
            shape = encode.write(model, asked, arguments.out, arguments.pooling)
    console.print(f"{console.short(arguments.out)}: {shape[0]:,} vectors of {shape[1]:,} numbers")
    return 0
