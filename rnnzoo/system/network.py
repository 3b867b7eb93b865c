"""Whether a server can be reached, asked before its client waits and retries for half a minute."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
SECONDS = 3.0


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

    probe = threading.Thread(target=connect, daemon=True)
    probe.start()
    probe.join(seconds)
    return bool(opened)
