"""`rnnzoo results`: the table of all recipes' numbers."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.errors import ZooError
from rnnzoo.results import manifests, tables
from rnnzoo.results.rows import rows
from rnnzoo.system import console, files, marked
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo results   or   rnnzoo results runs/imdb_bilstm/ID --keep"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", nargs="*", metavar="RUN", help="runs' folders or ids (default: those that were kept)")
    parser.add_argument("--keep", action="store_true", help="keep the runs' facts in recipes/manifests first")
    parser.add_argument("--ship", action="store_true", help="put the runs' weights into rnnzoo/pretrained")
    parser.add_argument("--markdown", type=typed, metavar="FILE", help="write a page with the table, as RESULTS.md")
    parser.add_argument("--csv", type=typed, metavar="FILE", help="write the table with all columns")
    parser.add_argument("--update", type=typed, metavar="FILE", help="write the table into a marked page, as README.md")


def run(arguments: Namespace) -> int:
    """Judge, keep and ship runs if asked, then print the table and write it where asked."""
    table, stale = rows(_manifests(arguments))
    for reason in stale:
        console.print_error(reason)
    if not table:
        raise ZooError(
            "no run counts.\n  A run counts if it has finished and its recipe is a shipped one, as it is now."
        )
    brief = tables.BRIEF[:-1]  # a terminal has no room for sources
    console.table([brief, *([tables.SHOWN[column](row).strip("`") for column in brief] for row in table)])
    pages = {arguments.markdown: tables.PAGE + tables.markdown(table), arguments.csv: tables.as_csv(table)}
    if arguments.update:
        pages[arguments.update] = tables.updated(marked.read(arguments.update, tables.MARK), table)
    for path, text in pages.items():
        if path:
            files.write_text(path, text)
    return 0


def _manifests(arguments: Namespace) -> list[manifests.Manifest]:
    """Those of the runs that were named, which are kept and shipped if asked; else all that are kept."""
    if not arguments.run:
        if arguments.keep or arguments.ship:
            raise ZooError(
                "rnnzoo results: --keep and --ship need runs.\n  As in: rnnzoo results runs/quickstart/ID --keep"
            )
        return manifests.kept()
    from rnnzoo.results import ship
    from rnnzoo.results.judge import manifest

    judged = [manifest(path) for path in arguments.run]
    for path, facts in zip(arguments.run, judged, strict=True):
        if arguments.keep:
            console.print_error(f"kept {manifests.keep(facts)}")
        if arguments.ship:
            console.print_error(f"shipped {ship.export(path)}")
    return manifests.kept() if arguments.keep else judged
