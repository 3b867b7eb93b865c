"""Small data sets that are written here: nothing to download, a second to make, the same for the same seed anywhere.

Each one is easy for a recurrent network and out of reach of a model that looks at single words or neighbours only, so
that a run of seconds shows whether a network remembers.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from random import Random
from string import ascii_lowercase
from typing import Annotated, ClassVar, Literal, NamedTuple, get_args

from rnnzoo.data.base import Columns, Source
from rnnzoo.errors import unknown
from rnnzoo.limits import Count, Limit, Seed, checked

Operation = Literal["copy", "reverse"]


class Embedded(Source):
    """A source that makes its examples: a training part, and a dev and a test part an eighth and a quarter its size.

    examples: of the training part (reviews, sentences, lines or pairs).
    seed: same seed, same examples, on every machine and version of Python.
    """

    @checked
    def __init__(self, examples: Count = 4000, seed: Seed = 0) -> None:
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

    The twin exchanges the two claims, the two judging words, or where the negation stands. Remarks without a judgement
    may stand around. The parts share words and phrases, and differ in which claims stand together and how they are
    joined, so that dev and test ask for composition, not memory.

    examples: reviews of the training part; every part is rounded up to whole twins, which stand next to each other.
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


# ---- tags


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


# ---- text


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

    The lines are drawn from a grammar that tells the probability of each next word, so the best perplexity that a model
    can reach is known. A model of neighbouring words cannot come near it, as other nouns stand between.

    examples: lines of the training part.
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
        state, found = "start", []
        for word in text.split():
            if word not in self.grammar[state]:
                raise ValueError(f"no line of ToyText begins with '{text}': '{word}' cannot stand there")
            found.append(self.grammar[state][word])
            state = found[-1].state
        return found


# ---- pairs


class ToyPairs(Embedded):
    """Strings of letters and their copies or reverses: "c a b" and "b a c". No string is there twice.

    operation: what the target is. longest: letters of the longest source; the shortest has 2, all lengths are alike
    frequent until the short strings are used up. letters: size of the alphabet.
    """

    form = "text_pairs"

    @checked
    def __init__(
        self,
        examples: Count = 4000,
        seed: Seed = 0,
        operation: Operation = "reverse",
        longest: Annotated[int, Limit(2, 1000)] = 8,
        letters: Annotated[int, Limit(2, len(ascii_lowercase))] = 10,
    ) -> None:
        super().__init__(examples, seed)
        if operation not in get_args(Operation):
            raise ValueError(unknown("no operation is named", str(operation), get_args(Operation)))
        wanted, most = sum(self.sizes().values()), letters**longest // 2
        if wanted > most:
            raise ValueError(
                f"{letters} letters in strings of up to {longest} give too few strings for examples={examples}.\n"
                f"  Wanted for the three parts: {wanted}; to be had: {most}. Raise letters or longest."
            )
        self.operation, self.longest, self.letters = operation, longest, letters

    def read(self) -> dict[str, Columns]:
        random, sizes = self.random("strings"), self.sizes()
        strings: dict[str, None] = {}  # a set in order
        while len(strings) < sum(sizes.values()):
            length = random.randint(2, self.longest)
            strings[" ".join(random.choices(ascii_lowercase[: self.letters], k=length))] = None
        drawn = list(strings)
        random.shuffle(drawn)  # short strings, used up early, come in all parts
        parts = {}
        for part, size in sizes.items():
            sources, drawn = drawn[:size], drawn[size:]
            reverse = self.operation == "reverse"
            parts[part] = {"source": sources, "target": [text[::-1] if reverse else text for text in sources]}
        return parts
