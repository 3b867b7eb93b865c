"""Toy tags: parts of speech that the words before a word decide."""

from __future__ import annotations

from typing import ClassVar

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.embedded import Embedded, words
from rnnzoo.data.sources.grammar import END, Grammar, arcs, sentence


def _tag_grammar() -> Grammar:
    """Sentences in which a word's part of speech depends on the words before it, and on nothing after it."""
    dets, prons = words("the my our"), words("they we you i")
    adjs, verb_adjs = words("old small"), words("clean dry open warm cool empty")
    plural, things = words("men women children dogs"), words("boat river")
    noun_verbs, noun_moves = words("cook drink watch help guard paint water book"), words("fish walk play dance")
    auxes, preps = words("can will might"), words("near in behind with")
    singular = things + noun_verbs + noun_moves + auxes + ("well",)
    before_verb = words("often never really still")

    def verbs(weight: float, *extra: str) -> list[tuple]:
        return [
            (weight * 0.6, noun_verbs + verb_adjs + ("like",) + extra, "object", "VERB"),
            (weight * 0.3, noun_moves, "after", "VERB"),
            (weight * 0.1, words("want hope try"), "to", "VERB"),
        ]

    def phrase(name: str, *nouns: tuple) -> Grammar:
        """What follows a determiner: adjectives if any, then one of `nouns`, groups as `arcs` takes them."""
        adjective = (adjs + verb_adjs, f"{name} adjective", "ADJ")
        return {
            name: arcs((0.25, *adjective), (0.15, ["really"], f"{name} really", "ADV"), *nouns),
            f"{name} really": arcs((1, *adjective)),
            f"{name} adjective": arcs(*nouns),
        }

    grammar = {
        "start": arcs((0.5, dets, "subject", "DET"), (0.5, prons, "pronoun", "PRON")),
        **phrase("subject", (0.4, singular, "singular", "NOUN"), (0.25, plural, "plural", "NOUN")),
        "pronoun": arcs((0.35, auxes, "aux", "AUX"), (0.15, before_verb, "verb", "ADV"), *verbs(0.5)),
        "aux": arcs((0.15, words("not often never really still"), "verb can", "ADV"), *verbs(0.85, "can")),
        "verb": arcs(*verbs(1)),
        "verb can": arcs(*verbs(1, "can")),
        "to": arcs((1, ["to"], "aim", "PART")),
        "aim": arcs((0.1, ["really"], "verb can", "ADV"), *verbs(0.9, "can")),
        "object": arcs((0.75, dets, "object noun", "DET"), (0.25, words("fish water paint help"), "after", "NOUN")),
        **phrase("object noun", (0.65, singular + plural, "after", "NOUN")),
        "after": arcs(
            (0.35, [END], "start"),
            (0.3, (*preps, "like"), "place", "ADP"),
            (0.2, words("well often"), "last", "ADV"),
            (0.15, ["to"], "aim", "PART"),
        ),
        "place": arcs((1, dets, "place noun", "DET")),
        **phrase("place noun", (0.65, singular + plural, "last", "NOUN")),
        "last": arcs((0.8, [END], "start"), (0.2, ["to"], "aim", "PART")),
    }
    for number in ("singular", "plural"):
        finite = [(0.6, auxes, "aux", "AUX")]
        if number == "plural":
            finite += [(0.15, before_verb, "verb", "ADV"), *verbs(0.6)]
        grammar[number] = arcs((0.2, preps, f"{number} place", "ADP"), *finite)
        grammar[f"{number} place"] = arcs((1, dets, f"{number} place noun", "DET"))
        grammar |= phrase(f"{number} place noun", (0.65, singular + plural, f"{number} placed", "NOUN"))
        grammar[f"{number} placed"] = arcs(*finite)
    return grammar


class ToyTags(Embedded):
    """Sentences of 4 to 15 words with their parts of speech, of which many words have two or three: the can, they can.

    The words before a word tell its tag for certain, the word alone does not: "the" makes "fish" a noun, "they" or "the
    men in the boat" a verb. Nothing depends on words that follow, so one direction is enough. No sentence occurs twice.
    Tags: DET PRON NOUN VERB AUX ADJ ADV ADP PART.
    """

    form = "tagged_text"
    grammar: ClassVar[Grammar] = _tag_grammar()

    def read(self) -> dict[str, Columns]:
        seen: set[tuple[str, ...]] = set()
        parts: dict[str, Columns] = {}
        for part, size in self.sizes().items():
            random = self.random(part)
            parts[part] = {"words": [], "tags": []}
            while len(parts[part]["words"]) < size:
                found, tags = zip(*sentence(self.grammar, random), strict=True)
                if 4 <= len(found) <= 15 and found not in seen:
                    seen.add(found)
                    parts[part]["words"].append(list(found))
                    parts[part]["tags"].append(list(tags))
        return parts
