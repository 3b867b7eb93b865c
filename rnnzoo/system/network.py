"""Servers that may not answer: whether one can be reached, and work that is not waited for without end."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
SECONDS = 3.0
Result = TypeVar("Result")


def answers(url: str, seconds: float = SECONDS) -> bool:
    """Whether a connection to the URL's server opens in time. Behind a proxy this cannot be known: True."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    if (parts.scheme in proxies or "all" in proxies) and not urllib.request.proxy_bypass(host):
        return True
    return connects(host, parts.port or PORTS.get(parts.scheme, 443), seconds)


def connects(host: str, port: int, seconds: float = SECONDS) -> bool:
    """Whether a TCP connection opens in time; looking the name up counts, which a socket's timeout does not cover."""
    opened = []

    def connect() -> None:
        with contextlib.suppress(OSError, UnicodeError), socket.create_connection((host, port), seconds):
            opened.append(True)

    with contextlib.suppress(TimeoutError):
        within(seconds, connect)
    return bool(opened)


def within(seconds: float, work: Callable[[], Result], errors: tuple[type[Exception], ...] = ()) -> Result:
    """What some work returns, in so many seconds; after them it is left alone, in a thread of its own.

    errors: what it may raise, which is raised here. Raises: TimeoutError.
    """
    results: list[Result] = []
    raised: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except errors as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not results:
        raise TimeoutError(f"it was not done within {seconds:.0f} seconds")
    return results[0]


def hub_errors() -> tuple[type[Exception], ...]:
    """What the client of the Hugging Face Hub raises: without a network, for no such thing, on a full disk."""
    from huggingface_hub.errors import HfHubHTTPError

    client = HfHubHTTPError.__bases__  # the errors of the HTTP library, whichever it is, and OSError
    return (*client, OSError, ValueError, RuntimeError)
