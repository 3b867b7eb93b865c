"""`rnnzoo serve` as a process: signals, and load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import serve_load
from serve_load import load, reviews, serving

from rnnzoo.inference import predictor


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_server_well_and_no_process_of_it_is_left(trained, number):
    answers = json.loads(json.dumps(predictor.load(trained).predict(["a good film"])))
    with serving(str(trained)) as (port, process):
        assert not asyncio.run(load(port, ["a good film"], answers, 1, 0.5)).failures
        with socket.create_connection(("127.0.0.1", port)):  # a client that stays does not hold it
            process.send_signal(number)
            assert process.wait(20) == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)
    assert not _group(process.pid)


@pytest.mark.slow
def test_a_server_that_is_ended_while_it_answers_ends_well(trained):
    texts, nothing = reviews(64, 20), [None] * 64
    with serving(str(trained)) as (port, process), ThreadPoolExecutor(1) as clients:
        running = clients.submit(lambda: asyncio.run(load(port, texts, nothing, 50, 3)))
        with socket.create_connection(("127.0.0.1", port), 20) as client:  # one that is answered while others ask
            client.sendall(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert client.recv(12) == b"HTTP/1.1 200"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        running.result()


def _group(number: int) -> list[str]:
    """The processes of a group."""
    found = []
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                    group = int(file.read().rpartition(")")[2].split()[2])
            except OSError:
                continue
            found += [entry] if group == number else []
    return found


@pytest.mark.slow
def test_two_hundred_clients_at_once_all_get_the_offline_answers(trained):
    texts = reviews(64, 20)
    answers = json.loads(json.dumps(predictor.load(trained).predict(texts)))
    with serving(str(trained)) as (port, _):
        many = asyncio.run(load(port, texts, answers, 200, 5))
    assert not many.failures, many
    assert len(many.seconds) >= 200


def test_an_answer_that_differs_is_a_failure_of_the_load():
    assert serve_load.alike({"label": "a", "p": 0.1}, {"label": "a", "p": 0.1000001})
    assert not serve_load.alike({"label": "a", "p": 0.1}, {"label": "a", "p": 0.2})
    assert not serve_load.alike({"label": "a"}, {"label": "a", "p": 0.2})
