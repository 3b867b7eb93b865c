"""A page that is one file: its style, script and data are in it, it loads nothing, and every text in it is escaped."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from rnnzoo.pictures.theme import DARK, SHADES, safe
from rnnzoo.system import files

STYLE = Path(__file__).with_name("page.css")
MOST = 2**20  # bytes of an asset
Cell = object  # of a table: a number, a text, None


def page(title: str, body: Iterable[str], style: str = "", script: str = "", data: object = None) -> str:
    """A whole page. body: HTML. style, script: this page's own. data: JSON, for the script, in the element `#data`.

    The policy in its head lets it run this style and this script, and load nothing.
    """
    style = _variables() + DARK + asset(STYLE) + style
    policy = f"default-src 'none'; style-src '{_digest(style)}'; base-uri 'none'; form-action 'none'"
    policy += f"; script-src '{_digest(script)}'" if script else ""
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">',
        f"<title>{text(title)}</title><style>{style}</style></head><body>",
        *body,
    ]
    lines += [f'<script type="application/json" id="data">{json_data(data)}</script>'] if data is not None else []
    lines += [f"<script>{script}</script>"] if script else []
    return "\n".join([*lines, "</body></html>", ""])


def asset(path: Path) -> str:
    """A style sheet or a script of ours, of which no part can end the element that it is put in."""
    content = files.read_text(path, MOST)
    if "</" in content or "<!--" in content:
        raise ValueError(f"{path.name} holds markup, which would end its element")
    return content


def json_data(value: object) -> str:
    """JSON within a page: what HTML reads as markup is written as JSON's own escapes. Raises: ValueError for NaN."""
    plain = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII: no separator of lines, no half character
    for character in "<>&":
        plain = plain.replace(character, f"\\u{ord(character):04x}")
    return plain


def text(value: object, most: int | None = None) -> str:
    """Any value as text of a page. most: characters; of a longer one the rest is an ellipsis."""
    words = str(value)
    return safe(words if most is None or len(words) <= most else words[: most - 1] + "…")


def section(name: str, title: str, *parts: str) -> str:
    """A part of a page under a heading; nothing where it has no content."""
    inner = "\n".join(part for part in parts if part)
    return (
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{text(title)}</h2>\n{inner}</section>'
        if inner
        else ""
    )


def facts(rows: Iterable[tuple[object, object]]) -> str:
    """Names and values, side by side."""
    lines = "".join(f"<div><dt>{text(name, 200)}</dt><dd>{text(value, 2000)}</dd></div>" for name, value in rows)
    return f'<dl class="facts">{lines}</dl>' if lines else ""


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], numbers: Sequence[bool]) -> str:
    """A table that scrolls by itself where it is too wide. numbers: which columns are set to the right."""
    if not rows:
        return ""
    kinds = [' class="n"' if number else "" for number in numbers]
    head = "".join(f'<th scope="col"{kind}>{text(name)}</th>' for name, kind in zip(columns, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{text(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>\n"
        for row in rows
    )
    name = text(caption)
    return (
        f'<div class="wide" role="region" aria-label="{name}" tabindex="0"><table><caption>{name}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def command(lines: str) -> str:
    """Lines to type."""
    return f'<pre tabindex="0"><code>{text(lines)}</code></pre>'


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _variables() -> str:
    """The theme's shades as variables of the style sheet."""
    light, dark = (";".join(f"--{name}:{pair[side]}" for name, pair in SHADES.items()) for side in (0, 1))
    return f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def attribute(value: object) -> str:
    """Any value within the quotes of an attribute."""
    return html.escape(str(value), quote=True)
