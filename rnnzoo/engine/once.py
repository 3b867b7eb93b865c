"""Log messages that are shown once, however many layers and batches have cause for them."""

from __future__ import annotations

import logging

MOST = 256  # messages that one object remembers; later ones are not shown


class Once:
    """Warnings to a log, each text once."""

    def __init__(self, log: logging.Logger) -> None:
        self.log = log
        self.shown: set[str] = set()

    def warn(self, message: str, *arguments: object) -> None:
        """Log `message % arguments` as a warning, unless that text was shown before."""
        text = message % arguments
        if text not in self.shown and len(self.shown) < MOST:
            self.shown.add(text)
            self.log.warning(text)
