"""What a reader must know before believing a comparison: where runs differ beside their settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnnzoo.compare.alike import scored_part
from rnnzoo.compare.collect import ComparedRun
from rnnzoo.compare.settings import BASE
from rnnzoo.system.console import inline


def notes(groups: Sequence[Sequence[ComparedRun]]) -> list[str]:
    """Sentences about runs that do not differ by their settings alone; none for a fair comparison."""
    every = [run for group in groups for run in group]
    said = [sentence.format(_listed(values)) for sentence, fact in FACTS.items() if (values := _values(every, fact))]
    return [*said, *_encoded(groups), *_cut(groups)]


def _values(runs: Sequence[ComparedRun], fact: Callable[[ComparedRun], object]) -> list[str]:
    """The values of a fact, if there are several; runs that do not say it are no case."""
    values = dict.fromkeys(str(value) for run in runs if (value := fact(run)) not in (None, ""))
    return [*values] if len(values) > 1 else []


def _listed(values: Sequence[str]) -> str:
    """ "AMD EPYC, Apple M3 and 2 more": what may come from a stranger's file, in a line, ready for `str.format`."""
    texts = ", ".join(inline(value, 40) for value in values[:3])
    return texts + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def _machine(run: ComparedRun) -> str:
    hardware = run.facts.get("hardware", {})
    on_gpu = run.facts.get("device") in ("cuda", "mps")
    return (hardware.get("gpu") if on_gpu else hardware.get("cpu")) or ""


def _versions(run: ComparedRun) -> str:
    versions = run.facts.get("versions", {})
    return " ".join(f"{name} {versions[name]}" for name in BASE if name in versions and name != "python")


FACTS: dict[str, Callable[[ComparedRun], object]] = {
    "Times are of different machines and do not compare: {}.": _machine,
    "Times are of different numbers of threads: {}.": lambda run: run.facts.get("threads"),
    "Runs computed in different precisions: {}.": lambda run: run.facts.get("precision"),
    "Runs used different versions: {}.": _versions,
}


def _encoded(groups: Sequence[Sequence[ComparedRun]]) -> list[str]:
    """Where targets are of a vocabulary, a different one makes other losses and perplexities."""
    prints = {group[0].facts.get("data", {}).get("fingerprint") for group in groups}
    labelled = all(group[0].facts.get("data", {}).get("labels") for group in groups)
    if len(prints) > 1 and not labelled:
        return ["Groups encode the data differently: a loss or perplexity over another vocabulary is another quantity."]
    return []


def _cut(groups: Sequence[Sequence[ComparedRun]]) -> list[str]:
    """Test examples of which only the beginning was read, where that differs."""
    data = [group[0].facts.get("data", {}) for group in groups]
    counts = [one.get("truncated", {}).get(scored_part(group[0]), 0) for one, group in zip(data, groups, strict=True)]
    if len({*counts}) > 1:
        return [
            f"Groups cut different numbers of the scored examples to max_length: {min(counts):,} to {max(counts):,}."
        ]
    return []
