"""Load for a server of `rnnzoo serve`: many clients at once, each asking again as soon as it is answered.

`python tests/serve_load.py sentiment --clients 200 --seconds 60` starts a server, measures one client and then many,
compares each answer with the offline one, and exits 1 if a request fails, an answer differs, or the 99th percentile of
many is above five times the median of one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

REVIEW = "one of the best films i have seen , and not only for its actors , who are good in every scene ."
MOST = 5  # times the seconds of one client that many may take


class Load(NamedTuple):
    """seconds: that each request took, sorted. failures: by what was wrong."""

    seconds: list[float]
    failures: Counter[str]

    def quantile(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))] if self.seconds else math.inf

    def __str__(self) -> str:
        p50, p99 = (1000 * self.quantile(share) for share in (0.5, 0.99))
        wrong = ", ".join(f"{count} x {what}" for what, count in self.failures.items()) or "no failure"
        return f"{len(self.seconds):,} requests, median {p50:.1f} ms, 99 % within {p99:.1f} ms; {wrong}"


@contextlib.contextmanager
def serving(*words: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """`rnnzoo serve` with these words, at a free port: the port and the process, which is ended."""
    command = [sys.executable, "-m", "rnnzoo", "serve", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield int(line.split(" answers at http://")[1].split(";")[0].rpartition(":")[2]), process
        finally:
            process.terminate()
            process.wait(30)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, body: bytes) -> tuple[int, Any]:
    """One request on an open connection: the status, and the answer's JSON."""
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    writer.write(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    headers = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(headers.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(headers[9:12]), json.loads(await reader.readexactly(size))


async def load(port: int, texts: Sequence[str], answers: Sequence[Any], clients: int, seconds: float) -> Load:
    """Let clients ask for so many seconds. answers: what is expected for each text."""
    bodies = [json.dumps({"text": text}).encode() for text in texts]
    took: list[float] = []
    failures: Counter[str] = Counter()
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end:
            chosen = number % len(texts)
            number += 1
            try:
                status, answer = await ask(reader, writer, port, bodies[chosen])
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                failures[type(error).__name__] += 1
                return
            took.append(time.perf_counter() - began)
            if status != 200:
                failures[str(status)] += 1
            elif not alike(answer, answers[chosen]):
                failures["another answer"] += 1
        writer.close()

    await asyncio.gather(*map(client, range(clients)))
    return Load(sorted(took), failures)


def alike(one: Any, other: Any) -> bool:
    """Whether two answers are equal, numbers to 1e-4: batches of other sizes add in another order."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return bool(one == other)


def reviews(count: int, words: int) -> list[str]:
    """Texts that differ from each other."""
    many = (REVIEW.split() * (words // 20 + 1))[: words - 1]
    return [" ".join([*many[number % words :], *many[: number % words], str(number)]) for number in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--words", type=int, default=20, help="of a text")
    arguments, words = parser.parse_known_args()
    import rnnzoo

    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    texts = reviews(64, arguments.words)
    answers = json.loads(json.dumps(rnnzoo.load(arguments.run).predict(texts)))
    gc.collect()
    gc.freeze()  # a pass over all of torch would hold the clients up, and count as the server's time
    with serving(arguments.run, *words) as (port, _):
        asyncio.run(load(port, texts, answers, 1, 1))  # the first answers load and compile
        one = asyncio.run(load(port, texts, answers, 1, min(10, arguments.seconds)))
        print(f"1 client: {one}", flush=True)
        many = asyncio.run(load(port, texts, answers, arguments.clients, arguments.seconds))
        ratio = many.quantile(0.99) / one.quantile(0.5)
        rate = len(many.seconds) / arguments.seconds
        print(f"{arguments.clients} clients: {many}; {rate:,.0f} a second; {ratio:.1f} times one client")
    return int(bool(one.failures or many.failures or ratio > MOST))


if __name__ == "__main__":
    sys.exit(main())
