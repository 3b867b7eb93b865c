"""Serve a model until someone ends it."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
import uvicorn

from rnnzoo.errors import RunError
from rnnzoo.serving.app import Server
from rnnzoo.serving.gate import App
from rnnzoo.serving.options import Options
from rnnzoo.serving.protocol import BoundedProtocol
from rnnzoo.system import files

if TYPE_CHECKING:
    from rnnzoo.inference.predictor import Predictor

BACKLOG = 2048  # connections that wait to be taken
CONNECTIONS = 4096  # that are open; one more gets 503
GRACE_SECONDS = 5  # for what is under way, when the server is asked to end
KEEP_ALIVE_SECONDS = 30  # that a connection may rest between two requests
SWITCH_SECONDS = 0.001  # that one thread of Python may keep the other waiting


def serve(predictor: Predictor, name: str, options: Options, ready: Callable[[str], None]) -> None:
    """Answer requests until SIGINT or SIGTERM; then finish those that are under way.

    ready: gets the server's address once it listens. Raises: RunError if it cannot listen there.
    """
    with listen(options.host, options.port) as listener, _threads(options.threads), _settled():
        make_server(Server(predictor, name, options).app(), lambda: ready(address(listener))).run([listener])


def make_server(app: App, ready: Callable[[], None]) -> uvicorn.Server:
    """uvicorn's server of an application, within the limits of this module."""
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return _Server(config, ready)


def address(listener: socket.socket) -> str:
    """Where a socket listens, as a URL."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises: RunError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as stack:  # closes it where it cannot listen
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":  # elsewhere it would let two programs listen at one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            stack.pop_all()
        return listener
    except (OSError, UnicodeError, OverflowError) as error:
        used = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "another program listens there" if used else files.reason(error)
        raise RunError(
            f"cannot listen at port {port} of {host}: {why}.\n"
            "  Give another with --port; --port 0 takes one that is free. --host is an address of this machine."
        ) from None


class _Server(uvicorn.Server):
    """uvicorn's, which ends well at a signal, rather than by it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Keep what is loaded by now out of garbage collection: a pass over all of it holds every answer up for 0.1 s."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def _threads(asked: int | None) -> Iterator[None]:
    """torch's threads, but for one core that reads requests; and two threads of Python that do not wait for long."""
    before, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(asked or max(1, before - 1))
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        sys.setswitchinterval(interval)
