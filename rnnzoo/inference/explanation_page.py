"""Explanations as a page: each text with its tokens shaded by what they add, for a browser, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rnnzoo.inference.explain import Explanation
from rnnzoo.reports import page as pages
from rnnzoo.tasks.base import Answer

LEVELS = 6  # shades to either side
STYLE = """
.tokens { line-height: 2.1; margin: .4rem 0 } .tokens span { padding: .1rem .12rem; border-radius: .2rem }
.legend { color: var(--quiet); font-size: .85rem }
""" + "".join(
    f".{sign}{level} {{ background: color-mix(in srgb, var(--{colour}) {10 * level}%, transparent) }}\n"
    for sign, colour in (("p", "good"), ("m", "bad"))
    for level in range(1, LEVELS + 1)
)
LEGEND = (
    '<p class="legend">Green tokens speak for the label, red ones against it: by how much its log-odds fall, in nats, '
    "when the token is left out. The number stands under the pointer.</p>"
)


def shaded(explanation: Explanation) -> str:
    """The text, each token shaded by its erasure."""
    most = max(map(abs, explanation.erasure), default=0) or 1.0
    spans = []
    for token, erasure in zip(explanation.tokens, explanation.erasure, strict=True):
        level = round(LEVELS * abs(erasure) / most)
        kind = f' class="{"p" if erasure > 0 else "m"}{level}"' if level else ""
        spans.append(f'<span{kind} title="{erasure:+.3f} nats">{pages.text(token)}</span>')
    glue = "" if all(len(token) == 1 for token in explanation.tokens) else " "
    return f'<p class="tokens">{glue.join(spans)}</p>'


def page(title: str, explanations: Sequence[Explanation], describe: Callable[[Answer], Iterable[str]]) -> str:
    """The whole page. describe: an answer as lines for a person."""
    body = [f"<header><h1>{pages.text(title)}</h1></header><main>", LEGEND]
    for number, explanation in enumerate(explanations, start=1):
        asked = "" if explanation.step is None else f" of word {explanation.step + 1}"
        rows = zip(explanation.tokens, explanation.erasure, explanation.gradient, strict=True)
        cells = [(token, f"{erasure:+.3f}", f"{gradient:+.3f}") for token, erasure, gradient in rows]
        odds = f"log-odds of {explanation.label}{asked}: {explanation.log_odds:+.2f} nats"
        columns = ("Token", "Erasure", "Gradient × input")
        table = pages.table("Log-odds that each token adds, in nats", columns, cells, (False, True, True))
        body.append(
            pages.section(
                f"text{number}",
                " ".join(describe(explanation.answer))[:200],
                f"<p>{pages.text(odds, 300)}</p>",
                shaded(explanation),
                f"<details><summary>Numbers</summary>{table}</details>",
            )
        )
    return pages.page(title, [*body, "</main>"], style=STYLE)
