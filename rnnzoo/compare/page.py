"""A comparison as one page for a browser: verdicts, curves, a table to sort and filter, labels, disagreements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnzoo.compare.comparison import Comparison
from rnnzoo.compare.disagreements import Answer, Disagreement, Results
from rnnzoo.compare.page_curves import curves_data
from rnnzoo.compare.page_tables import Column, group_columns, run_columns
from rnnzoo.compare.terminal import ARROWS
from rnnzoo.pictures.theme import SERIES, fill
from rnnzoo.reports.page import asset, page, section, text
from rnnzoo.system.console import printable
from rnnzoo.system.quantities import amount

ASSETS = Path(__file__).parent / "page"
STYLE, SCRIPTS = "compare.css", ("chart.js", "tables.js")
VERDICTS = 3  # that are not folded
COMMAND, CODE = re.compile("`([^`]+)`"), r"<code>\1</code>"
LETTERS = 320  # of an example's text
GROUPS, RUNS = 200, 400  # rows of a table
FEW = 6  # groups whose answers to an example have a line each
BAR, LONG = 96, 30  # pixels; characters of a name that may take two lines


def render(comparison: Comparison) -> str:
    """The page. Raises: RunError for a run whose files cannot be read."""
    results = Results(comparison)
    names = [group.name for group in comparison.groups]
    data = {
        "groups": names,
        "runs": [
            {"name": run.name, "group": index, "seed": run.seed}
            for index, group in enumerate(comparison.groups)
            for run in group.runs
        ],
        "colours": SERIES,
        **curves_data(comparison),
    }
    body = [
        *_header(comparison),
        section("curves", "Learning curves", _curves(data["metrics"], data["axes"])) if data["series"] else "",
        section("table", "Scores and costs", *_tables(comparison)),
        section("labels", "By label", _labels(names, results.by_label())),
        section("examples", "Where they disagree", _disagreements(names, results.disagreements())),
        section("out", "Left out", _left_out(comparison)),
        "</main><footer><p>Made by <code>rnnzoo compare --html</code>. It loads nothing from any network.</p></footer>",
    ]
    script = "".join(asset(ASSETS / name) for name in SCRIPTS)
    return page(f"Comparison: {comparison.task}", body, asset(ASSETS / STYLE), script, data)


def _header(comparison: Comparison) -> Iterator[str]:
    counts = f"{amount(len(comparison.runs), 'run')} in {amount(len(comparison.groups), 'group')}"
    at = f" Best on dev by {comparison.at}." if comparison.at else ""
    yield f'<header><p class="over">rnnzoo · {counts}</p><h1>{text(_title(comparison), 200)}</h1>'
    yield f'<p class="quiet">{text(comparison.data, 300)}.{text(at)}</p>'
    yield _verdicts(list(map(str, comparison.verdicts)))
    notes = "".join(f"<li>{text(note, 1000)}</li>" for note in comparison.notes)
    yield f'<ul class="notes" aria-label="Notes">{notes}</ul>' if notes else ""
    yield "</header><main>"


def _verdicts(sentences: Sequence[str]) -> str:
    """The first few in full view, the others folded; the commands in them as code."""
    items = [f"<li>{COMMAND.sub(CODE, text(sentence, 1000))}</li>" for sentence in sentences]
    lists = [f'<ul class="verdicts">{"".join(part)}</ul>' for part in (items[:VERDICTS], items[VERDICTS:]) if part]
    if len(lists) > 1:
        lists[1] = f"<details><summary>{len(items) - VERDICTS} more pairs</summary>{lists[1]}</details>"
    return "".join(lists)


def _title(comparison: Comparison) -> str:
    names = [group.name for group in comparison.groups]
    return f"{comparison.task}: {', '.join(names[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _curves(metrics: Sequence[str], axes: Sequence[str]) -> str:
    """The chart's controls, and where the script draws it."""
    return f"""<form class="controls" id="chart-controls">
{_select("metric", "Metric", metrics)}{_select("axis", "Along", axes)}
<label><input type="checkbox" id="chart-each"> each run</label>
<label><input type="checkbox" id="chart-log"> logarithmic</label></form>
<div class="legend" id="chart-legend" role="group" aria-label="Groups shown"></div>
<div id="chart" class="chart"></div>
<p id="chart-says" class="quiet says" role="status" aria-live="polite"></p>
<noscript><p>The curves are drawn by a script, which this browser does not run.</p></noscript>"""


def _select(name: str, label: str, options: Sequence[str]) -> str:
    inner = "".join(f'<option value="{number}">{text(option, 60)}</option>' for number, option in enumerate(options))
    return f'<label>{label} <select id="chart-{name}">{inner}</select></label>'


def _tables(comparison: Comparison) -> Iterator[str]:
    yield _table("groups", "Groups: mean ± standard deviation over the seeds", group_columns(comparison), GROUPS)
    yield _table("runs", "Single runs", run_columns(comparison), RUNS)


def _table(name: str, caption: str, columns: Sequence[Column], most: int) -> str:
    """A table that the script lets sort and filter; without it, it is as it stands."""
    kinds = [' class="n"' if column.numbers else "" for column in columns]
    heads = "".join(
        f'<th scope="col"{kind}><button type="button">{text(column.name, 80)}{ARROWS[column.mode]}</button></th>'
        for column, kind in zip(columns, kinds, strict=True)
    )
    rows: list[str] = []
    for cells in list(zip(*(column.cells for column in columns), strict=True))[:most]:
        inner = ""
        for place, (cell, kind, column) in enumerate(zip(cells, kinds, columns, strict=True)):
            key = f' data-v="{cell.value!r}"' if cell.value is not None else ""
            swatch = _swatch(column.colours[len(rows)]) if column.colours else ""
            long = ' class="long"' if len(cell.words) > LONG else kind
            best = ' class="n best"' if cell.best else long
            tag = (f'th scope="row"{long}', "th") if place == 0 else (f"td{best}{key}", "td")
            inner += f"<{tag[0]}>{swatch}{text(cell.words, 120)}</{tag[1]}>"
        rows.append(f"<tr>{inner}</tr>")
    total = len(columns[0].cells)
    more = f'<p class="quiet">{total - most:,} more rows are not shown.</p>' if total > most else ""
    return f"""<h3 id="{name}-h">{text(caption)}</h3>
<label class="filter">Filter
<input type="search" id="{name}-filter" data-rows="{name}-table" autocomplete="off"></label>
<span class="quiet" id="{name}-count" role="status" aria-live="polite"></span>
<div class="wide" role="region" aria-labelledby="{name}-h" tabindex="0"><table id="{name}-table" class="sortable">
<thead><tr>{heads}</tr></thead><tbody>
{chr(10).join(rows)}
</tbody></table></div>{more}"""


def _swatch(group: int) -> str:
    shade = f"s{group % len(SERIES)}"
    dot = f'<circle cx="6" cy="6" r="5" {fill(shade)}/>'
    return f'<svg class="swatch" width="12" height="12" aria-hidden="true">{dot}</svg>'


def _labels(names: Sequence[str], table: dict[str, list[float | None]]) -> str:
    """A bar for each label and group."""
    if not table:
        return ""
    heads = "".join(f'<th scope="col">{_swatch(index)}{text(name, 60)}</th>' for index, name in enumerate(names[:12]))
    rows = []
    for label, scores in table.items():
        cells = "".join(f"<td>{_bar(score, index)}</td>" for index, score in enumerate(scores[:12]))
        rows.append(f'<tr><th scope="row">{text(label, 60)}</th>{cells}</tr>')
    return f"""<p class="quiet">F1 on the test, the mean of each group's runs; what differs most comes first.</p>
<div class="wide" role="region" aria-label="F1 by label" tabindex="0"><table class="bars">
<thead><tr><th scope="col">label</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>"""


def _bar(score: float | None, group: int) -> str:
    if score is None:
        return "–"
    shade, width = f"s{group % len(SERIES)}", BAR * min(max(score, 0), 1)
    box = "".join(
        f'<rect width="{long:.1f}" height="10" rx="2" {fill(colour)}/>'
        for long, colour in ((BAR, "rule"), (width, shade))
    )
    return f'<svg width="{BAR}" height="10" aria-hidden="true">{box}</svg> <span>{100 * score:.1f} %</span>'


def _disagreements(names: Sequence[str], examples: Sequence[Disagreement]) -> str:
    if not examples:
        return ""
    options = "".join(f'<option value="{index}">{text(name, 60)}</option>' for index, name in enumerate(names))
    items = "".join(_disagreement(names, example) for example in examples)
    return f"""<p class="quiet">Examples of the test, those first whose scores are farthest apart between groups.</p>
<form class="controls"><label>Filter <input type="search" id="examples-filter" autocomplete="off"></label>
<label>Best answered by <select id="examples-best"><option value="">any group</option>{options}</select></label>
<span class="quiet" id="examples-count" role="status" aria-live="polite"></span></form>
<ol class="examples" id="examples-list">{items}</ol>"""


def _disagreement(names: Sequence[str], example: Disagreement) -> str:
    scores = [answer.score for answer in example.answers if answer is not None]
    best = [str(i) for i, answer in enumerate(example.answers) if answer is not None and answer.score == max(scores)]
    truth = f"<div><dt>truth</dt><dd>{text(example.truth, LETTERS)}</dd></div>" if example.truth is not None else ""
    answers = [(index, answer) for index, answer in enumerate(example.answers) if answer is not None]
    if len(answers) > FEW and all(answer.text is not None for _, answer in answers):
        lines = _together(names, answers, example.truth)
    else:
        lines = "".join(_answered(names[index], index, answer, example.truth) for index, answer in answers)
    asked = f"<p>{text(example.input, LETTERS)}</p>" if example.input else ""
    return (
        f'<li data-best="{" ".join(best)}"><span class="quiet">{example.id}</span>{asked}<dl>{truth}{lines}</dl></li>'
    )


def _together(names: Sequence[str], answers: Sequence[tuple[int, Answer]], truth: str | None) -> str:
    """Each answer once, with the groups that give it: of many groups the shorter list."""
    by_text: dict[str | None, list[str]] = {}
    for index, answer in answers:
        by_text.setdefault(answer.text, []).append(names[index])
    lines = ""
    for said, of in sorted(by_text.items(), key=lambda item: -len(item[1])):
        kind = "" if truth is None else ' class="said right"' if said == truth else ' class="said"'
        who = text(", ".join(of), LETTERS)
        lines += f"<div{kind}><dt>{len(of)} groups</dt><dd>{text(said, LETTERS)} <small>{who}</small></dd></div>"
    return lines


def _answered(name: str, index: int, answer: Answer, truth: str | None) -> str:
    kind = (
        ""
        if truth is None or answer.text is None
        else ' class="said right"'
        if answer.text == truth
        else ' class="said"'
    )
    said = f"{printable(abs(answer.score))}" if answer.text is None else answer.text
    share = f" <small>{100 * answer.share:.0f} % of its runs</small>" if answer.share < 1 else ""
    return f"<div{kind}><dt>{_swatch(index)}{text(name, 40)}</dt><dd>{text(said, LETTERS)}{share}</dd></div>"


def _left_out(comparison: Comparison) -> str:
    lines = "".join(
        f"<li><code>{text(run.path, 300)}</code>: {text(run.why, 500)}</li>" for run in comparison.left_out[:200]
    )
    return f"<ul>{lines}</ul>" if lines else ""
