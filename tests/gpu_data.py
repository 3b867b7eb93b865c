"""Made-up files with the sizes of IMDB and of the Penn Treebank: `python tests/gpu_data.py FOLDER`.

Words are drawn by Zipf's law from a vocabulary of IMDB's recipe (25,000) or PTB's (10,000); reviews have lognormal
lengths of median 174 and mean 234 words, at most 2,000. What is learnt from them means nothing; what it costs does.
"""

import csv
import math
import sys
from pathlib import Path

import numpy as np

REVIEWS = {"train": 25_000, "dev": 500, "test": 500}
TOKENS = {"train": 929_589, "dev": 73_760, "test": 82_430}
LINE = 22  # words of a line of PTB, on average
SIGMA = math.sqrt(2 * math.log(234 / 174))


def words(random: np.random.Generator, vocabulary: int, count: int) -> list[str]:
    """So many words; the first of them are the whole vocabulary, where they can be."""
    shares = 1 / np.arange(1, vocabulary + 1)
    drawn = random.choice(vocabulary, count, p=shares / shares.sum())
    drawn[: min(vocabulary, count)] = np.arange(min(vocabulary, count))
    return [f"w{word}" for word in drawn]


def write(folder: Path) -> None:
    random = np.random.default_rng(0)
    for part, count in REVIEWS.items():
        lengths = np.clip(np.exp(random.normal(math.log(174), SIGMA, count)), 10, 2000).astype(int)
        drawn, start = words(random, 25_000, int(lengths.sum())), 0
        with (folder / f"imdb_bilstm.{part}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            for number, length in enumerate(lengths):
                rows.writerow([" ".join(drawn[start : start + length]), ("negative", "positive")[number % 2]])
                start += length
    for part, count in TOKENS.items():
        drawn = words(random, 10_000, count)
        lines = [" ".join(drawn[start : start + LINE]) for start in range(0, count, LINE)]
        (folder / f"ptb_awd.{part}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
