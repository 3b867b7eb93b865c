"""`rnnzoo vectors`: what it does is in `rnnzoo.vectors`."""

from __future__ import annotations

from pathlib import Path

from rnnzoo import limits
from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError
from rnnzoo.system import console

EXAMPLE = "rnnzoo vectors train --data ptb --out ptb_vectors.txt"
COUNTS = {
    "size": (100, "numbers a vector"),
    "window": (5, "words to each side, at most"),
    "negative": (5, "words drawn beside each true one"),
    "min_count": (5, "how often a word with a vector occurs at least"),
    "epochs": (5, "passes over the text"),
    "seed": (1, "the same seed gives the same vectors"),
}
SETS = ("wordsim353", "simlex999", "analogies")


def add_arguments(parser: Parser) -> None:
    verbs = parser.add_subparsers(metavar="train | evaluate", title="what to do", required=True)

    train = verbs.add_parser(
        "train",
        help="learn vectors from running text: word2vec (needs gensim)",
        epilog="example: rnnzoo vectors train --data wikitext2 --method skipgram --out wikitext2.txt",
    )
    train.add_argument("--data", required=True, metavar="NAME|FILE", help="a data set's training split, or a text file")
    train.add_argument("--out", required=True, type=Path, metavar="FILE", help="where to write the vectors, as text")
    train.add_argument("--method", choices=("skipgram", "cbow"), default="skipgram", help="(default: skipgram)")
    for name, (default, summary) in COUNTS.items():
        train.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{summary} (default: {default})")
    train.set_defaults(do=_train)

    evaluate = verbs.add_parser(
        "evaluate",
        help="score vectors on word similarity and analogies",
        epilog="example: rnnzoo vectors evaluate glove.6B.50d.txt\n"
        "WordSim-353, SimLex-999 and the analogies are downloaded once, unless their paths are arguments.",
    )
    evaluate.add_argument("file", metavar="FILE", help="vectors in the text format of GloVe or word2vec")
    for name in SETS:
        evaluate.add_argument(f"--{name}", metavar="FILE", help="a path, or an https address#sha256=DIGEST")
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    evaluate.set_defaults(do=_evaluate)


def run(arguments: Namespace) -> int:
    return arguments.do(arguments)


def _train(arguments: Namespace) -> int:
    settings = {name: getattr(arguments, name) for name in COUNTS}
    for name, value in settings.items():
        if wrong := limits.violation(limits.Seed if name == "seed" else limits.Count, value):
            raise ZooError(f"rnnzoo vectors train: --{name} {wrong}.")
    from rnnzoo.vectors import train

    text = train.sentences(arguments.data)
    count = train.train(text, arguments.out, arguments.method, **settings)
    console.print(
        f"{count:,} vectors of {arguments.size} numbers, from {sum(map(len, text)):,} tokens: {arguments.out}"
    )
    return 0


def _evaluate(arguments: Namespace) -> int:
    from rnnzoo.data.readers.fetch import fetch
    from rnnzoo.vectors import evaluate
    from rnnzoo.vectors.files import read_vectors

    pairs = {
        name: evaluate.read_pairs(getattr(arguments, name) or address) for name, address in evaluate.SIMILARITY.items()
    }
    questions = evaluate.read_questions(arguments.analogies or evaluate.ANALOGIES)
    vectors = read_vectors(fetch(arguments.file))
    similar = {name: evaluate.similarity(vectors, rows) for name, rows in pairs.items()}
    answers = evaluate.analogies(vectors, questions)
    total = evaluate.Analogies("all", *(sum(counts) for counts in zip(*(row[1:] for row in answers), strict=True)))
    if arguments.json:
        scores: dict[str, object] = {"file": arguments.file, "words": len(vectors.words), "size": vectors.size}
        scores |= {name: score._asdict() for name, score in similar.items()}
        console.print_json(scores | {"analogies": [row._asdict() for row in (*answers, total)]})
        return 0
    share = "{} of {}".format
    table: list[tuple[object, ...]] = [("SIMILARITY", "SPEARMAN", "PAIRS COVERED")]
    for name, score in similar.items():
        spearman = "-" if score.spearman is None else score.spearman
        table.append((name, spearman, share(score.covered, score.total)))
    console.table(table)
    table = [("ANALOGIES", "CORRECT", "QUESTIONS COVERED")]
    for name, correct, covered, of in (*answers, total):
        table.append((name, f"{100 * correct / covered:.1f} %" if covered else "-", share(covered, of)))
    console.table(table)
    return 0
