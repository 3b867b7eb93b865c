"""What `rnnzoo bench` prints, and the table in the README."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rnnzoo.system import console, files, marked
from rnnzoo.system.files import JsonObject

MARK = "bench"  # of the table in a page
FIRST_CALL = ("first_build_s", "first_build_cpu_s", "later_load_s", "later_load_cpu_s")


def show_result(result: JsonObject) -> None:
    """Print one layer's times beside its rivals'."""
    rows = [("", "ms", "engine's speed")]
    for name, ms in result["ms"].items():
        path = f" ({paths(result['engine'])})" if name == "engine" else ""
        speed = f"{result['speedup'][name]:.2f}x" if name in result["speedup"] else ""
        rows.append((name + path, f"{ms:.2f}", speed))
    console.table(rows, f"{result['name']}, {_case(result)}, {result['mode']}")


def show_rest(report: JsonObject) -> None:
    """Print what was measured beside layers, and where all of it was measured."""
    if rows := [
        (row["name"], row["size"], *(f"{us:.2f}" for us in row["us_per_token"].values()), f"{row['ratio']:.2f}x")
        for row in report.get("scaling", ())
    ]:
        console.table([("", "", "T=200", "T=2000", "ratio"), *rows], "training, microseconds a token")
    if rows := [
        (row["name"], paths(row["engine"]), *(f"{row[key]:.3f}" for key in FIRST_CALL))
        for row in report.get("build", ())
    ]:
        console.table([("", "", "empty cache", "processor", "full cache", "processor"), *rows], "first call, seconds")
    console.print(where(report))


def show_fit(result: JsonObject) -> None:
    """Print how fast a recipe trains."""
    rates = {name.replace("_", " "): rate for name, rate in result["throughput"].items() if rate is not None}
    rows = [(name, f"{rate:,.0f}") for name, rate in rates.items()]
    peak = result["peak_memory_bytes"]
    rows += [("peak memory", f"{peak / 2**20:,.0f} MiB")] if peak else []
    rows += [("engine", paths(result["engine"]))]
    console.table(rows, f"{result['recipe']}, {result['batches']} training batches")
    console.print(where(result))


def show_scale(report: JsonObject) -> None:
    """Print a table for each section: the sizes, and what was measured at each or why nothing was."""
    for section, rows in report["sections"].items():
        names = list(dict.fromkeys(name for row in rows for name in row if name not in ("size", "skipped", "load")))
        measured = [row for row in rows if "skipped" not in row]
        lines = [(f"{row['size']:,}", *(_number(row[name]) for name in names)) for row in measured]
        if lines:
            console.table([("", *(name.replace("_", " ") for name in names)), *lines], section)
        for row in rows:
            if why := row.get("skipped"):
                console.print(f"{section} {row['size']:,}: not measured, {why}.")
    console.print(where(report))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def paths(engine: list[JsonObject]) -> str:
    """The engine paths that ran, as "native"."""
    return ", ".join(sorted({str(layer["path"]) for layer in engine}))


def _case(result: JsonObject) -> str:
    directions = "both directions" if result["bidirectional"] else "one direction"
    valid = f" ({100 * result['valid']:.0f} % valid)" if result["lengths"] == "ragged" else ""
    return f"{result['size']} {result['lengths']}{valid}, {directions}"


def where(report: JsonObject) -> str:
    """Where and how it was measured, in a sentence or two."""
    machine, settings = report["machine"], report["settings"]
    load = " and ".join(f"{values[0]:g}" for values in (report["load_before"], report["load_after"]) if values)
    device = machine["gpu"] if settings["device"] == "cuda" else machine["cpu"]
    return (
        f"{device}, {settings['threads']} of {machine['cores']} cores, "
        f"torch {machine['torch']}, {machine['compiler'] or 'no compiler'}; {settings['clock']} time"
        + (f", medians of {settings['rounds']} rounds in which all take turns" if "rounds" in settings else "")
        + (", memory reused between calls" if machine["memory_kept"] else "")
        + (f"; load {load} before and after." if load else ".")
    )


def markdown(report: JsonObject) -> str:
    """The README's table: a row for each layer, with its time and its speed relative to each rival."""
    lines = ["| Cell | Layer | | Engine | vs padded | vs packed | vs naive loop |", "|" + " --- |" * 7]
    for row in report["results"]:
        times = f"{paths(row['engine'])}, {row['ms']['engine']:.1f} ms"
        rivals = (_against(row["speedup"], kind) for kind in ("padded", "packed", "naive"))
        lines.append("| " + " | ".join((f"`{row['name']}`", _case(row), row["mode"], times, *rivals)) + " |")
    return "\n".join([*lines, "", where(report), ""])


def _against(speedup: Mapping[str, float], kind: str) -> str:
    """ "2.8x", or "2.8x `nn.LSTM`, 4.1x `nn.GRU`" of a cell with two rivals of a kind."""
    speeds = {name: speed for name, speed in speedup.items() if kind in name.split()}
    if len(speeds) == 1:
        return f"{next(iter(speeds.values())):.2f}x"
    return ", ".join(f"{speed:.2f}x `{name.split()[0]}`" for name, speed in speeds.items())


def update(path: Path, table: str) -> None:
    """Write the table between a page's marks. Raises: ZooError."""
    files.write_text(path, marked.updated(marked.read(path, MARK), MARK, lambda _: table))
