"""Grammars that are read from left to right, and sentences drawn from them."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Arc(NamedTuple):
    """One word that may come next: its probability, the state that it leads to, and its tag."""

    probability: float
    state: str
    tag: str = ""


Grammar = dict[str, dict[str, Arc]]  # state -> word -> arc; a word leads to one state, so the words so far tell it
END = "<eos>"  # ends every line, as the form of a text stream has it


def arcs(*groups: tuple) -> dict[str, Arc]:
    """The arcs of one state, from groups (weight, words, next state, tag): the words of a group share its weight."""
    total = sum(weight for weight, *_ in groups)
    return {word: Arc(weight / total / len(options), *rest) for weight, options, *rest in groups for word in options}


def sentence(grammar: Grammar, random: Random) -> list[tuple[str, str]]:
    """A sentence drawn from the grammar: its words and their tags."""
    state = "start"
    found: list[tuple[str, str]] = []
    while True:
        options = grammar[state]
        (word,) = random.choices(list(options), [arc.probability for arc in options.values()])
        if word == END:
            return found
        found.append((word, options[word].tag))
        state = options[word].state
