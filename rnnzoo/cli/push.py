"""`rnnzoo push`: put a trained model into a repository of the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console

EXAMPLE = "rnnzoo push runs/quickstart/ID my-team/reviews-lstm --license apache-2.0"


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's folder or id, or a shipped model's name")
    parser.add_argument("repository", metavar="OWNER/NAME", help="of the Hub; made where there is none")
    parser.add_argument("--private", action="store_true", help="if it is made, only its owner sees it")
    parser.add_argument("--revision", metavar="BRANCH", help="made where there is none (default: main)")
    parser.add_argument("--license", metavar="ID", help="of the model, as the Hub calls it: apache-2.0, cc-by-sa-4.0")
    parser.add_argument("--data_license", metavar="TEXT", help="of the data that it learned from, for the card")
    parser.add_argument("--dry_run", action="store_true", help="show what would be sent, and send nothing")


def run(arguments: Namespace) -> int:
    from rnnzoo.publishing import push

    repository = arguments.repository.removeprefix("hf://")
    push.check_name(repository, arguments.revision)
    from rnnzoo.publishing.card import card
    from rnnzoo.publishing.package import CARD, package
    from rnnzoo.publishing.terms import license_of_data
    from rnnzoo.system import files

    with tempfile.TemporaryDirectory(prefix=files.TEMPORARY) as scratch:
        packed = package(arguments.run, Path(scratch) / "package")
        terms = arguments.data_license or license_of_data(packed, ask=not arguments.dry_run)
        text = card(packed, repository, arguments.license, terms)
        files.write_text(packed.folder / CARD, text)
        if terms is None:
            console.print_error("The card says that the data's licence is unknown; --data_license says which it is.")
        if arguments.dry_run:
            console.table(push.listing(packed), f"{repository} would get")
            console.print(f"\n{text}")
            return 0
        address = push.push(packed, repository, arguments.private, arguments.revision)
    revision = f"@{arguments.revision}" if arguments.revision not in (None, "main") else ""
    console.print(f"pushed: {address}\n  rnnzoo predict hf://{repository}{revision} --text TEXT")
    return 0
