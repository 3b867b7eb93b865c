"""Toy text: verbs that agree with a subject some words back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.embedded import Embedded, words
from rnnzoo.data.sources.grammar import END, Arc, Grammar, arcs, sentence


def _text_grammar() -> Grammar:
    """Lines in which the subject, one of two kinds and two numbers, decides the verb, however far away it is."""
    adjs, preps = words("young small big tired"), words("near behind beside under")
    places = words("house tree river park")
    nouns = {
        "person one": words("singer teacher painter sailor"),
        "person many": words("singers teachers painters sailors"),
        "animal one": words("dog cat horse bird"),
        "animal many": words("dogs cats horses birds"),
    }
    verbs = {
        "person one": words("sings reads laughs writes"),
        "person many": words("sing read laugh write"),
        "animal one": words("sleeps runs eats hides"),
        "animal many": words("sleep run eat hide"),
    }
    takes_object = {"one": words("sees likes follows"), "many": words("see like follow")}

    def subjects(*numbers: str) -> list[tuple]:
        return [(0.7, nouns[kind], f"{kind} noun") for kind in nouns if kind.split()[1] in numbers]

    grammar = {
        "start": arcs((0.6, ["the"], "the"), (0.2, ["a"], "a"), (0.2, ["some"], "some")),
        "the": arcs((0.8, adjs, "the"), *subjects("one", "many")),
        "a": arcs((0.4, adjs, "a"), *subjects("one")),
        "some": arcs((0.4, adjs, "some"), *subjects("many")),
        "there": arcs((1, ["the"], "there the")),
        "there the": arcs((0.3, adjs, "there the"), (0.7, places, "done")),
        "done": arcs((1, [END], "start")),
    }
    for kind in nouns:

        def verb(weight: float, kind: str = kind) -> list[tuple]:
            adverbs = words("often never always")
            return [(0.3 * weight, adverbs, f"{kind} adverb"), (0.7 * weight, verbs[kind], f"{kind} verb")]

        number = kind.split()[1]
        grammar |= {
            f"{kind} noun": arcs((0.35, preps, f"{kind} at"), (0.25, ["that"], f"{kind} that"), *verb(0.4)),
            f"{kind} that": arcs((1, takes_object[number], f"{kind} at")),
            f"{kind} at": arcs((1, ["the"], f"{kind} at the")),
            f"{kind} at the": arcs(
                (0.3, adjs, f"{kind} at the"), (0.7, (*places, *sum(nouns.values(), ())), f"{kind} placed")
            ),
            f"{kind} placed": arcs((0.2, preps, f"{kind} at"), *verb(0.8)),
            f"{kind} adverb": arcs((1, verbs[kind], f"{kind} verb")),
            f"{kind} verb": arcs(
                (0.45, [END], "start"),
                (0.25, ["and"], f"{kind} and"),
                (0.15, words("today quietly"), "done"),
                (0.15, preps, "there"),
            ),
            f"{kind} and": arcs(*verb(1)),
        }
    return grammar


class ToyText(Embedded):
    """Lines of text whose verbs agree with a subject some words back: "the dogs near the old house often sleep".

    The lines are drawn from a grammar that gives the probability of each next word, so the best perplexity that a model
    can reach is known. A model of neighbouring words cannot come near it, as other nouns stand between.

    examples: lines of the training split.
    """

    form = "text_stream"
    grammar: ClassVar[Grammar] = _text_grammar()

    def read(self) -> dict[str, Columns]:
        parts = {}
        for part, size in self.sizes().items():
            random = self.random(part)
            lines = [" ".join(word for word, _ in sentence(self.grammar, random)) for _ in range(size)]
            parts[part] = {"text": lines}
        return parts

    def next_words(self, text: str = "") -> dict[str, float]:
        """The probability of each word that can follow `text`, the beginning of a line; "<eos>" ends the line.

        Raises: ValueError if no line begins like that.
        """
        state = self._arcs(text)[-1].state if text.split() else "start"
        return {word: arc.probability for word, arc in self.grammar[state].items()}

    def ideal_perplexity(self, lines: Iterable[str]) -> float:
        """The perplexity of the grammar itself on `lines`, <eos> counted: no model does better but by luck.

        exp(-sum log p(word | the words before it in the line) / number of words), each line's <eos> being a word.
        Raises: ValueError for a line that is not of this grammar.
        """
        logs = [math.log(arc.probability) for line in lines for arc in self._arcs(f"{line} {END}")]
        return math.exp(-sum(logs) / len(logs))

    def _arcs(self, text: str) -> list[Arc]:
        """The arc that each word of `text` takes. Raises: ValueError."""
        state, arcs_taken = "start", []
        for word in text.split():
            if word not in self.grammar[state]:
                raise ValueError(f"no line of ToyText begins with '{text}': '{word}' cannot stand there")
            arcs_taken.append(self.grammar[state][word])
            state = arcs_taken[-1].state
        return arcs_taken


class ToyGaps(ToyText):
    """Lines of a small grammar, with gaps: verbs some words on show which subject a gap had; see `ToyText`."""

    form = "masked_text"
