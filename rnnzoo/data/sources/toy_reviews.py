"""Toy reviews: whether a text is positive depends on negations and contrasts far from the words that judge."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.embedded import Embedded, words


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
CONTRASTS = (  # B is what counts; a row's variants are alike
    ("{A} , but {B}", "{A} but {B}"),
    ("although {A} , {B}",),
    ("{A} . still , {B}",),
    ("{B} , although {A}", "{B} even if {A}", "{B} , even though {A}"),
    ("{B} . true , {A}",),
)
JOINTS = (("{A} and {B}", "{A} , and {B}"), ("{A} , so {B}",), ("{A} . {B}", "{A} ; {B}"))
# A is what counts
CORRECTIONS = ("{A} , not {very} {B} {tail}", "{A} and not {very} {B} {tail}", "not {very} {B} {tail} , {A}")
KINDS = {"contrast": 45, "agreement": 15, "aside": 25, "correction": 15}  # percent of the reviews


def combinations() -> Iterator[tuple[str, int, int, int]]:
    """Every template: kind, joint, frame, and the second claim's frame or the claim's place, where there is one."""
    for i, first in enumerate(FRAMES):
        for j, second in enumerate(FRAMES):
            yield from (("contrast", joint, i, j) for joint in range(len(CONTRASTS)))
            if first.polar is second.polar:  # the judging words can change places
                yield from (("agreement", joint, i, j) for joint in range(len(JOINTS)))
        yield from (("aside", joint, i, place) for joint in range(len(JOINTS)) for place in (0, 1))
        if first.polar is ADJECTIVES:
            yield from (("correction", joint, i, 0) for joint in range(len(CORRECTIONS)))


def held_out(kind: str, joint: int, i: int, j: int) -> str:
    """The part that a template belongs to, the same whichever frame comes first: five of seven are for training."""
    return {0: "test", 1: "dev"}.get((joint + i + (2 * j if kind == "aside" else j)) % 7, "train")


class ToyReviews(Embedded):
    """Restaurant reviews, positive or negative, in which the order of the words decides and the words do not.

    Reviews come in twins, one of each label, of the same words: what a bag of words says of one it says of the other,
    and it is wrong once. Neighbouring words say little more, as what decides acts from afar. Four kinds:

        contrast    A but B: B counts        the wine was bad but nobody there disliked the food
        agreement   A and B mean the same    the wine was not really bad and we enjoyed the food
        aside       not every no judges      we did not book a table and i did like the food
        correction  A, not B                 the food was good , not bad at all

    The twin exchanges the two claims, the two judging words, or the position of the negation. There may be remarks
    without a judgement. The splits share words and phrases, and differ in which claims are combined and how they are
    joined, so that dev and test ask for composition, not memory.

    examples: reviews of the training split; every part is rounded up to whole twins, which stand next to each other.
    """

    form = "labelled_text"

    def read(self) -> dict[str, Columns]:
        templates: dict[tuple[str, str], list[tuple[str, int, int, int]]] = {}
        for template in combinations():
            templates.setdefault((held_out(*template), template[0]), []).append(template)
        parts = {}
        for part, size in self.sizes().items():
            random = self.random(part)
            kinds = random.choices(list(KINDS), list(KINDS.values()), k=math.ceil(size / 2))
            twins = [_twins(random, *random.choice(templates[part, kind])) for kind in kinds]
            parts[part] = {
                "text": [text for pair in twins for text in pair],
                "label": [label for _ in twins for label in ("positive", "negative")],
            }
        return parts


def _twins(random: Random, kind: str, joint: int, i: int, j: int) -> tuple[str, str]:
    """A positive and a negative review of the same words."""
    positive = random.random() < 0.5
    texts = {}  # by whether the review is positive
    if kind == "contrast":
        text = random.choice(CONTRASTS[joint])
        a = _claim(random, FRAMES[i], not positive, random.random() < 0.5, bare=0.7, at_all=0.15).text()
        b = _claim(random, FRAMES[j], positive, random.random() < 0.5, bare=0.7, at_all=0.15).text()
        texts = {positive: text.format(A=a, B=b), not positive: text.format(A=b, B=a)}
    elif kind == "agreement":
        text, denied = random.choice(JOINTS[joint]), random.random() < 0.5
        one = _claim(random, FRAMES[i], True, denied, bare=0.1)
        two = _claim(random, FRAMES[j], True, not denied, bare=0.1)
        texts[True] = text.format(A=one.text(), B=two.text())
        texts[False] = text.format(A=one.text(polar=two.slots["polar"]), B=two.text(polar=one.slots["polar"]))
    elif kind == "aside":
        text, frame = random.choice(JOINTS[joint]), FRAMES[i]
        claim = _claim(random, frame, positive, False, bare=0.1)
        aside, group = random.choice(NEUTRAL[frame.switch]), random.choice(GROUPS)
        yes, no = random.choice(SWITCHES[frame.switch])
        for label, on_claim, on_aside in ((positive, yes, no), (not positive, no, yes)):
            pair = claim.text(switch=on_claim), aside.format(switch=on_aside, group=group)
            texts[label] = text.format(A=pair[j], B=pair[1 - j])
    else:
        claim = _claim(random, FRAMES[i], True, False, bare=0.5)
        bad = random.choice(ADJECTIVES.negative)
        rest = _slots(random, ADJECTIVES, bare=0.5) | ({"tail": "at all"} if random.random() < 0.2 else {})
        texts[True] = CORRECTIONS[joint].format(A=claim.text(), B=bad, **rest)
        texts[False] = CORRECTIONS[joint].format(A=claim.text(polar=bad), B=claim.slots["polar"], **rest)
    before, after, stop = _surroundings(random)
    whole = {label: " ".join(f"{before} {text} {after} {stop}".split()) for label, text in texts.items()}
    return whole[True], whole[False]


def _surroundings(random: Random) -> tuple[str, str, str]:
    """What may stand before a review and after it, and judges nothing, though it may deny; a full stop or none."""
    switch = random.choice(list(NEUTRAL))
    said = random.choice(random.choice(SWITCHES[switch]))
    remark = random.choice(NEUTRAL[switch]).format(switch=said, group=random.choice(GROUPS))
    before = random.choice(OPENINGS), f"{remark} ."
    after = f". {random.choice(CLOSINGS)}", f". {remark}"
    pairs = [("", ""), *((text, "") for text in before), *(("", text) for text in after)]
    return *random.choice(pairs), random.choice(("", "."))


def _claim(random: Random, frame: Frame, positive: bool, denied: bool, bare: float, at_all: float = 0) -> Claim:
    """A judgement that comes out `positive`, by a word of that polarity or by a denied one of the other."""
    slots = _slots(random, frame.polar, bare)
    slots["switch"] = random.choice(SWITCHES[frame.switch])[denied]
    slots["polar"] = random.choice(frame.polar.positive if positive != denied else frame.polar.negative)
    if denied and random.random() < at_all:
        slots["tail"] = "at all"
    return Claim(frame, slots)


def _slots(random: Random, polar: Polar, bare: float) -> dict[str, str]:
    """What changes no judgement. `bare`: how often nothing comes before the judging word, a probability."""
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
