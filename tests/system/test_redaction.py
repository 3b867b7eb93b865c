"""Secrets are taken out by their keys and inside addresses, and nothing else is."""

import pytest

from rnnzoo.system.redaction import HIDDEN, marked, redact, without_secrets


@pytest.mark.parametrize(
    "key",
    [
        "api_key",
        "WANDB_API_KEY",
        "apiKey",
        "token",
        "hf_token",
        "accessToken",
        "password",
        "db-password",
        "secret",
        "client_secret",
        "aws_secret_access_key",
        "Authorization",
        "X-Signature",
        "storage_account_key",
        "cookie",
    ],
)
def test_secrets_are_taken_out_by_their_key(key):
    for value in ("canary", ["canary"], {"bearer": "canary"}):
        found = redact({"a": [{key: value, "b": 1}]})
        assert "canary" not in str(found)
        assert found["a"][0].keys() == {key, "b"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_tokens", 3),
        ("batch_tokens", 4000),
        ("tokens", "words"),
        ("tokenizer", "words"),
        ("use_cls_token", True),
        ("pad_token", "<pad>"),
        ("val/loss_per_token", 1.5),
        ("tokens_per_second", 9.5),
        ("num_memory_tokens", 1),
        ("key", "x"),
        ("next_token", "x"),
        ("token", None),
        ("secretary", "x"),
        ("keys", ["a"]),
        ("max_tokens", 9),
        ("token_dropout", 0.1),
        ("code", "x"),
    ],
)
def test_what_only_looks_like_a_secret_stays(key, value):
    assert redact({key: value}) == {key: value}


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://me:canary@host/x", f"https://{HIDDEN}@host/x"),
        ("see s3://canary@bucket/x and http://b:canary@c", f"see s3://{HIDDEN}@bucket/x and http://{HIDDEN}@c"),
        ("https://host/x?a=1&token=canary&b=2", f"https://host/x?a=1&token={HIDDEN}&b=2"),
        ("https://host/@user", "https://host/@user"),
        ("me@host", "me@host"),
    ],
)
def test_urls_lose_their_user_and_their_secrets(url, safe):
    assert redact({"url": url, "list": [url]}) == {"url": safe, "list": [safe]}


def test_redacting_leaves_the_original():
    config = {"a": {"token": "x"}}
    redact(config)
    assert config == {"a": {"token": "x"}}


@pytest.mark.parametrize(
    "name",
    [
        "X-Amz-Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X%2DAmz%2DSignature",
        "X-Goog-Signature",
        "sig",
        "code",
        "token",
        "access_token",
        "api_key",
        "apikey",
        "key",
        "AWSAccessKeyId",
        "Key-Pair-Id",
        "password",
    ],
)
def test_a_signed_address_loses_its_signature_and_keeps_the_rest(name):
    message = f"cannot download 'https://host/a.csv?version=3&{name}=canary%2Fx#sha256=ab': the server answers 403."
    safe = f"cannot download 'https://host/a.csv?version=3&{name}={HIDDEN}#sha256=ab': the server answers 403."
    assert without_secrets(message) == safe
    assert without_secrets(safe) == safe


@pytest.mark.parametrize("text", ["a = b; c=d", "https://host/x?max_tokens=5&page=2", "f(key=3)", "x?y=z"])
def test_a_text_without_a_secret_stays_as_it_is(text):
    assert without_secrets(text) == text


def test_settings_that_lost_a_secret_are_named():
    settings = redact({"data": {"train": "https://h/?sig=canary", "test": ["a", "https://me:canary@h"], "seed": 1}})
    assert list(marked(settings)) == ["data.train", "data.test.1"]
