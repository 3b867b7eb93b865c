"""`rnnzoo results`: the table of all recipes' numbers."""

import argparse

from rnnzoo import results
from rnnzoo.errors import ZooError
from rnnzoo.results import ship
from rnnzoo.system import console, files


def run(given: argparse.Namespace) -> int:
    """`rnnzoo results`: judge, keep and ship runs if asked, then print the table and write it where asked."""
    if (given.keep or given.ship) and not given.run:
        raise ZooError(
            "rnnzoo results: --keep and --ship need runs.\n  As in: rnnzoo results runs/quickstart/ID --keep"
        )
    for path in given.run:
        if given.keep:
            console.print_error(f"kept {results.keep(path)}")
        if given.ship:
            console.print_error(f"shipped {ship.export(path)}")
    found, stale = results.rows(results.kept() if given.keep or not given.run else map(results.manifest, given.run))
    for why in stale:
        console.print_error(why)
    if not found:
        raise ZooError("no run counts.\n  A run counts if it is a finished one of a shipped recipe, as it stands.")
    brief = results.BRIEF[:-1]  # a terminal has no room for sources
    console.table([brief, *([results.SHOWN[column](row).strip("`") for column in brief] for row in found)])
    pages = {given.markdown: results.PAGE + results.markdown(found), given.csv: results.as_csv(found)}
    if given.update:
        try:
            pages[given.update] = results.updated(files.read_text(given.update), found)
        except (OSError, ValueError) as error:
            raise ZooError(f"cannot read {given.update}: {files.reason(error)}.") from error
    for path, text in pages.items():
        if path:
            files.write_text(path, text)
    return 0
