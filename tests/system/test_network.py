"""A server is known to be away before its client waits for it."""

import socket

import pytest

from rnnzoo.system import network


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.fixture
def server():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made


def url(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_listens_answers(server):
    server.listen()
    assert network.answers(url(server))


def test_a_server_that_refuses_does_not(server):
    assert not network.answers(url(server))


@pytest.mark.parametrize("place", ["http://no-such-host.invalid", "http://", "https://a..b", "nothing"])
def test_a_place_that_is_none_does_not(place):
    assert not network.answers(place)


def test_behind_a_proxy_nobody_knows_so_the_client_is_to_try(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert network.answers(url(server))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert not network.answers(url(server))
