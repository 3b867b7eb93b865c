"""A command within a process of another program, such as a worker of Ray, in any of its threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rnnzoo.cli import program
from rnnzoo.errors import Stopped, ZooError
from rnnzoo.system import console

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments import ClusterEnvironment


class Ended(NamedTuple):
    """How a command ended. code: its exit code. message: what is left to be told the user, "" for nothing."""

    code: int
    message: str


def run_hosted(words: Sequence[str], environment: Callable[[], ClusterEnvironment] | None = None) -> Ended:
    """Run the words of a command after `rnnzoo`. What it prints goes where `sys.stdout` and `sys.stderr` go.

    environment: makes what tells Lightning of the processes of the run, where the program's own numbers them. The
    numbers must be in the process's own environment, too: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE.
    A mistake of the caller and a request to stop (`rnnzoo.ask_to_stop`) are answers; whatever else is raised goes
    through.
    """
    from rnnzoo.training.trainer import HOST_ENVIRONMENT

    before = HOST_ENVIRONMENT.set(environment)
    try:
        code = program.run([*words])
        console.flush()
        return Ended(code, "")
    except ZooError as error:
        return Ended(program.MISTAKE_EXIT, str(error))
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else program.SIGINT_EXIT - program.SIGNAL_EXIT
        return Ended(program.SIGNAL_EXIT + number, str(stop) or "stopped.")
    finally:
        HOST_ENVIRONMENT.reset(before)
