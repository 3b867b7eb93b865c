"""Shipping a run's weights: in half precision, with the facts of the run and a card."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from rnnzoo import runs
from rnnzoo.errors import RunError
from rnnzoo.recipe.sections import TrackingOptions
from rnnzoo.results.manifests import Manifest, metric
from rnnzoo.results.tables import score
from rnnzoo.runs import checkpoint
from rnnzoo.runs.pretrained_models import ALIASES, FOLDER
from rnnzoo.system import files
from rnnzoo.system.plain import plain
from rnnzoo.system.shipped import models

if TYPE_CHECKING:
    from torch import Tensor

CARD, FACTS = "README.md", "summary.json"
LIMIT = 20_000_000  # bytes of all weights that are shipped


class Terms(TypedDict):
    """What the card of a model says beside the facts of its run."""

    purpose: str
    data: str
    licence: str
    limits: str


SHIPPABLE: dict[str, Terms] = {  # what may be shipped
    "quickstart": {
        "purpose": "Shows how to ask a trained model. It separates positive from negative made-up reviews, and knows "
        "only their few words.",
        "data": "toy_reviews, made by rnnzoo itself.",
        "licence": "Apache 2.0, as rnnzoo.",
        "limits": "Of no use for real reviews.",
    },
    "imdb_bilstm": {
        "purpose": "Classifies English film reviews as positive or negative.",
        "data": "Large Movie Review Dataset: Maas, Daly, Pham, Huang, Ng, Potts, Learning Word Vectors for Sentiment "
        "Analysis, ACL 2011.",
        "licence": "The data are given for research, with the citation above; so are these weights.",
        "limits": "Long film reviews in English. Its probabilities mean little for short or neutral texts, or on other "
        "subjects; it misses irony. It shares the bias of the reviews' authors.",
    },
    "ud_pos": {
        "purpose": "Tags the words of an English sentence with their universal parts of speech.",
        "data": "Universal Dependencies, English Web Treebank (Silveira and others, LREC 2014).",
        "licence": "CC BY-SA 4.0, as the treebank.",
        "limits": "Trained on web text that is split into words as in the treebank (do n't); it tags other text worse.",
    },
    "wikitext2_lstm": {
        "purpose": "Predicts the next word of an English text, and continues it.",
        "data": "WikiText-2 (Merity, Xiong, Bradbury, Socher, arXiv:1609.07843), from articles of Wikipedia.",
        "licence": "CC BY-SA 3.0 and GFDL, as the articles.",
        "limits": "What it writes sounds like an encyclopedia and is not true.",
    },
    "shakespeare_lstm": {
        "purpose": "Continues a text in the manner of Shakespeare, character by character.",
        "data": "Tiny Shakespeare (Karpathy), a million characters of the plays.",
        "licence": "The plays are in the public domain.",
        "limits": "Spelling and metre, no sense.",
    },
}


def export(run: str | Path) -> Path:
    """Ship a run that counts (see `rnnzoo.results.judge`): its best weights in half precision, its facts, and a card.

    The effect of half precision is measured on the dev split, so the run's data must be there.
    Raises: RunError if the run does not count or may not be shipped, or its weights are too large, all or one of them.
    """
    from rnnzoo.experiment.evaluate import evaluate
    from rnnzoo.experiment.restore import origin
    from rnnzoo.results.judge import manifest
    from rnnzoo.tasks.calibration import KEY

    facts = manifest(run)
    name = facts["recipe"]
    if name not in SHIPPABLE:
        raise RunError(f"weights of '{name}' are not shipped.\n  {__name__} lists what may be, and its licence.")
    saved = checkpoint.load(checkpoint.locate(runs.find(run)))
    meta = {key: value for key, value in saved.meta.items() if key in ("parts", "versions", "metrics", "epoch", KEY)}
    config, _ = origin(saved)
    recipe = config | {"tracking": asdict(TrackingOptions(mode="disabled", project="rnnzoo"))}
    folder = FOLDER / name
    if folder.exists():
        raise RunError(f"{folder} exists already.\n  Remove it to ship other weights.")
    with tempfile.TemporaryDirectory(prefix=files.TEMPORARY, dir=FOLDER) as temporary:
        new = Path(temporary) / name
        checkpoint.save(new, halved(saved.weights), meta | {"recipe": recipe}, saved.spec)
        if (size := _weights([new, *models().values()])) > LIMIT:
            raise RunError(
                f"with '{name}' the shipped weights would take {size / 1e6:.1f} MB, above {LIMIT / 1e6:.0f} MB.\n"
                "  Give the recipe fewer parameters, or remove other weights."
            )
        _write_facts(new, facts)
        facts["half"] = evaluate(new, "dev", {"trainer": {"enable_progress_bar": False}})
        _write_facts(new, facts)
        files.write_text(new / CARD, card(facts))
        new.rename(folder)
    return folder


def _weights(folders: Iterable[Path]) -> int:
    """How many bytes the weights in these folders take."""
    return sum((folder / checkpoint.WEIGHTS).stat().st_size for folder in folders)


def _write_facts(folder: Path, facts: Manifest) -> None:
    files.write_text(folder / FACTS, json.dumps(plain(facts), indent=1, ensure_ascii=False) + "\n")


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision; names of one tensor stay names of one. Raises: RunError for one out of its range."""
    halves = {id(tensor): tensor.half() if tensor.is_floating_point() else tensor for tensor in weights.values()}
    for name, tensor in weights.items():
        if not halves[id(tensor)].isfinite().all():
            raise RunError(f"the weights {name} are not finite in half precision.\n  It ends at 65,504.")
    return {name: halves[id(tensor)] for name, tensor in weights.items()}


def card(facts: Manifest) -> str:
    """The card of a model, in Markdown, from the facts of its run."""
    name, terms = facts["recipe"], SHIPPABLE[facts["recipe"]]
    chosen_by = metric(facts)
    metrics, half = _numbers(runs.scores(facts["metrics"])), facts["half"]
    change = half[f"val/{chosen_by}"] - metrics[f"best/{chosen_by}"]
    data = facts["data"]
    commit = facts["commit"] or "unknown"
    size = 2 * facts["parameters"] / 2**20
    aliases = ", ".join(f"`{alias}`" for alias, model in ALIASES.items() if model == name)
    return f"""# {name}

{terms["purpose"]}

- Data: {terms["data"]} Read as `{data["id"]}`, revision {data["revision"] or "none"}, {_sizes(data["sizes"])}.
- Licence: {terms["licence"]}
- Scores: {_scores(metrics, "test")} on test; {_scores(metrics, "best")} on dev, which chose the checkpoint.
- Half precision: {facts["parameters"]:,} parameters in {size:.1f} MiB; {chosen_by} on dev {_signed(change)}.
- Recipe: `{name}`, digest `{facts["digest"]}`, seed {facts["seed"]}: `rnnzoo fit {name} --seed {facts["seed"]}`.
- Made by: commit {commit}; {facts["cpu_seconds"]:.0f} CPU-seconds; {_versions(facts["versions"])}.
- Limits: {terms["limits"]}
- Other names: {aliases or "none"}.
"""


def _scores(metrics: Mapping[str, float], part: str) -> str:
    values = {key.partition("/")[2]: value for key, value in metrics.items() if key.startswith(f"{part}/")}
    return ", ".join(f"{name.replace('_', ' ')} {score(value, None)}" for name, value in values.items())


def _numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """The metrics that have a value."""
    return {name: value for name, value in metrics.items() if value is not None}


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {part}" for part, count in sizes.items())


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _signed(change: float) -> str:
    """ "as before", or "+0.0004"."""
    return "as before" if math.isclose(change, 0, abs_tol=5e-5) else f"{change:+.4f}"
