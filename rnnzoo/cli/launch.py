"""`rnnzoo launch`: the script that trains a recipe on other machines."""

from __future__ import annotations

from rnnzoo.cli.parser import Namespace, Parser
from rnnzoo.system import console
from rnnzoo.system.paths import typed

EXAMPLE = "rnnzoo launch torchrun imdb_bilstm --nodes 2 --launch.hosts '[10.0.0.1, 10.0.0.2]'"


def add_arguments(parser: Parser) -> None:
    parser.usage = "rnnzoo launch NAME RECIPE [--nodes N] [--devices N] [--run_dir DIR] [--KEY.KEY VALUE ...]"
    parser.takes_keys = True
    parser.add_argument("name", metavar="NAME", help="from `rnnzoo list launchers`")
    parser.add_argument("recipe", metavar="RECIPE", help="a YAML file, or a name from `rnnzoo list recipes`")
    parser.add_argument("--nodes", type=int, metavar="N", help="machines (default: the recipe's trainer.num_nodes)")
    parser.add_argument(
        "--devices", type=int, metavar="N", help="processes on each machine (default: the recipe's trainer.devices)"
    )
    parser.add_argument(
        "--run_dir",
        type=typed,
        metavar="DIR",
        help="folder of the run, which all machines share; one that is there goes on",
    )
    parser.add_argument(
        "--launch.KEY", metavar="VALUE", help="a setting of the launcher, from `rnnzoo show launcher NAME`"
    )
    parser.add_argument("--KEY.KEY", metavar="VALUE", help="a key of the recipe, such as --model.head.dropout 0.3")


def run(arguments: Namespace) -> int:
    from rnnzoo.experiment.launch import prepare

    where = (arguments.run_dir, arguments.nodes, arguments.devices)
    launcher, job = prepare(arguments.name, arguments.recipe, arguments.overrides, *where)
    console.print(launcher.script(job), end="")
    return 0
