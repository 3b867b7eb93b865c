"""Sentiment: one label for a whole text (many to one)."""

from __future__ import annotations

from rnnzoo.tasks.classification import Classification


class Sentiment(Classification):
    """Label a text from what the architecture knows at its end, or from all of its outputs pooled."""

    form = "labelled_text"
    needs_reason = "sentiment asks for one label for a whole text"
