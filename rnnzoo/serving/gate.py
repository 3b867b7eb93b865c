"""What every request passes: which host it is for, where it comes from, and what it holds; and counting it.

A page of any web site may send requests to a server on this machine (cross-site request forgery), and with a name that
its owner points to 127.0.0.1 it could also read the answers (DNS rebinding). So a loopback server answers to its own
names only; what is posted is JSON, which a foreign page cannot send without being asked first; and a request whose
Origin is another site is refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any

from starlette.responses import Response

from rnnzoo.serving.metrics import Metrics
from rnnzoo.serving.options import Options, is_loopback
from rnnzoo.serving.questions import parsed
from rnnzoo.serving.refused import Refused
from rnnzoo.system.console import inline
from rnnzoo.system.plain import plain

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Handler = Callable[[dict[str, Any]], Awaitable[App]]
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]  # of every answer


class Gate:
    """An ASGI application around another one. What is posted as JSON it answers itself, by `posted`."""

    def __init__(
        self, app: App, posted: Mapping[str, Handler], paths: Collection[str], options: Options, metrics: Metrics
    ) -> None:
        """posted: by path, what answers the JSON that is posted there. paths: of `app`."""
        self.app, self.posted, self.paths, self.metrics = app, posted, frozenset([*paths, *posted]), metrics
        self.body, self.timeout = options.body, options.timeout
        self.hosts = {"localhost", "127.0.0.1", "::1", options.host.lower()} if is_loopback(options.host) else None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            await (await self._answer(scope, receive))(scope, receive, sending)
        finally:
            path = scope["path"] if scope["path"] in self.paths else "other"
            self.metrics.answered(path, status, time.perf_counter() - began)
        return None

    async def _answer(self, scope: Message, receive: Receive) -> App:
        """What answers a request."""
        try:
            self._check(scope)
            handler = self.posted.get(scope["path"]) if scope["method"] == "POST" else None
            if handler is None:
                return self.app
            return await handler(parsed(await self._read(receive)))
        except Refused as refused:
            return refusal(refused)

    def _check(self, scope: Message) -> None:
        """Raises: Refused."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self.hosts is not None and _host_name(host) not in self.hosts:
            raise Refused(403, f"this server answers to {', '.join(sorted(self.hosts))}, not to '{inline(host, 100)}'")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and _site(origin) != host.lower():
            raise Refused(403, f"a page of '{inline(origin, 100)}' may not ask this server")
        if scope["method"] != "POST":
            return
        content = headers.get(b"content-type", b"").decode("latin-1")
        if content.partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, f"send Content-Type: application/json, not '{inline(content, 100)}'")
        if b"content-encoding" in headers:
            raise Refused(415, "send the body as it is, without a Content-Encoding")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.body:
            raise Refused(413, f"the body has {int(length):,} bytes, and a request at most {self.body:,}")

    async def _read(self, receive: Receive) -> bytes:
        """The body of a request. Raises: Refused for one that is too large or too slow."""
        late = False

        def give_up(task: asyncio.Task[Any]) -> None:
            nonlocal late
            late = True
            task.cancel()

        task = asyncio.current_task()
        assert task is not None
        timer = asyncio.get_running_loop().call_later(self.timeout, give_up, task)
        try:
            return await _body(receive, self.body)
        except asyncio.CancelledError:
            if late:
                raise Refused(408, f"the body did not arrive within {self.timeout:g} seconds") from None
            raise
        finally:
            timer.cancel()


async def _body(receive: Receive, most: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the body did not arrive")
        body += message.get("body", b"")
        if len(body) > most:
            raise Refused(413, f"the body has more than {most:,} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):
        text = json.dumps(plain(value), ensure_ascii=False)
    return Response(text, status, headers, "application/json")


def refusal(refused: Refused) -> Response:
    """The answer to a refused request: come again; or on another connection, as what else it sends is not read."""
    headers = {"Retry-After": "1"} if refused.status == 503 else {"Connection": "close"}
    return answer(refused.body(), refused.status, headers)


def _host_name(host: str) -> str:
    """The name in a Host header, without its port and the brackets of IPv6."""
    name = host.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if ":" in name else name


def _site(origin: str) -> str:
    """Host and port in an Origin header, as a Host header has them."""
    return origin.lower().partition("://")[2]
