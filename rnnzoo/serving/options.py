"""Where a server listens, how it makes batches, and what it takes at most."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """The settings of a server.

    batch_size: inputs that are answered together, of all requests. batch_wait: seconds that the first of them waits for
    others. timeout: seconds that a request may take. body: bytes of a request. texts: inputs of a request. characters:
    of a text. steps: of a series. tokens: written for a request, of all its prompts together. waiting: requests that
    wait for the model. threads: of torch; None takes what torch does, but for one core that reads and writes.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    batch_size: int = 256
    batch_wait: float = 0.02
    timeout: float = 30.0
    body: int = 2**20
    texts: int = 256
    characters: int = 20_000
    steps: int = 20_000
    tokens: int = 2_000
    waiting: int = 2_048
    threads: int | None = None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on a host."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
