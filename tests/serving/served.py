"""A server on a free port of this machine, in a thread; and models that do what a test needs."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from rnnzoo.serving.app import Server
from rnnzoo.serving.options import Options
from rnnzoo.serving.serve import listen, make_server

JSON = {"Content-Type": "application/json"}


class Address:
    """Where a server listens."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Any:
        """A request: its status, headers and body. A body that is no text or bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        sent = sent.encode() if isinstance(sent, str) else sent
        connection.request(method, path, sent, JSON if headers is None else headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return SimpleNamespace(status=response.status, headers=response.headers, text=content.decode())

    def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of a request with JSON."""
        response = self.ask("POST", path, body, JSON | headers)
        return response.status, json.loads(response.text)

    def get(self, path: str) -> str:
        response = self.ask("GET", path)
        assert response.status == 200, response.text
        return response.text


@contextlib.contextmanager
def served(predictor: Any, **options: Any) -> Iterator[Address]:
    """A running server of a model."""
    ready = threading.Event()
    with listen("127.0.0.1", 0) as listener:
        server = make_server(Server(predictor, "test", Options(**options)).app(), ready.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            assert ready.wait(20)
            yield Address(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def model(predict: Callable[[list[Any]], list[Any]], asks: str = "text") -> Any:
    """What looks like a predictor: it answers with what `predict` returns."""
    return SimpleNamespace(
        form=SimpleNamespace(asks=asks),
        task=SimpleNamespace(generates_text=False),
        predict=lambda inputs, batch_size: predict(inputs),
    )


def echo(inputs: list[Any]) -> list[Any]:
    """Each input as its answer."""
    return [{"asked": item if not isinstance(item, bytes) else item.decode()} for item in inputs]
