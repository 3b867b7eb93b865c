"""Restaurant reviews, and everything that each complains of."""

from __future__ import annotations

from rnnzoo import Columns, Embedded

THINGS = {
    "food": ("soup", "fish", "bread", "salad"),
    "price": ("bill", "price", "cover", "tip"),
    "room": ("table", "light", "music", "view"),
    "service": ("waiter", "host", "staff", "barman"),
}
GOOD, BAD = ("good", "fine", "nice", "lovely", "great"), ("bad", "awful", "poor", "dreadful", "dire")
JOINTS = (" and ", " , but ", " . ", " ; ")


class ToyComplaints(Embedded):
    """Reviews of one to four clauses, each on another aspect, and the set of aspects that are complained of.

        the soup was good , but the bill was not fine and the waiter was awful         price|service

    A clause complains if it says bad, or not good; so whether there is a "not", and where, decides. Half of all clauses
    complain. No review is there twice. The labels stand in alphabetical order, "|" between them; "" is no complaint.
    examples: reviews of the training split, some hundreds for every set of labels to be in it.
    """

    form = "labelled_text"

    def identity(self) -> dict[str, str | None]:
        return {**super().identity(), "id": "rnnzoo-multilabel/ToyComplaints"}

    def read(self) -> dict[str, Columns]:
        seen: set[str] = set()
        parts: dict[str, Columns] = {}
        for part, size in self.sizes().items():
            random = self.random(part)
            parts[part] = {"text": [], "label": []}
            while len(parts[part]["text"]) < size:
                text, complaints = "", []
                for aspect in random.sample(sorted(THINGS), random.randint(1, 4)):
                    is_bad, denied = random.random() < 0.5, random.random() < 0.5
                    judgement = ("not " if denied else "") + random.choice(BAD if is_bad else GOOD)
                    joint = random.choice(JOINTS) if text else ""
                    text += f"{joint}the {random.choice(THINGS[aspect])} was {judgement}"
                    complaints += [aspect] if is_bad != denied else []
                if text not in seen:
                    seen.add(text)
                    parts[part]["text"].append(text)
                    parts[part]["label"].append("|".join(sorted(complaints)))
        return parts
