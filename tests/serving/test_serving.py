"""Requests to a real server on this machine."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from served import JSON, Address, echo, model, served

from rnnzoo.cli import main
from rnnzoo.errors import DataError
from rnnzoo.inference import predictor
from rnnzoo.serving import serve
from rnnzoo.serving.serve import listen

TEXTS = ["a good film", "a bad film", "", "good good bad", "nothing that it knows"]


@pytest.fixture(scope="module")
def trained_model(trained):
    return predictor.load(trained)


@pytest.fixture(scope="module")
def server(trained_model):
    with served(trained_model, batch_wait=0.005, body=20_000, texts=8, characters=500) as address:
        yield address


def same(one, other) -> bool:
    return json.dumps(one) == json.dumps(other) or all(one[key] == pytest.approx(other[key], abs=1e-5) for key in other)


def test_answers_are_those_of_the_predictor(server: Address, trained_model):
    status, answer = server.post("/predict", {"texts": TEXTS})
    assert status == 200
    assert all(map(same, answer["answers"], trained_model.predict(TEXTS)))
    status, alone = server.post("/predict", {"text": TEXTS[0]})
    assert status == 200 and same(alone, trained_model.predict(TEXTS[:1])[0])


def test_requests_of_many_clients_are_answered_together_and_each_gets_its_own(trained_model):
    texts = [f"a {word} film {number}" for number in range(16) for word in ("good", "bad")]
    with served(trained_model, batch_wait=0.2, batch_size=32) as address, ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(lambda text: address.post("/predict", {"text": text})[1], texts))
        batches = re.search(r"rnnzoo_batch_size_count (\d+)", address.get("/metrics"))
    assert all(map(same, answers, trained_model.predict(texts)))
    assert int(batches[1]) < 16


WRONG = {
    "no JSON": (b"{", 400, "no JSON"),
    "no UTF-8": (b'{"text": "\xff"}', 400, "UTF-8"),
    "NaN": (b'{"text": NaN}', 400, "NaN"),
    "too deep": (b'{"text":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "deep"),
    "a list": ([1], 400, "no object"),
    "no input": ({}, 400, "has no input"),
    "a typing error": ({"txt": "x"}, 400, "did you mean 'text'"),
    "two inputs": ({"text": "x", "texts": ["x"]}, 400, "one of them"),
    "a number": ({"text": 1}, 422, "text is a text, got a number"),
    "a number among texts": ({"texts": ["x", None]}, 422, "texts, number 2 is a text, got null"),
    "no list": ({"texts": "x"}, 422, "texts is a list"),
    "no texts": ({"texts": []}, 422, "texts is empty"),
    "a series": ({"series": [1.0]}, 422, "this model takes text"),
    "too many texts": ({"texts": ["x"] * 9}, 413, "at most 8"),
    "too long a text": ({"text": "x" * 501}, 413, "at most 500"),
    "too large": ({"text": "x" * 20_000}, 413, "at most 20,000"),
}


@pytest.mark.parametrize("body, status, part", WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_told_in_one_line_and_leaves_the_server_well(server: Address, body, status, part):
    got, answer = server.post("/predict", body)
    message = answer["error"]["message"]
    assert (got, answer["error"]["code"]) == (status, status)
    assert part in message and "\n" not in message and "Traceback" not in message
    assert server.post("/predict", {"text": "a good film"})[0] == 200


def test_a_body_that_is_longer_than_it_says_nothing_of_is_cut_off(server: Address):
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        client.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        client.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        assert client.recv(2000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000], ids=["no HTTP", "headers without end"]
)
def test_what_is_no_request_is_answered_with_400(server: Address, sent):
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(sent)
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    assert "ok" in server.get("/health")


FOREIGN = {
    "another name, as of a rebound domain": ({"Host": "evil.example"}, 403),
    "a page of another site": ({"Origin": "https://evil.example"}, 403),
    "a sandboxed page": ({"Origin": "null"}, 403),
    "a form's content type": ({"Content-Type": "text/plain"}, 415),
    "a packed body": ({"Content-Encoding": "gzip"}, 415),
}


@pytest.mark.parametrize("headers, status", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_page_cannot_ask(server: Address, headers, status):
    response = server.ask("POST", "/predict", {"text": "x"}, JSON | headers)
    assert response.status == status
    assert "access-control-allow-origin" not in response.headers


def test_the_servers_own_page_can_ask(server: Address):
    for name in ("127.0.0.1", "localhost"):
        own = {"Host": f"{name}:{server.port}", "Origin": f"http://{name}:{server.port}"}
        assert server.ask("POST", "/predict", {"text": "x"}, JSON | own).status == 200


def test_only_posting_asks_the_model_and_an_unknown_path_names_the_known(server: Address):
    assert server.ask("GET", "/predict").status == 405
    assert server.ask("DELETE", "/health").status == 405
    response = server.ask("GET", "/nothing")
    assert response.status == 404 and "/predict" in response.text


def test_figures_count_requests_errors_and_seconds(trained_model):
    with served(trained_model) as address:
        address.post("/predict", {"text": "x"})
        address.post("/predict", {"text": 1})
        address.ask("GET", "/nothing")
        figures = address.get("/metrics")
    for line in (
        'rnnzoo_requests_total{path="/predict",status="200"} 1.0',
        'rnnzoo_errors_total{path="/predict",status="422"} 1.0',
        'rnnzoo_errors_total{path="other",status="404"} 1.0',
        'rnnzoo_request_seconds_count{path="/predict"} 2.0',
        "rnnzoo_batch_size_count 1.0",
    ):
        assert line in figures


def test_the_document_has_every_path_and_no_page_loads_from_elsewhere(server: Address):
    document = json.loads(server.get("/openapi.json"))
    assert document["openapi"].startswith("3.1")
    assert {"/predict", "/health", "/metrics"} <= document["paths"].keys()
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["example"]
    assert server.post("/predict", example)[0] == 200
    for path in ("/", "/docs"):
        page = server.ask("GET", path)
        assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


def test_the_first_page_runs_the_model_itself_or_else_asks_the_server(server: Address):
    assert "PROGRAMS" in server.get("/")
    with served(model(echo)) as address:  # no page can be made of it
        assert 'fetch("/predict"' in address.get("/")
        assert address.get("/") == address.get("/")


def test_an_input_that_the_model_refuses_spoils_no_others_answer():
    def picky(inputs):
        if "refused" in inputs:
            raise DataError("row 1: not this one.\n  More.")
        if "broken" in inputs:
            raise RuntimeError("a secret of the server")
        return echo(inputs)

    asked = ["one", "refused", "two", "broken"]
    with served(model(picky), batch_wait=0.2, batch_size=4) as address, ThreadPoolExecutor(4) as clients:
        one, refused, two, broken = clients.map(lambda text: address.post("/predict", {"text": text}), asked)
    assert (one, two) == ((200, {"asked": "one"}), (200, {"asked": "two"}))
    assert refused[0] == 422 and refused[1]["error"]["message"] == "row 1: not this one"
    assert broken[0] == 500 and "secret" not in str(broken[1])


def test_a_busy_server_says_so_in_time_and_answers_again_later():
    begun, go_on = threading.Event(), threading.Event()

    def slow(inputs):
        begun.set()
        assert go_on.wait(20)
        return echo(inputs)

    options = {"timeout": 0.3, "waiting": 1, "batch_wait": 0, "batch_size": 1}
    with served(model(slow), **options) as address, ThreadPoolExecutor(8) as clients:
        first = clients.submit(address.post, "/predict", {"text": "first"})
        assert begun.wait(20)
        others = list(clients.map(lambda number: address.post("/predict", {"text": str(number)}), range(4)))
        assert [status for status, _ in others] == [503] * 4
        assert any("more requests than it can answer" in answer["error"]["message"] for _, answer in others)
        assert first.result()[0] == 503  # it took longer than a request may
        assert "ok" in address.get("/health")
        go_on.set()
        assert address.post("/predict", {"text": "again"}) == (200, {"asked": "again"})


def test_series_and_sounds_are_asked_as_lists_and_as_base64():
    with served(model(echo, "series"), steps=3) as address:
        assert address.post("/predict", {"series": [[0.5], [1]]}) == (200, {"asked": [[0.5], [1]]})
        assert address.post("/predict", {"many_series": [[1], [2]]})[1]["answers"] == [{"asked": [1]}, {"asked": [2]}]
        assert address.post("/predict", {"series": [1, 2, 3, 4]})[0] == 413
        assert address.post("/predict", {"text": "x"})[0] == 422
        assert "JSON.parse" in address.get("/")
    with served(model(echo, "sound")) as address:
        assert address.post("/predict", {"sound": base64.b64encode(b"RIFF").decode()}) == (200, {"asked": "RIFF"})
        assert address.post("/predict", {"sound": "?"})[0] == 422


def test_a_port_in_use_is_one_error_and_so_is_no_address(trained, capsys):
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert main(["serve", str(trained), "--port", str(port)]) == 2
    assert "another program listens there" in capsys.readouterr().err
    assert main(["serve", str(trained), "--host", "no address at all", "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert "cannot listen" in error and "Traceback" not in error


def test_a_host_that_others_can_reach_is_warned_of(trained, monkeypatch, capsys):
    monkeypatch.setattr(serve, "serve", lambda model, name, options, ready: ready("http://0.0.0.0:1"))
    assert main(["serve", str(trained), "--host", "0.0.0.0"]) == 0
    printed = capsys.readouterr()
    assert "all who can reach 0.0.0.0" in printed.err and "http://0.0.0.0:1/docs" in printed.out
    assert main(["serve", str(trained)]) == 0
    assert "warning" not in capsys.readouterr().err


def test_all_numbers_out_of_range_are_told_at_once(capsys):
    assert main(["serve", "sentiment", "--port", "70000", "--batch_size", "0", "--timeout", "-1"]) == 2
    error = capsys.readouterr().err
    assert all(f"--{name} must be" in error for name in ("port", "batch_size", "timeout"))
