"""A recorder that stands in for W&B's server on loopback: it keeps all that a client sends, and can fail as servers do.

It answers the GraphQL operations that wandb's core and its public API send, the stream of a run's files, and uploads.
What it does not know it refuses and lists in `unknown`; `recording()` fails where that list is not empty, since a
recorder that lets an unknown operation pass hides what it cannot show. What the web application makes of the data is
not seen.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from wandb_operations import Operations

KEY = "canary0123456789abcdef0123456789abcdef01"  # as long as an API key
AUTHORIZATION = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
STREAMED = {"files", "uploaded", "complete", "exitcode", "preempting"}
OPERATION = re.compile(r"^\s*(?:query|mutation)\s+(\w+)", re.MULTILINE)
Fault = int | str | None  # a status; "stalls", "cuts", "rubbish", "null" or "goes away"


class Recorder(Operations):
    """The server's state, and its answers.

    unknown: operations and paths that it has refused. received: every request as bytes, headers and unpacked body.
    fault: how each request fails while it is set; `fails` narrows it to the paths that it accepts, and `failures`
    counts what has failed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unknown: list[str] = []
        self.received: list[bytes] = []
        self.operations: list[str] = []
        self.fault: Fault = None
        self.fails: Callable[[str], bool] = lambda path: True
        self.failures = 0
        self.ended = threading.Event()
        self.lock = threading.RLock()

    def graphql(self, request: dict) -> tuple[int, dict]:
        found = OPERATION.search(request["query"])
        name = found.group(1) if found else "(without a name)"
        self.operations.append(name)
        answer = getattr(self, f"on_{name}", None)
        if answer is None:
            self.unknown.append(f"{name}: {request['query']}")
            return 400, {"errors": [{"message": f"the recorder does not know {name}"}]}
        return 200, {"data": answer(request.get("variables") or {})}

    def stream(self, entity: str, project: str, name: str, request: dict) -> tuple[int, dict]:
        """Lines of a run's files, each with its place in the file; and how the run ended."""
        run = self.runs[name]
        for file, chunk in request.get("files", {}).items():
            lines = run.lines.setdefault(file, {})
            lines |= {chunk["offset"] + number: line for number, line in enumerate(chunk["content"])}
        if request.get("complete"):
            run.exit_code = request["exitcode"]
        if (run.entity, run.project) != (entity, project) or request.keys() - STREAMED:
            self.unknown.append(f"file_stream of {entity}/{project}/{name}: {sorted(request)}")
        return 200, {"stopped": False}


class Handler(BaseHTTPRequestHandler):
    """One request: kept, failed if that is asked for, else answered from the recorder's state."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        recorder: Recorder = self.server.recorder
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with recorder.lock:
            recorder.received.append(f"{self.command} {self.path}\n{self.headers}".encode() + body)
        if recorder.fault is not None and recorder.fails(self.path):
            recorder.failures += 1
            self.fail(recorder.fault, recorder)
        elif self.path.startswith(("/graphql", "/files/")) and self.headers.get("Authorization") != AUTHORIZATION:
            self.answer(401, b'{"errors": [{"message": "unauthorized"}]}')
        else:
            try:
                with recorder.lock:
                    status, answer = self.route(recorder, body)
            except (KeyError, ValueError, TypeError) as error:  # what was sent is not as it was when this was written
                recorder.unknown.append(f"{error!r} in {self.command} {self.path} {body!r}")
                status, answer = 400, {"errors": [{"message": "the recorder does not understand this request"}]}
            self.answer(status, json.dumps(answer).encode())

    do_GET = do_PUT = do_CONNECT = do_POST

    def route(self, recorder: Recorder, body: bytes) -> tuple[int, dict]:
        match [self.command, *self.path.strip("/").split("/")]:
            case ["POST", "graphql"]:
                return recorder.graphql(json.loads(body))
            case ["POST", "files", entity, project, name, "file_stream"] if name in recorder.runs:
                return recorder.stream(entity, project, name, json.loads(body))
            case ["PUT", "upload", number]:
                recorder.uploads[int(number)](body)
                return 200, {}
            case ["POST", "sdk", "otel", "v1", "logs" | "metrics"]:  # W&B's telemetry of itself
                return 200, {}
        recorder.unknown.append(f"{self.command} {self.path}")
        return 404, {"error": "the recorder does not know this path"}

    def fail(self, fault: int | str, recorder: Recorder) -> None:
        if fault == "stalls":
            recorder.ended.wait()
            self.close_connection = True
        elif fault == "goes away":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif fault == "cuts":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            self.close_connection = True
        else:
            body = {"rubbish": b"\x00\xff<html>", "null": b'{"data": {}}'}.get(str(fault), b"{}")
            self.answer(fault if isinstance(fault, int) else 200, body)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Nothing: a client that was killed has closed its connection."""


@contextlib.contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder that listens. Raises: AssertionError at the end, if it was asked what it does not know."""
    recorder = Recorder()
    server = Server(("127.0.0.1", 0), Handler)
    server.recorder = recorder
    recorder.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        recorder.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
    assert not recorder.unknown, f"unknown to the recorder: {recorder.unknown}"
