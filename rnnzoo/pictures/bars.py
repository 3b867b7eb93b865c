"""Horizontal bars, one a name: shares from 0 to 1, such as a class's score."""

from __future__ import annotations

from collections.abc import Mapping

from rnnzoo.pictures import theme
from rnnzoo.pictures.theme import Picture, fill

MOST, NAME = 24, 22  # bars; letters of a name
WIDTH, HEIGHT = 440, 22  # of all; of one


def bars(title: str, shares: Mapping[str, float], counts: Mapping[str, int]) -> Picture:
    """The lowest first; of more than `MOST` the lowest.

    shares: 0 to 1, by name. counts: how many examples each has. Raises: ValueError if there is none.
    """
    if not shares:
        raise ValueError(f"'{title}' has nothing to draw")
    lowest = sorted(shares.items(), key=lambda item: (item[1], item[0]))[:MOST]
    left = 10 + max(theme.width(theme.shortened(name, NAME)) for name, _ in lowest)
    full = WIDTH - left - 120
    parts = [theme.heading(title)]
    for index, (name, share) in enumerate(lowest):
        y = 34 + HEIGHT * index
        box = f'x="{left:.1f}" y="{y}" height="{HEIGHT - 8}" rx="2"'
        parts.append(f'<rect {box} width="{full:.1f}" {fill("rule")}/>')
        parts.append(f'<rect {box} width="{full * min(max(share, 0), 1):.1f}" {fill("s0")}/>')
        parts.append(theme.text(left - 8, y + 11, theme.shortened(name, NAME), "end", "ink"))
        parts.append(theme.text(left + full + 8, y + 11, f"{100 * share:.1f} %", "start", "ink"))
        parts.append(theme.text(WIDTH, y + 11, f"of {counts[name]:,}", "end"))
    more = f" {len(shares) - len(lowest)} higher ones are not drawn." if len(shares) > len(lowest) else ""
    words = f"The lowest: {lowest[0][0]}, {100 * lowest[0][1]:.1f} %.{more}"
    return Picture(WIDTH, 34 + HEIGHT * len(lowest), title, words, parts)
