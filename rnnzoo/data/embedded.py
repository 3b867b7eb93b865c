"""Small data sets that are written here: nothing to download, a second to make, the same for the same seed anywhere.

Each one is easy for a recurrent network and out of reach of a model that looks at single words or neighbours only, so
that a run of seconds shows whether a network remembers.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from random import Random
from typing import ClassVar, NamedTuple

from rnnzoo.data.base import Columns, Source
from rnnzoo.limits import check


class Embedded(Source):
    """A source that makes its examples: a training part, and a dev and a test part an eighth and a quarter its size.

    examples: of the training part (reviews, sentences, lines or pairs).
    seed: same seed, same examples, on every machine and version of Python.
    """

    def __init__(self, examples: int = 4000, seed: int = 0) -> None:
        check(examples=examples, seed=seed)
        self.examples, self.seed = examples, seed

    def sizes(self) -> dict[str, int]:
        """How many examples each part has."""
        return {"train": self.examples, "dev": math.ceil(self.examples / 8), "test": math.ceil(self.examples / 4)}

    def random(self, part: str) -> Random:
        """The part's own source of random numbers."""
        return Random(f"{type(self).__name__} {self.seed} {part}")

    def identity(self) -> dict[str, str | None]:
        """The name, and as the revision the checksum of every example."""
        content = hashlib.sha256(json.dumps(self.read()).encode()).hexdigest()
        return {"id": f"rnnzoo/{type(self).__name__}", "revision": content[:16]}


# ---- reviews


class Polar(NamedTuple):
    """Words that judge, and the words that may stand before them and change nothing."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    very: tuple[str, ...]


class Frame(NamedTuple):
    """A way to judge: its text, with slots, and which switch of SWITCHES says whether the judgement is denied."""

    text: str
    switch: str
    polar: Polar


class Claim(NamedTuple):
    """A frame and what fills its slots."""

    frame: Frame
    slots: dict[str, str]

    def text(self, **others: str) -> str:
        return self.frame.text.format(**{**self.slots, **others})


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADJECTIVES = Polar(
    words("good great nice lovely excellent wonderful superb fantastic pleasant amazing delightful perfect fine tasty"),
    words("bad terrible awful horrible poor dreadful nasty lousy unpleasant disappointing mediocre weak dull bland"),
    words("very really quite truly particularly"),
)
VERBS = Polar(words("love enjoy like praise"), words("hate dislike regret detest"), words("really truly"))
PAST = Polar(words("loved enjoyed liked praised"), words("hated disliked regretted detested"), VERBS.very)

FOODS = words("food service music wine coffee bread soup fish pasta pizza beer staff rice cake tea")
PLACES = words("place waiter room menu restaurant kitchen lunch dinner meal dessert")
TAILS = (
    *("for us", "for once", "this time", "that evening", "on monday", "on the whole", "in the end", "by and large"),
    *("as it turned out", "when we were there"),
)
GROUPS = ("", "there", "at our table", "in our group")
OPENINGS = (
    *("well ,", "here is our view :", "we were there on monday with two friends .", "this was lunch for four ."),
    *("a friend had told us about it .", "we had dinner by the window ."),
)
CLOSINGS = (
    *("that is all i can say", "we paid and took the bus home", "it was our second visit"),
    *("make of that what you will", "my friends were there too"),
)
SWITCHES = {  # (affirmed, denied)
    "was": (("was", "was not"), ("was", "wasn't")),
    "is": (("is", "is not"), ("is", "isn't")),
    "do": (("do", "do not"), ("do", "don't")),
    "did": (("did", "did not"), ("did", "didn't")),
    "not": (("", "not"),),
    "never": (("", "never"),),
    "body": (("everybody", "nobody"), ("everyone", "no one")),
}
NEUTRAL = {  # judges nothing, and may be denied by the same switch
    "was": ("it {switch} monday", "it {switch} my birthday", "the bus {switch} on time"),
    "is": ("it {switch} far from the park", "my friend {switch} from here"),
    "do": ("we {switch} live here", "i {switch} have a car", "we {switch} know the owner"),
    "did": ("we {switch} book a table", "we {switch} take the bus", "they {switch} know us"),
    "not": ("we were {switch} alone", "we were {switch} there on monday"),
    "never": ("we {switch} book a table", "i {switch} have wine", "we {switch} take the bus"),
    "body": ("{switch} {group} had wine", "{switch} {group} took the bus", "{switch} {group} knew the owner"),
}
FRAMES = (
    Frame("{thing} {switch} {very} {polar} {tail}", "was", ADJECTIVES),
    Frame("i {switch} think {thing} was {very} {polar} {tail}", "do", ADJECTIVES),
    Frame("it {switch} true that {thing} was {very} {polar} {tail}", "is", ADJECTIVES),
    Frame("{thing} {switch} , to our surprise , {very} {polar} {tail}", "was", ADJECTIVES),
    Frame("{switch} {very} {polar} {food} {tail}", "not", ADJECTIVES),
    Frame("{switch} a {so} {polar} {place} {tail}", "not", ADJECTIVES),
    Frame("this place {switch} has {very} {polar} {food} {tail}", "never", ADJECTIVES),
    Frame("{switch} {group} thought {thing} was {very} {polar} {tail}", "body", ADJECTIVES),
    Frame("{switch} {group} {very} {polar} {thing} {tail}", "body", PAST),
    Frame("{we} {switch} {very} {polar} {thing} {tail}", "never", PAST),
    Frame("{we} {switch} {very} {polar} {thing} {tail}", "did", VERBS),
)
CONTRASTS = (  # B is what counts
    *("{A} , but {B}", "{A} but {B}", "although {A} , {B}", "{A} . still , {B}"),
    *("{B} , although {A}", "{B} even if {A}", "{B} , even though {A}", "{B} . true , {A}"),
)
JOINTS = ("{A} and {B}", "{A} , so {B}", "{A} . {B}", "{A} ; {B}", "{A} , and {B}")
CORRECTIONS = (  # A is what counts
    "{thing} was {very} {A} , not {too} {B} {tail}",
    "{thing} was not {too} {B} {tail} , it was {very} {A}",
    "{thing} was not {too} {B} {tail} but {very} {A}",
    "{very} {A} {food} , not {too} {B} {tail}",
    "{very} {A} , not {too} {B} {tail}",
)
KINDS = {"contrast": 45, "agreement": 20, "aside": 25, "correction": 10}  # percent of the reviews


def held_out(*template: int) -> str:
    """The part of a combination, whichever way round its claims stand: 3/5 train, 1/5 dev, 1/5 test."""
    return ("test", "dev", "train", "train", "train")[sum(template) % 5]


def combinations() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every template: its kind, and which joint, frames or tail it combines."""
    frames = range(len(FRAMES))
    for i in frames:
        for j in frames:
            yield from (("contrast", (joint, i, j)) for joint in range(len(CONTRASTS)))
            if FRAMES[i].polar is FRAMES[j].polar:
                yield from (("agreement", (joint, i, j)) for joint in range(len(JOINTS)))
        yield from (("aside", (joint, i, place)) for joint in range(len(JOINTS)) for place in (0, 1))
    yield from (("correction", (i, tail)) for i in range(len(CORRECTIONS)) for tail in range(len(TAILS) + 2))


class ToyReviews(Embedded):
    """Restaurant reviews, positive or negative, in which the order of the words decides and the words do not.

    Reviews come in twins, one of each label, of the same words: what a bag of words says of one it says of the other,
    and it is wrong once. Neighbouring words say little more, as what decides acts from afar. Four kinds:

        contrast    A but B: B counts        the wine was bad but nobody there disliked the food
        agreement   A and B mean the same    the wine was not really bad and we enjoyed the food
        aside       not every no judges      we did not book a table and i did like the food
        correction  A, not B                 the food was good , not bad at all

    The twin exchanges the two claims, the two judging words, or where the negation stands. The three parts share their
    words; each has combinations of joint and frames of its own, so that dev and test ask for understanding, not memory.

    examples: reviews of the training part; every part is rounded up to whole twins, which stand next to each other.
    """

    form: ClassVar[str] = "labelled_text"

    def read(self) -> dict[str, Columns]:
        templates: dict[tuple[str, str], list[tuple[int, ...]]] = {}
        for kind, template in combinations():
            templates.setdefault((held_out(*template), kind), []).append(template)
        parts = {}
        for part, size in self.sizes().items():
            random = self.random(part)
            kinds = random.choices(list(KINDS), list(KINDS.values()), k=math.ceil(size / 2))
            twins = [_twins(random, kind, random.choice(templates[part, kind])) for kind in kinds]
            parts[part] = {
                "text": [text for pair in twins for text in pair],
                "label": [label for _ in twins for label in ("positive", "negative")],
            }
        return parts


def _twins(random: Random, kind: str, template: tuple[int, ...]) -> tuple[str, str]:
    """A positive and a negative review of the same words."""
    positive = random.random() < 0.5
    texts = {}  # by whether the review is positive
    if kind == "contrast":
        joint, first, second = CONTRASTS[template[0]], FRAMES[template[1]], FRAMES[template[2]]
        denied = random.random() < 0.5, random.random() < 0.5
        a = _claim(random, first, not positive, denied[0], bare=0.7, at_all=0.15).text()
        b = _claim(random, second, positive, denied[1], bare=0.7, at_all=0.15).text()
        texts = {positive: joint.format(A=a, B=b), not positive: joint.format(A=b, B=a)}
    elif kind == "agreement":
        joint, first, second = JOINTS[template[0]], FRAMES[template[1]], FRAMES[template[2]]
        denied_first = random.random() < 0.5
        one = _claim(random, first, True, denied_first, bare=0.1)
        two = _claim(random, second, True, not denied_first, bare=0.1)
        texts[True] = joint.format(A=one.text(), B=two.text())
        texts[False] = joint.format(A=one.text(polar=two.slots["polar"]), B=two.text(polar=one.slots["polar"]))
    elif kind == "aside":
        joint, frame, place = JOINTS[template[0]], FRAMES[template[1]], template[2]
        affirmed, denied = random.choice(SWITCHES[frame.switch])
        claim = _claim(random, frame, positive, False, bare=0.1)
        neutral, group = random.choice(NEUTRAL[frame.switch]), random.choice(GROUPS)
        for label, on_claim, on_neutral in ((positive, affirmed, denied), (not positive, denied, affirmed)):
            pair = [claim.text(switch=on_claim), neutral.format(switch=on_neutral, group=group)]
            texts[label] = joint.format(A=pair[place], B=pair[1 - place])
    else:
        good, bad = random.choice(ADJECTIVES.positive), random.choice(ADJECTIVES.negative)
        slots = _slots(random, ADJECTIVES, bare=0.3)
        slots["too"] = _slots(random, ADJECTIVES, bare=0.3)["very"]
        slots["tail"] = (*TAILS, "at all", "")[template[1]]
        texts[True] = CORRECTIONS[template[0]].format(A=good, B=bad, **slots)
        texts[False] = CORRECTIONS[template[0]].format(A=bad, B=good, **slots)
    opening, closing = random.choice((("", ""), (random.choice(OPENINGS), ""), ("", ". " + random.choice(CLOSINGS))))
    stop = random.choice(("", "."))
    good, bad = (" ".join(f"{opening} {texts[label]} {closing} {stop}".split()) for label in (True, False))
    return good, bad


def _claim(random: Random, frame: Frame, positive: bool, denied: bool, bare: float, at_all: float = 0) -> Claim:
    """A judgement that comes out `positive`, by a word of that polarity or by a denied one of the other."""
    slots = _slots(random, frame.polar, bare)
    slots["switch"] = random.choice(SWITCHES[frame.switch])[denied]
    slots["polar"] = random.choice(frame.polar.positive if positive != denied else frame.polar.negative)
    if denied and random.random() < at_all:
        slots["tail"] = "at all"
    return Claim(frame, slots)


def _slots(random: Random, polar: Polar, bare: float) -> dict[str, str]:
    """What changes no judgement. `bare`: how often nothing stands before the judging word, a probability."""
    so = random.choice(polar.very)
    return {
        "so": so,
        "very": "" if random.random() < bare else so,
        "tail": random.choice(TAILS) if random.random() < 0.5 else "",
        "thing": "it" if random.random() < 0.1 else "the " + random.choice(FOODS + PLACES),
        "food": random.choice(FOODS),
        "place": random.choice(PLACES),
        "group": random.choice(GROUPS),
        "we": random.choice(("i", "we")),
    }


# ---- grammars that are read from left to right


class Arc(NamedTuple):
    """One word that may come next, its probability, the state after it, and its tag."""

    probability: float
    state: str
    tag: str


Grammar = dict[str, dict[str, Arc]]  # state -> word -> arc: a word leads to one state, so a text has one reading


def arcs(*groups: tuple[float, Iterable[str], str] | tuple[float, Iterable[str], str, str]) -> dict[str, Arc]:
    """(weight, words, next state, tag): the weight is shared evenly by the words, all weights are scaled to one."""
    found: dict[str, Arc] = {}
    total = sum(group[0] for group in groups)
    for weight, group_words, state, *tag in groups:
        options = tuple(group_words)
        for word in options:
            assert word not in found, word
            found[word] = Arc(weight / total / len(options), state, *(tag or ("",)))
    return found


END = "<eos>"


def sentence(grammar: Grammar, random: Random) -> list[tuple[str, str]]:
    """A sentence as its (word, tag) pairs, the end not among them."""
    state, found = "start", []
    while True:
        options = grammar[state]
        word = random.choices(list(options), [arc.probability for arc in options.values()])[0]
        if word == END:
            return found
        found.append((word, options[word].tag))
        state = options[word].state
