"""A comparison's page holds what it shows, loads nothing, and can be used with a mouse, a keyboard and on a phone."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from browser import Browser, needs_chromium
from compared_runs import make_run, six_runs
from pages import Page

from rnnzoo.cli import main
from rnnzoo.compare import compare
from rnnzoo.compare.disagreements import Results
from rnnzoo.compare.page import render
from rnnzoo.compare.page_curves import curves_data
from rnnzoo.runs import predictions
from rnnzoo.runs.predictions import Block, CountedMetric, Header

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>'\"&\u2028"
TRUTH = ["pos", "neg", "pos", "neg"]
SAID = {  # by cell and seed
    "lstm": (["pos", "neg", "pos", "neg"], ["pos", "neg", "pos", "neg"]),
    "gru": (["pos", "neg", "neg", "neg"], ["pos", "neg", "neg", "pos"]),
    "vanilla": (["pos", "pos", "neg", "neg"], ["pos", "neg", "neg", "neg"]),
}


def write_predictions(folder, said, truth=TRUTH, fingerprint="5f01" * 16):
    counts = np.array([[answer == right, 1] for answer, right in zip(said, truth, strict=True)], float)
    texts = {"input": [f"text {n} {HOSTILE}" for n in range(len(truth))], "truth": truth, "prediction": said}
    metric = CountedMetric("ratio", ("accuracy.correct", "accuracy.total"), "max")
    header = Header("sentiment", "example", fingerprint, {"accuracy": metric}, ("neg", "pos"))
    predictions.write(folder / predictions.FILE, header, Block(np.arange(len(truth)), counts, texts))


@pytest.fixture
def runs(here):
    """lstm, gru and vanilla with two seeds each, and what they said of four examples."""
    folder = six_runs(here)
    for cell, seeds in SAID.items():
        for seed, said in enumerate(seeds, 1):
            write_predictions(folder / "reviews" / f"{cell}-{seed}", said)
    return folder


def data_of(source: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', source, re.S)[1])


def test_the_page_is_closed_and_no_name_or_text_breaks_out_of_it(runs, here):
    hostile = [{"step": 1, "epoch": 0, f"val/{HOSTILE}": 1.0, "val/accuracy": 0.5}]
    make_run(here / "runs" / "x", "lstm", 1, lines=hostile, name=HOSTILE, optimizer__name=HOSTILE, optimizer__lr=0.5)
    source = render(compare([runs]))
    page = Page(source)
    assert len(page.texts["script"]) == 2 and "img" not in page.texts
    assert f"val/{HOSTILE}" in data_of(source)["metrics"] and HOSTILE not in source
    assert "text 2 </script>" in "".join(page.texts["p"])


def test_the_page_has_every_group_run_score_and_cost_the_best_marked(runs):
    page = Page(render(compare([runs])))
    words = page.texts["td"]
    assert {"0.8300 ± 0.0141", "0.8050 ± 0.0071", "100,000", "38 s", "native"} <= set(words)
    assert {"lstm-1", "gru-2", "vanilla-1"} <= set(page.texts["th"])
    assert ("class", "n best") in page.attributes
    assert "lstm" in page.texts["h1"][0]


def test_verdicts_notes_and_what_was_left_out_are_on_the_page(runs, here):
    (runs / "reviews" / "gru-2" / "summary.json").write_text('{"status": "failed"}')
    comparison = compare([runs])
    comparison.verdicts.append("gru is 2 points below lstm: no clear difference")
    comparison.verdicts.append(f"run `rnnzoo fit {HOSTILE}`")
    comparison.notes.append(f"a note {HOSTILE}")
    page = Page(render(comparison))
    assert "gru is 2 points below lstm: no clear difference" in page.texts["li"]
    assert any(code.startswith("rnnzoo fit </script>") for code in page.texts["code"])
    assert any("it failed" in line for line in page.texts["li"])
    assert any(line.startswith("a note") for line in page.texts["li"])


def test_curves_are_those_of_the_runs_along_every_axis(runs):
    data = curves_data(compare([runs]))
    assert data["axes"] == ["step", "epoch", "tokens_seen", "train_seconds", "cpu_seconds"]
    assert data["metrics"] == ["val/accuracy", "val/loss", "train/loss"]
    first = [entry for entry in data["series"] if entry[:2] == [0, 0]]
    (_, _, table, values), columns = first[0], data["tables"][first[0][2]]
    assert values == [0.205, 0.41, 0.615, 0.82]  # a quarter of 0.82 each epoch
    assert columns[1] == [1, 2, 3, 4] and columns[2] == [250_000, 500_000, 750_000, 1_000_000]
    assert table == 0 and len(data["tables"]) == 1  # all runs were logged at the same places


def test_a_thinned_curve_keeps_its_extremes(here):
    values = [0.5 + 0.001 * (n % 97) for n in range(5000)]
    values[1234], values[4321] = 0.0, 1.0
    lines = [{"step": n, "epoch": 0, "val/accuracy": value} for n, value in enumerate(values)]
    data = curves_data(compare([make_run(here / "a", lines=lines)]))
    ((_, _, table, kept),) = data["series"]
    assert len(kept) <= 300 and {0.0, 1.0} <= set(kept)
    assert data["tables"][table][0][kept.index(1.0)] == 4322  # counted from 1


def test_the_examples_that_groups_answer_differently_come_first(runs):
    comparison = compare([runs])
    assert [group.name for group in comparison.groups] == ["lstm", "gru", "vanilla"]
    found = Results(comparison).disagreements()
    assert [example.id for example in found] == [2, 1, 3]  # 1 apart, then 1/2 each; all agree on 0
    right, wrong, also = found[0].answers
    assert (right.text, right.score, wrong.text, wrong.score, also.score) == ("pos", 1.0, "neg", 0.0, 0.0)
    assert found[2].answers[1].share == 0.5


def test_the_score_of_a_label_is_the_mean_of_its_runs(runs):
    table = Results(compare([runs])).by_label()
    assert table["pos"] == pytest.approx([1.0, (2 / 3 + 2 / 4) / 2, (2 / 4 + 2 / 3) / 2])
    assert table["neg"] == pytest.approx([1.0, (4 / 5 + 2 / 4) / 2, (2 / 4 + 4 / 5) / 2])


def test_results_of_as_many_rows_of_another_test_set_are_left_out(runs):
    write_predictions(runs / "reviews" / "gru-1", SAID["gru"][0], fingerprint="ab" * 32)
    assert [len(group) for group in Results(compare([runs])).groups] == [2, 1, 2]


def test_results_of_other_examples_or_none_are_left_out(runs):
    write_predictions(runs / "reviews" / "gru-1", ["pos"] * 9, ["pos"] * 9)
    (runs / "reviews" / "vanilla-1" / predictions.FILE).write_text("broken")
    (runs / "reviews" / "vanilla-2" / predictions.FILE).unlink()
    results = Results(compare([runs]))
    assert [len(group) for group in results.groups] == [2, 1, 0]
    assert all(example.answers[2] is None for example in results.disagreements())
    Page(render(compare([runs])))


def test_a_page_of_twenty_runs_with_everything_stays_below_two_megabytes(here):
    rng = np.random.default_rng(0)
    names = ["val/accuracy", "val/loss", *(f"train/metric {n}" for n in range(10))]
    for seed in range(20):
        noise = rng.normal(size=(2000, len(names) + 1)).tolist()
        lines = [
            {"step": n, "epoch": n // 50, "tokens_seen": 31_415 * n, "train_seconds": 0.123 * n, "cpu_seconds": 0.1 * n}
            | dict(zip(names, row, strict=False))
            for n, row in enumerate(noise)
        ]
        folder = make_run(here / "runs" / f"run-{seed}", "lstm", 1, lines=lines, optimizer__lr=0.001 * (seed + 1))
        write_predictions(folder, rng.choice(["pos", "neg"], 1000).tolist(), ["pos"] * 1000)
    source = render(compare([here / "runs"]))
    assert len(source.encode()) < 2e6
    assert len(data_of(source)["series"]) == 20 * len(names)


def test_the_verb_writes_the_page_and_loads_no_torch(runs, here):
    code = "import sys; from rnnzoo.cli import main; main(['compare', 'runs', '--html', 'out.html'])\n"
    code += "print({'torch', 'lightning', 'datasets', 'wandb', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n") and done.stderr == "page: out.html\n"
    Page((here / "out.html").read_text(encoding="utf-8"))


def test_a_page_that_cannot_be_written_is_said_so(runs, capsys):
    assert main(["compare", "runs", "--html", "no/such/out.html"]) == 2
    assert "cannot write no/such/out.html" in capsys.readouterr().err


@needs_chromium
@pytest.mark.slow
def test_the_page_works_by_mouse_by_keyboard_on_a_phone_and_in_the_dark(runs, here):
    path = here / "page.html"
    path.write_text(render(compare([runs])), encoding="utf-8")
    first = "document.querySelector('#groups-table tbody th').textContent"
    with Browser() as browser:
        browser.open(path)
        assert browser.run("document.querySelectorAll('#chart path.line').length") == 3 + 6
        labels = "[...document.querySelectorAll('#chart text.label')].map(e => e.textContent).join()"
        assert browser.run(labels) == "lstm,gru,vanilla"
        assert browser.run(first) == "lstm"
        head = "[...document.querySelectorAll('#groups-table thead th')].find(e => e.textContent.includes('test/acc'))"
        browser.run(f"{head}.querySelector('button').click()")  # the best first
        assert browser.run(f"{head}.getAttribute('aria-sort')") == "descending" and browser.run(first) == "lstm"
        browser.run(f"{head}.querySelector('button').focus()")
        browser.press("Enter")
        assert browser.run(f"{head}.getAttribute('aria-sort')") == "ascending" and browser.run(first) == "vanilla"
        browser.run("document.getElementById('runs-filter').focus()")
        for letter in "gru":
            browser.press(letter)
        shown = "[...document.querySelectorAll('#runs-table tbody tr')].filter(e => !e.hidden).length"
        assert browser.run(shown) == 2
        assert browser.run("document.getElementById('runs-count').textContent") == "2 of 6 shown"
        browser.run("document.querySelector('#chart svg').focus()")
        browser.press("ArrowRight")
        says = browser.run("document.getElementById('chart-says').textContent")
        assert says == "step 64: lstm 0.2075, gru 0.2013, vanilla 0.1625"
        browser.run(
            "(e => { e.value = 3; e.dispatchEvent(new Event('change')) })(document.getElementById('chart-axis'))"
        )
        browser.run("document.querySelector('#chart svg').focus()")
        browser.press("End")
        assert browser.run("document.getElementById('chart-says').textContent").startswith(
            "train seconds 40: lstm 0.83"
        )
        browser.run("document.querySelector('#chart-legend button').click()")
        assert browser.run(labels) == "gru,vanilla"
        browser.run(
            "(e => { e.value = '0'; e.dispatchEvent(new Event('change')) })(document.getElementById('examples-best'))"
        )
        assert browser.run("document.getElementById('examples-count').textContent") == "1 of 3 shown"
        browser.open(path, 390, dark=True)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
        browser.run("document.activeElement.blur()")
        browser.press("Tab")
        assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert browser.errors == [] and {url.partition(":")[0] for url in browser.requests} == {"file"}
