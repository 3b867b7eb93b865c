"""What a page that is one file must be: well-formed, closed to the network, and run no more than it holds."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = {"meta", "br", "input", "hr", "img", "link"}
URLS = {"src", "href", "action", "data", "poster", "srcset", "background", "formaction", "xlink:href"}


class Page(HTMLParser):
    """A page taken apart. texts: of elements by their name; places: what its attributes lead to."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.places: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.policy = ""
        self.feed(source)
        self.close()
        assert self.open == [], self.open
        self.check(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        assert len(found) == len(attributes), f"<{tag}> has an attribute twice"
        self.attributes += found.items()
        self.places += [value for name, value in found.items() if name in URLS]
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"]
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data

    def check(self, source: str) -> None:
        assert source.startswith("<!doctype html>")
        assert not [place for place in self.places if re.match(r"[a-z]+:|//|/|\.\.", place, re.I)]
        assert not [name for name, _ in self.attributes if name.startswith("on") or name == "style"]
        assert "@import" not in source and "url(" not in "".join(self.texts["style"])
        assert "default-src 'none'" in self.policy and "unsafe" not in self.policy and "*" not in self.policy
        digest = hashlib.sha256(self.texts["style"][0].encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in self.policy
        ids = [value for name, value in self.attributes if name == "id"]
        assert len(ids) == len(set(ids))
