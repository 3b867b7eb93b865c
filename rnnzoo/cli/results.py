"""`rnnzoo results`: the table of all recipes' numbers."""

import argparse

from rnnzoo.errors import ZooError
from rnnzoo.results import manifests, tables
from rnnzoo.results.rows import rows
from rnnzoo.system import console, files, marked


def run(arguments: argparse.Namespace) -> int:
    """`rnnzoo results`: judge, keep and ship runs if asked, then print the table and write it where asked."""
    table, stale = rows(_manifests(arguments))
    for reason in stale:
        console.print_error(reason)
    if not table:
        raise ZooError("no run counts.\n  A run counts if it is a finished one of a shipped recipe, as it stands.")
    brief = tables.BRIEF[:-1]  # a terminal has no room for sources
    console.table([brief, *([tables.SHOWN[column](row).strip("`") for column in brief] for row in table)])
    pages = {arguments.markdown: tables.PAGE + tables.markdown(table), arguments.csv: tables.as_csv(table)}
    if arguments.update:
        pages[arguments.update] = tables.updated(marked.read(arguments.update, tables.MARK), table)
    for path, text in pages.items():
        if path:
            files.write_text(path, text)
    return 0


def _manifests(arguments: argparse.Namespace) -> list[manifests.Manifest]:
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
