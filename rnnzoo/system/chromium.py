"""A headless Chromium, driven over its debugging pipe by the standard library alone."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60  # for an answer
OPTIONS = ("--headless=new", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars", "--no-first-run")


class BrowserError(Exception):
    """The browser has ended, does not answer, or its page threw an error."""


def find() -> str | None:
    """The path of a Chromium that can be driven here; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None


class Chromium:
    """One page of a browser of its own, with an empty profile.

    errors: what the page wrote to its console as an error, what it threw, and what its policy blocked. requests: what
    it asked to load. Raises: BrowserError, from every method.
    """

    def __init__(self, program: str) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._folder = tempfile.mkdtemp(prefix="rnnzoo-browser-")
        (read, self._write), (self._read, write) = os.pipe(), os.pipe()

        def connect() -> None:  # Chromium reads commands from descriptor 3 and answers on 4
            ends = os.dup(read), os.dup(write)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        command = [program, *OPTIONS, f"--user-data-dir={self._folder}"]
        if os.geteuid() == 0:  # its sandbox refuses to run as root
            command.append("--no-sandbox")
        self._process = subprocess.Popen(
            command, close_fds=False, preexec_fn=connect, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(read)
        os.close(write)
        self._numbers, self._buffer = itertools.count(1), b""
        self._session: str | None = None
        with contextlib.ExitStack() as unless_it_works:
            unless_it_works.callback(self.close)
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.ask(f"{domain}.enable")
            unless_it_works.pop_all()

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser, and remove its profile."""
        self._process.kill()
        self._process.wait()
        for end in (self._write, self._read):
            with contextlib.suppress(OSError):
                os.close(end)
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol."""
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        try:
            os.write(self._write, json.dumps(message).encode() + b"\0")
        except OSError as error:
            raise BrowserError("the browser has ended") from error
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    @property
    def version(self) -> str:
        """Its name and version."""
        return str(self.ask("Browser.getVersion")["product"]).replace("/", " ")

    def show(self, path: Path) -> None:
        """Show a file, and wait until it is loaded."""
        self.ask("Page.navigate", url=path.absolute().as_uri())
        deadline = time.monotonic() + SECONDS
        while self.run("document.readyState") != "complete":
            if time.monotonic() > deadline:
                raise BrowserError("the page does not load")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; of a promise, what it gives."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(str(details.get("exception", {}).get("description") or details.get("text")))
        return result["result"].get("value")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], SECONDS)[0]:
                raise BrowserError("the browser does not answer")
            piece = os.read(self._read, 2**20)
            if not piece:
                raise BrowserError("the browser has ended")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        event: dict[str, Any] = json.loads(line)
        return event

    def _note(self, event: dict[str, Any]) -> None:
        method, facts = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(facts["exceptionDetails"]))
        elif method == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.errors.append(facts["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and facts["type"] == "error":
            self.errors.append(str(facts["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])
