"""A stand-in for the Hugging Face Hub on loopback: with repositories of its own, and failing as told."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
PATH = re.compile(
    r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)/?(?P<verb>revision|tree|paths-info)?(/(?P<revision>[^/]+))?(?P<under>/.*)?"
)
FILE = re.compile(r"/(?P<kind>datasets/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


class Hub(ThreadingHTTPServer):
    """repositories: files by "models/owner/name" or "datasets/owner/name". fault: how each answer goes wrong, an HTTP
    status, "stall", "cut" or "html"; None for right answers. only: the paths of which that is so, as a pattern."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.fault: int | str | None = None
        self.only = ""
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that have gone."""


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"
    codes: ClassVar = {401: "GatedRepo", 404: "RepoNotFound", 410: "RevisionNotFound"}

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        fault = self.server.fault if re.search(self.server.only, path) else None
        if fault == "stall":
            time.sleep(3600)
        elif isinstance(fault, int):
            self.fail(404 if fault == 410 else fault, self.codes.get(fault, ""))
        elif fault == "html":
            self.answer(b"<html>not what you think</html>" * 9, "text/html")
        elif match := PATH.fullmatch(path):
            self.describe(match)
        elif match := FILE.fullmatch(path):
            self.send_file(match, cut=fault == "cut")
        else:
            self.fail(404, "EntryNotFound")

    do_HEAD = do_POST = do_GET

    def describe(self, match: re.Match[str]) -> None:
        files = self.server.repositories.get(f"{match['kind']}/{match['name']}")
        if self.command == "POST":
            self.rfile.read(int(self.headers["Content-Length"]))
        if files is None:
            self.fail(404, "RepoNotFound")
            return
        entries = [{"type": "file", "path": p, "size": len(c), "oid": digest(c)} for p, c in files.items()]
        if match["verb"] in ("tree", "paths-info"):
            under = (match["under"] or "").strip("/")
            self.answer(json.dumps([e for e in entries if str(e["path"]).startswith(under)]).encode())
            return
        siblings = [{"rfilename": e["path"], "size": e["size"], "blobId": e["oid"]} for e in entries]
        facts = {"id": match["name"], "sha": COMMIT, "private": False, "gated": False, "tags": [], "siblings": siblings}
        self.answer(json.dumps(facts | {"disabled": False, "downloads": 0, "likes": 0}).encode())

    def send_file(self, match: re.Match[str], cut: bool) -> None:
        kind = "datasets" if match["kind"] else "models"
        content = self.server.repositories.get(f"{kind}/{match['name']}", {}).get(match["path"])
        if content is None:
            self.fail(404, "EntryNotFound")
        else:
            self.answer(content, "application/octet-stream", cut)

    def answer(self, content: bytes, kind: str = "application/json", cut: bool = False) -> None:
        self.send_response(200)
        headers = {"Content-Type": kind, "Content-Length": len(content), "ETag": f'"{digest(content)}"'}
        for name, value in (headers | {"X-Repo-Commit": COMMIT}).items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut

    def fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("X-Error-Code", code)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
