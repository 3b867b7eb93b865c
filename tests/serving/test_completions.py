"""Completions, as clients of OpenAI's interface ask for them."""

from __future__ import annotations

import json

import pytest
from served import Address, served

from rnnzoo.inference import predictor
from rnnzoo.serving.completions import KEYS

PROMPT = "ROMEO:\n"


@pytest.fixture(scope="module")
def language_model():
    return predictor.load("shakespeare")


@pytest.fixture(scope="module")
def server(language_model):
    with served(language_model, tokens=100) as address:
        yield address


def test_a_completion_is_what_generate_writes(server: Address, language_model):
    asked = {"prompt": PROMPT, "max_tokens": 20, "temperature": 0.7, "top_p": 0.9, "seed": 3}
    status, answer = server.post("/v1/completions", asked)
    offline = language_model.generate(PROMPT, 20, temperature=0.7, top_p=0.9, seed=3)
    assert status == 200 and answer["object"] == "text_completion"
    assert PROMPT + answer["choices"][0]["text"] == offline.text
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": len(PROMPT), "completion_tokens": 20, "total_tokens": len(PROMPT) + 20}


def test_prompts_of_one_request_have_seeds_of_their_own(server: Address, language_model):
    _, answer = server.post("/v1/completions", {"prompt": [PROMPT, PROMPT], "max_tokens": 10, "seed": 5})
    written = [choice["text"] for choice in answer["choices"]]
    assert written == [language_model.generate(PROMPT, 10, seed=seed).text[len(PROMPT) :] for seed in (5, 6)]


def test_a_text_ends_before_the_first_stop(server: Address):
    asked = {"prompt": PROMPT, "max_tokens": 40, "seed": 1, "temperature": 0.5}
    whole = server.post("/v1/completions", asked)[1]["choices"][0]["text"]
    stop = [whole[20], whole[10]]
    choice = server.post("/v1/completions", asked | {"stop": stop})[1]["choices"][0]
    assert choice["text"] == whole[: min(map(whole.index, stop))] and choice["finish_reason"] == "stop"


def test_a_stream_holds_the_same_text(server: Address):
    asked = {"prompt": PROMPT, "max_tokens": 10, "seed": 1}
    response = server.ask("POST", "/v1/completions", asked | {"stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in response.text.split("\n") if line]
    assert events[-1] == "[DONE]"
    text = "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1])
    assert text == server.post("/v1/completions", asked)[1]["choices"][0]["text"]


WRONG = {
    "a key that is not known": ({"max_token": 3}, 400, "did you mean 'max_tokens'"),
    "more than one choice": ({"n": 2}, 400, "n can only be 1"),
    "no tokens": ({"max_tokens": 0}, 422, "max_tokens must be"),
    "too many tokens": ({"max_tokens": 101}, 413, "at most 100"),
    "too many together": ({"max_tokens": 51, "prompt": ["a", "b"]}, 413, "at most 100"),
    "a temperature below 0": ({"temperature": -1}, 422, "temperature must be"),
    "a share above 1": ({"top_p": 1.5}, 422, "top_p must be"),
    "a seed that is none": ({"seed": "x"}, 422, "seed must be"),
    "an empty stop": ({"stop": ""}, 422, "stop is empty"),
    "too many stops": ({"stop": ["a"] * 5}, 422, "at most 4"),
    "a prompt that is a number": ({"prompt": 1}, 422, "prompt is a text"),
    "token numbers": ({"prompt": [1, 2]}, 422, "prompt is a text"),
    "a stream that is none": ({"stream": "yes"}, 422, "stream is true or false"),
}


@pytest.mark.parametrize("asked, status, part", WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_told_as_openai_does(server: Address, asked, status, part):
    got, answer = server.post("/v1/completions", asked)
    assert got == status and part in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"


def test_the_model_is_listed_and_the_document_has_the_keys(server: Address):
    assert json.loads(server.get("/v1/models"))["data"][0]["id"] == "test"
    document = json.loads(server.get("/openapi.json"))
    schema = document["paths"]["/v1/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) <= set(KEYS)
    assert server.post("/v1/completions", schema["example"])[0] == 200


def test_a_model_that_writes_no_text_has_no_completions(trained):
    with served(predictor.load(trained)) as address:
        assert address.post("/v1/completions", {"prompt": "x"})[0] == 404
