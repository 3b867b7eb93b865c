"""Secrets taken out of what is kept, logged and printed: by the names of keys, and inside addresses.

A secret leaves the mark `HIDDEN` in its place, so that a later step that needs it can say so (`marked`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

HIDDEN = "[redacted]"
# As the last word of a key
SECRET_WORDS = {
    *["apikey", "auth", "authorization", "cookie", "credential", "credentials", "passphrase", "passwd", "password"],
    *["pwd", "secret", "secrets", "sig", "signature"],
}
KEY_WORDS = {"access", "account", "api", "auth", "private", "secret", "signing"}  # before "key"
# Before "token": a word of text
TEXT_TOKENS = {
    *["blank", "bos", "cls", "end", "eos", "eot", "first", "go", "last", "line", "mask", "new", "next"],
    *["pad", "padding", "sep", "separator", "sos", "special", "start", "sub", "unk", "unknown", "word"],
}
QUERY_WORDS = SECRET_WORDS | {"code", "key", "token"}  # as the last word of a name in an address's query
USER_INFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s]*@")
QUERY = re.compile(r"([?&;])([\w.%~-]+)=([^&;#\s'\"<>]+)")


def redact(value: Any) -> Any:
    """A copy of nested settings without secrets.

    By key: `api_key`, `token`, `hf_token`, `password`, `client_secret` are secret; `num_tokens`, `batch_tokens`,
    `pad_token`, `use_cls_token: true` are not. Everything below a secret key is taken out. In texts: see
    `without_secrets`.
    """
    if isinstance(value, dict):
        return {key: HIDDEN if _secret(str(key), item) else redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return without_secrets(value) if isinstance(value, str) else value


def without_secrets(text: str) -> str:
    """A text whose addresses have no user, no password and no signature: `?X-Amz-Signature=`, `&sig=`, `&token=`."""
    if "=" in text:
        text = QUERY.sub(lambda match: f"{match[1]}{match[2]}={HIDDEN}" if _signs(match[2]) else match[0], text)
    return USER_INFO.sub(rf"\1{HIDDEN}@", text) if "@" in text else text


def marked(value: Any, key: str = "") -> Iterator[str]:
    """The keys, as `data.train`, of settings that a secret was taken out of."""
    if isinstance(value, (dict, list)):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from marked(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, str) and HIDDEN in value:
        yield key


def _words(key: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    return re.findall(r"[a-z0-9]+", spaced)


def _secret(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    before, last = ("", "", *_words(key))[-2:]
    if last == "token":
        return before not in TEXT_TOKENS and not isinstance(value, (int, float))
    return last in SECRET_WORDS or (last == "key" and before in KEY_WORDS)


def _signs(name: str) -> bool:
    from urllib.parse import unquote  # of no use to most texts, and slow to import

    words = _words(unquote(name))
    return bool(words) and (words[-1] in QUERY_WORDS or ("key" in words and words[-1] == "id"))
