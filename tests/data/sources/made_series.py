"""Own data for tests: activity from accelerometer rows, and monthly sales with a known holiday column."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

ACTIVITIES = {"rest": (0.0, 0.05), "walk": (1.8, 0.6), "run": (2.8, 1.6)}  # steps a second, strength in g


def write_table(path: Path, header, rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def activity(path: Path, series: int = 60, seed: int = 0, per_step: bool = False) -> Path:
    """A long table: a row for every 1/20 s, of 2 to 4 s each; the device is held at any angle, a static column says by
    whom. per_step: the activity changes once within each series."""
    random = np.random.default_rng(seed)
    rows, names = [], list(ACTIVITIES)
    for number in range(series):
        length = int(random.integers(40, 80))
        done = [names[number % 3]] * length
        if per_step:
            done[length // 2 :] = [names[(number + 1) % 3]] * (length - length // 2)
        start = datetime(2024, 3, 1, 8) + timedelta(minutes=number)
        up = random.normal(size=3)
        up /= np.linalg.norm(up)
        phase = random.uniform(0, 2 * np.pi)
        for step in range(length):
            rate, strength = ACTIVITIES[done[step]]
            g = up * (1 + strength * np.sin(2 * np.pi * rate * step / 20 + phase)) + random.normal(0, 0.05, 3)
            at = (start + timedelta(seconds=step / 20)).isoformat(timespec="milliseconds") + "+01:00"
            rows.append([f"walk-{number}", at, *(f"{value:.4f}" for value in g), number % 2, done[step]])
    return write_table(path, ["walk", "time", "ax", "ay", "az", "left handed", "activity"], rows)


def sales(path: Path, months: int = 180, shops: int = 3, seed: int = 0, ahead: int = 0) -> Path:
    """A long table: monthly sales of some shops, in EUR, with a season and noise. In months that have a holiday week,
    which no rule of the past says, they are half as high again. ahead: further months without sales, whose holidays
    are known."""
    random = np.random.default_rng(seed)
    rows = []
    for shop in range(shops):
        level, growth = random.uniform(80, 120), random.uniform(0, 0.1)
        holidays = random.random(months + ahead) < 0.2
        for month in range(months + ahead):
            sold = (level + growth * month + 10 * np.sin(2 * np.pi * month / 12)) * (1 + 0.5 * holidays[month])
            when = f"{2005 + month // 12}-{1 + month % 12:02d}"
            said = f"{sold + random.normal(0, 2):.2f} EUR" if month < months else ""
            rows.append([f"shop {shop}", when, said, int(holidays[month]), "city" if shop % 2 else "village"])
    return write_table(path, ["shop", "month", "sales", "holiday", "place"], rows)
