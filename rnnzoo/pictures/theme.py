"""What all charts share: colours, type and the frame of an SVG.

Colours are written as attributes, for any program that shows SVG; a style sheet changes them where the reader prefers
dark. The series' colours can be told apart by people with any colour vision (after Okabe and Ito, "Color Universal
Design", darkened until thin lines stand out from white), and are always named beside what they colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from rnnzoo.system import console

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SERIES = (  # on light, on dark
    ("#0067a5", "#58b6f0"),
    ("#c24e00", "#ff9a4d"),
    ("#00785a", "#3ecfa0"),
    ("#9b3f86", "#e79ad0"),
    ("#8a6a00", "#e5c44c"),
    ("#5b6470", "#b4bcc7"),
)
SHADES = {
    "ink": ("#1c2128", "#e6e9ee"),
    "quiet": ("#5b6470", "#a0a9b5"),
    "rule": ("#e3e6ea", "#30363e"),
    "paper": ("#ffffff", "#14181d"),
    "strong": ("#ffffff", "#0d1117"),  # words on a full colour
} | {f"s{number}": pair for number, pair in enumerate(SERIES)}
NARROW, CAPITAL, WIDE = 6.6, 8.3, 12.5  # about as wide as a letter, at 12 pixels; WIDE are those of East Asia


def _dark_rules() -> str:
    rules = [f".{kind}-{name}{{{kind}:{dark}}}" for name, (_, dark) in SHADES.items() for kind in ("fill", "stroke")]
    return "@media screen and (prefers-color-scheme:dark){" + "".join(rules) + "}"


DARK = _dark_rules()  # a page that holds pictures has it once


@dataclass(frozen=True)
class Picture:
    """A chart, in pixels at its natural size: as a file of its own, or as part of a page that has `DARK`."""

    width: float
    height: float
    title: str
    summary: str  # for who cannot see it
    parts: Sequence[str]

    def svg(self) -> str:
        """A file: its own colours in light and dark."""
        paper = f'<rect width="{self.width:.0f}" height="{self.height:.0f}" {fill("paper")}/>'
        return self._framed(f"<style>{DARK}</style>{paper}")

    def inline(self) -> str:
        """Part of a page."""
        return self._framed("")

    def _framed(self, style: str) -> str:
        width, height = f"{self.width:.0f}", f"{self.height:.0f}"
        box = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        words = f"<title>{safe(self.title)}</title><desc>{safe(self.summary)}</desc>"
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" font-family="{FONT}" font-size="12">'
        return "\n".join([head + words + style, *self.parts, "</svg>", ""])


def safe(words: str) -> str:
    """Any text as part of XML or HTML: markup and control characters, which XML cannot hold, are shown as they are."""
    return escape(console.escape(words))


def fill(name: str) -> str:
    """The attributes that fill a shape with one of `SHADES`."""
    return f'class="fill-{name}" fill="{SHADES[name][0]}"'


def stroke(name: str, width: float = 1) -> str:
    """The attributes that outline a shape in one of `SHADES`."""
    return f'class="stroke-{name}" fill="none" stroke="{SHADES[name][0]}" stroke-width="{width:g}"'


def series(number: int) -> str:
    """The name of a series' colour; after the last one they begin again."""
    return f"s{number % len(SERIES)}"


def text(x: float, y: float, words: str, anchor: str = "middle", shade: str = "quiet", extra: str = "") -> str:
    """One line of words. extra: further attributes, of ours."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {fill(shade)}{extra}>{safe(words)}</text>'


def width(words: str) -> float:
    """About how many pixels words take, at 12 pixels."""
    return sum(WIDE if letter > "\u2e7f" else CAPITAL if letter.isupper() else NARROW for letter in words)


def heading(words: str, x: float = 0) -> str:
    """A chart's name, at its upper left."""
    return text(x, 16, words, "start", "ink", ' font-size="14" font-weight="600"')


def shortened(words: str, most: int) -> str:
    """The words, or their beginning and an ellipsis; line breaks as blanks."""
    words = " ".join(words.split())
    return words if len(words) <= most else words[: most - 1] + "…"
