"""Five made-up data sets as people bring them: `python tests/own_data.py FOLDER` writes their files.

docs/from_file_to_page.md trains on each; tests/test_own_data.py runs what that page says.
"""

from __future__ import annotations

import csv
import datetime
import math
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

STARS = {  # what a review of so many stars says
    "1": ("terrible", "broken", "a scam", "useless", "the worst"),
    "2": ("weak", "too slow", "noisy", "overpriced", "flimsy"),
    "3": ("okay", "average", "nothing special", "acceptable", "plain"),
    "4": ("good", "solid", "well made", "pleasant", "reliable"),
    "5": ("superb", "perfect", "the best", "outstanding", "a joy"),
}
THINGS = ("kettle", "lamp", "backpack", "keyboard", "umbrella", "chair", "clock", "knife")
LABELS = {  # what a ticket about it says
    "billing": ("charged me twice", "the invoice is wrong", "I want my money back"),
    "login": ("cannot sign in", "my password is refused", "the code never arrives"),
    "shipping": ("the parcel is late", "it went to an old address", "tracking stands still"),
    "bug": ("the page is blank", "it crashes when I save", "an error appears"),
}
PLACES = ("饭店", "电影", "酒店", "手机", "老师", "衣服", "公园", "音乐")
GOOD, BAD = ("好", "棒", "满意", "喜欢", "漂亮", "值得"), ("差", "糟", "失望", "讨厌", "难看", "浪费")


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def reviews(folder: Path, draw: random.Random) -> None:
    """stars.csv, stars_test.csv: text, label; five classes, of which the first is 20 times rarer than the last."""

    def row(stars: str) -> tuple[str, str]:
        words = draw.sample(STARS[stars], 2)
        if draw.random() < 0.5:  # not all that is said fits
            words[1] = draw.choice(STARS[draw.choice("12345")])
        return (
            f"The {draw.choice(THINGS)} is {words[0]} . {draw.choice(('Really', 'For me', 'In short'))} , {words[1]} .",
            stars,
        )

    shares = {"1": 1, "2": 2, "3": 4, "4": 10, "5": 20}
    train = [row(stars) for stars, share in shares.items() for _ in range(30 * share)]
    draw.shuffle(train)
    write(folder / "stars.csv", ("text", "label"), train)
    write(folder / "stars_test.csv", ("text", "label"), [row(stars) for stars in STARS for _ in range(60)])


def activity(folder: Path, draw: random.Random) -> None:
    """walks.csv, walks_test.csv: a row a step, `recording`, `time`, `x`, `y`, `z`, `activity`; of 20 to 60 steps."""
    kinds = {"sitting": (0.0, 0.05), "walking": (1.8, 0.5), "running": (2.9, 1.4)}  # Hz, strength

    def rows(names: Iterable[str]) -> Iterable[Sequence[object]]:
        for name in names:
            kind = draw.choice(list(kinds))
            hertz, strength = kinds[kind]
            phase, time = draw.uniform(0, 6), datetime.datetime(2026, 5, 1, 8, tzinfo=datetime.timezone.utc)
            for step in range(draw.randint(20, 60)):
                wave = [strength * math.sin(2 * math.pi * hertz * step / 20 + phase + turn) for turn in (0, 1, 2)]
                values = [round(value + draw.gauss(0, 0.8), 3) for value in (wave[0], wave[1], 1 + wave[2])]
                missing = draw.random() < 0.01
                yield (
                    name,
                    (time + datetime.timedelta(seconds=step / 20)).isoformat(),
                    *(["", *values[1:]] if missing else values),
                    kind,
                )

    header = ("recording", "time", "x", "y", "z", "activity")
    write(folder / "walks.csv", header, rows(f"r{number}" for number in range(400)))
    write(folder / "walks_test.csv", header, rows(f"t{number}" for number in range(100)))


def sales(folder: Path, draw: random.Random) -> None:
    """sales.csv: `month`, `shop`, `sold`, `holiday`: two shops over 20 years; how many holidays a month has is known
    long before, moves from year to year, and sells. sales_next.csv: the last three years of one, and what comes."""
    rows = []
    for shop, level in (("north", 200), ("south", 320)):
        for month in range(240):
            year, of_year = 2006 + month // 12, month % 12 + 1
            holidays = draw.choice((0, 0, 1, 2, 3))
            season = 30 * math.sin(2 * math.pi * of_year / 12)
            sold = level + 0.3 * month + season + 25 * holidays + draw.gauss(0, 6)
            rows.append((f"{year}-{of_year:02}", shop, round(sold), holidays))
    header = ("month", "shop", "sold", "holidays")
    write(folder / "sales.csv", header, rows)
    coming = [(f"2026-{month:02}", "north", "", holidays) for month, holidays in ((1, 0), (2, 3), (3, 1))]
    write(folder / "sales_next.csv", header, [row for row in rows if row[1] == "north"][-36:] + coming)


def tickets(folder: Path, draw: random.Random) -> None:
    """tickets.csv, tickets_test.csv: text, labels, joined by `|`; a ticket has up to three of four, or none."""

    def row() -> tuple[str, str]:
        labels = [label for label in LABELS if draw.random() < 0.35]
        draw.shuffle(labels)
        said = [draw.choice(LABELS[label]) for label in labels] or ["thank you for the quick help"]
        return " and ".join(said) + draw.choice((" .", " ! please help", " since Monday .")), "|".join(sorted(labels))

    write(folder / "tickets.csv", ("text", "labels"), [row() for _ in range(900)])
    write(folder / "tickets_test.csv", ("text", "labels"), [row() for _ in range(200)])


def chinese(folder: Path, draw: random.Random) -> None:
    """chinese.csv, chinese_test.csv: text, label; a sentence of praise (好) or blame (差), at times denied."""

    def row() -> tuple[str, str]:
        good, denied = draw.random() < 0.5, draw.random() < 0.4
        word = draw.choice(GOOD if good else BAD)
        how = "一点也不" if denied else draw.choice(("很", "真", "太"))
        whose, end = draw.choice(("这家", "那个", "我觉得", "昨天的")), draw.choice(("。", "！", "了。"))
        text = f"{whose}{draw.choice(PLACES)}{how}{word}{end}"
        return text, "好" if good != denied else "差"

    write(folder / "chinese.csv", ("text", "label"), [row() for _ in range(1200)])
    write(folder / "chinese_test.csv", ("text", "label"), [row() for _ in range(300)])


def main(folder: Path) -> None:
    for number, make in enumerate((reviews, activity, sales, tickets, chinese)):
        make(folder, random.Random(number))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
