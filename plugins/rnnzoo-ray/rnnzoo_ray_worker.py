"""What runs in the processes that Ray starts: the command of a run, with its output and requests to stop passed on."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from rnnzoo import Ended, ask_to_stop, run_hosted

SECONDS = 1.0  # that a question waits for an answer, before it is asked again


class Answer(NamedTuple):
    """What has come from the workers. output: stream (1 or 2) and text. ended: by rank. heard: whether one listened."""

    output: list[tuple[int, str]]
    ended: dict[int, tuple[int, str]]
    hosts: dict[int, str]
    heard: dict[int, bool]


class Relay:
    """An actor between the command that a user has started and its workers."""

    def __init__(self) -> None:
        self._output: list[tuple[int, str]] = []
        self._ended: dict[int, tuple[int, str]] = {}
        self._hosts: dict[int, str] = {}
        self._heard: dict[int, bool] = {}
        self._number = 0
        self._news, self._stopped = asyncio.Event(), asyncio.Event()

    async def here(self, rank: int, host: str) -> None:
        self._hosts[rank] = host

    async def write(self, stream: int, text: str) -> None:
        self._output.append((stream, text))
        self._news.set()

    async def ended(self, rank: int, code: int, message: str) -> None:
        self._ended[rank] = (code, message)
        self._news.set()

    async def heard(self, rank: int, listening: bool) -> None:
        self._heard[rank] = listening
        self._news.set()

    async def read(self) -> Answer:
        """Waits for news, and gives at once what there is."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._news.wait(), SECONDS)
        self._news.clear()
        output, self._output = self._output, []
        return Answer(output, self._ended, self._hosts, self._heard)

    async def stop(self, number: int) -> None:
        self._number = number
        self._stopped.set()

    async def asked(self) -> int:
        """Waits until the workers are asked to stop: the signal's number."""
        await self._stopped.wait()
        return self._number


class Stream(io.TextIOBase):
    """A stream of a worker whose text goes to the user's terminal."""

    encoding = "utf-8"

    def __init__(self, relay: Any, number: int, terminal: bool) -> None:
        self._relay, self._number, self._terminal = relay, number, terminal

    def write(self, text: str) -> int:
        if text:
            self._relay.write.remote(self._number, text)
        return len(text)

    def isatty(self) -> bool:
        return self._terminal

    def writable(self) -> bool:
        return True


def work(settings: dict[str, Any]) -> None:
    """Run the command in this worker; its end is told to the relay, and is never an error of Ray's."""
    import lightning.pytorch  # noqa: F401  # before Ray's: its classes are of whichever Lightning is there first
    import ray
    import ray.train
    from ray.train.lightning import RayLightningEnvironment

    relay, context = settings["relay"], ray.train.get_context()
    rank = context.get_world_rank()
    ray.get(relay.here.remote(rank, socket.gethostname()))
    if problem := _problem(settings, context):
        ended = Ended(2, problem)
    else:
        os.environ.update(settings["environment"])
        os.chdir(settings["folder"])
        threading.Thread(target=_listen, args=(relay, rank), daemon=True).start()
        before = sys.stdout, sys.stderr
        terminals = settings["terminals"]
        sys.stdout, sys.stderr = (Stream(relay, n, terminals[n - 1]) if rank == 0 else io.StringIO() for n in (1, 2))
        try:
            ended = run_hosted(settings["words"], RayLightningEnvironment)
        finally:
            sys.stdout, sys.stderr = before
    ray.get(relay.ended.remote(rank, *ended))
    if ended.code:
        _leave()


def _problem(settings: dict[str, Any], context: Any) -> str | None:
    """Why a run cannot work where Ray has placed this process."""
    host, here = socket.gethostname(), context.get_local_world_size()
    if not Path(settings["folder"]).is_dir():
        return (
            f"{host} has no folder {settings['folder']}, in which the command was given.\n"
            "  All machines of the cluster need it, and the run's folder in it, at the same path."
        )
    if here != settings["devices"]:
        return (
            f"Ray has placed {here} processes on {host}, and each machine was to have {settings['devices']}.\n"
            "  Ask for as many as fit on each machine, or for one on each: --devices 1."
        )
    return None


def _listen(relay: Any, rank: int) -> None:
    import ray

    with contextlib.suppress(ray.exceptions.RayError):
        number = ray.get(relay.asked.remote())
        ray.get(relay.heard.remote(rank, ask_to_stop(number)))


def _leave() -> None:
    """Close this process's connections to the others, which then find it gone instead of waiting for it."""
    import torch.distributed as distributed

    with contextlib.suppress(RuntimeError, ValueError):
        if distributed.is_initialized():
            distributed.destroy_process_group()
