"""The table as a page in Markdown, as CSV, and in the marked places of other pages."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatch

from rnnzoo.results.published import MADE_HERE, Figure, cited
from rnnzoo.results.rows import Row
from rnnzoo.system import marked

MARK = "results"  # of the table in a page
COLUMNS = tuple(name for name in Row.__annotations__ if name != "figures")  # of the CSV file
SHOWN: dict[str, Callable[[Row], str]] = {  # the columns of a page
    "Recipe": lambda row: f"`{row['recipe']}`",
    "Metric": lambda row: _named(row) + {"max": " ↑", "min": " ↓"}[row["direction"]],
    "Test": lambda row: score(row["mean"], row["std"]) + _in_bits(row),
    "Seeds": lambda row: str(row["seeds"]),
    "Dev": lambda row: score(row["dev"], None),
    "Published": lambda row: "<br>".join(map(_beside, row["figures"])) or MADE_HERE,
    "Parameters": lambda row: f"{row['parameters']:,}",
    "Epochs": lambda row: f"{row['epochs']:g}",
    "Training": lambda row: f"{row['train_seconds'] / 60:.1f} min",
    "Memory": lambda row: "" if row["peak_memory_bytes"] is None else f"{row['peak_memory_bytes'] / 2**30:.1f} GiB",
    "Hardware": lambda row: row["hardware"],
    "Command": lambda row: f"`{row['command']}`",
    "Commit": lambda row: "; ".join(commit[:8] + "+" * commit.endswith("+") for commit in row["commit"].split("; ")),
    "Digest": lambda row: row["digest"][:8],
}
BRIEF = ("Recipe", "Metric", "Test", "Seeds", "Training", "Memory", "Published")
PAGE = """# Results

Test scores of the shipped recipes: the mean over seeds and the standard deviation (n - 1), for the checkpoint that
was best on dev; each run reads the test split once. "val" marks a recipe without a test split; its score is of dev.
Time and memory are means. Each row's command makes it again. `rnnzoo results --markdown` writes this page from
`manifests/`, the facts of every run that counts; `RESULTS.csv` has more columns. A digest identifies the recipe; a
"+" after a commit means that the working tree had changes. Published figures are of work on the same data. A † marks
a figure made under other conditions that matter, which are given after it. "Made here" means that no published figure
is known to us. The rows of `jsb_lstm`, `ptb_lstm` and `shakespeare_lstm` were scored in columns side by side, each of
which began without context; scored as one stream, as it is done now, a perplexity is a little lower (4.826 for the
shipped `shakespeare_lstm`).

"""


def _named(row: Row) -> str:
    """ "val/accuracy", or "loss (nats a character)": what a row's score is."""
    name = row["metric"].replace("_", " ")
    return f"{name} ({row['unit']})" if row["unit"] else name


def _in_bits(row: Row) -> str:
    """A score in nats once more, in bits."""
    return f" ({row['mean'] / math.log(2):.3f} bits)" if row["unit"].startswith("nats") else ""


def _beside(figure: Figure) -> str:
    """ "† 0.8363 LSTM-CRF (Lample and others); differs: ...": a published figure in a cell of the table."""
    return ("† " if "differs" in figure else "") + cited(figure).replace(": ", " ", 1)


def score(mean: float, std: float | None) -> str:
    """ "0.8945 ± 0.0015"."""
    digits = 4 if abs(mean) < 10 else 2
    return f"{mean:.{digits}f}" + ("" if std is None else f" ± {std:.{digits}f}")


def markdown(rows: Sequence[Row], columns: Sequence[str] = tuple(SHOWN)) -> str:
    """The table in Markdown."""
    lines = [columns, ["---"] * len(columns), *([SHOWN[column](row) for column in columns] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_csv(rows: Sequence[Row]) -> str:
    """The table as CSV; an empty field is not known."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def updated(text: str, rows: Sequence[Row]) -> str:
    """A page with the table written anew between each `<!-- results PATTERN -->` and `<!-- /results -->`.

    PATTERN, as imdb_*, says which recipes. Raises: ZooError if the page has no such marks.
    """
    return marked.updated(
        text, MARK, lambda pattern: markdown([row for row in rows if fnmatch(row["recipe"], pattern)], BRIEF)
    )
