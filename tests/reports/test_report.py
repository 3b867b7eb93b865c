"""A run's page says what its folder holds, needs nothing else, and is never the reason that a run is lost."""

import json
import subprocess
import sys

import numpy as np
import pytest
from browser import Browser, needs_chromium
from pages import Page

from rnnzoo.cli import main
from rnnzoo.reports import write as reports
from rnnzoo.runs import predictions
from rnnzoo.runs.predictions import Block, CountedMetric, Header

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&\x1b[31m"
ACCURACY = {"accuracy": CountedMetric("ratio", ("accuracy.correct", "accuracy.total"), "max")}
ROWS = [("pos", "pos", 0.9), ("pos", "neg", 0.6), ("neg", "pos", 0.8), ("neg", "neg", 0.7)]


@pytest.fixture
def run(here):
    """A finished run's folder, whose names and texts mean harm."""
    folder = here / "run"
    folder.mkdir()
    facts = {
        "recipe": HOSTILE,
        "seed": 3,
        "status": "finished",
        "parameters": 1234,
        "train_seconds": 65.0,
        "steps": 20,
        "epochs": 2,
        "host": "secret-host",
        "best": {"monitor": "val/accuracy", "score": 0.6, "epoch": 1},
        "metrics": {"best/accuracy": 0.625, "test/accuracy": 0.5, f"test/{HOSTILE}": 1.0},
        "data": {"id": HOSTILE, "sizes": {"train": 40, "test": 4}, "fingerprint": "f" * 64},
        "versions": {"rnnzoo": "1.2.3"},
        "engine": [{"layer": HOSTILE, "cell": "LSTMCell", "path": "native"}],
    }
    (folder / "summary.json").write_text(json.dumps(facts))
    (folder / "config.yaml").write_text("name: x\nseed: 3\ndata: {url: 'https://me:pass@host/x'}\n# " + HOSTILE[:-5])
    lines = [{"step": 9 + 10 * n, "epoch": n, "val/loss": 1 / (n + 1), f"train/{HOSTILE}": n} for n in range(3)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 3')
    write_predictions(folder, [(*row, f"text {number} {HOSTILE}") for number, row in enumerate(ROWS)])
    return folder


def write_predictions(folder, rows):
    truths, said, sure, inputs = map(list, zip(*rows, strict=True))
    counts = np.array([[truth == answer, 1] for truth, answer in zip(truths, said, strict=True)], float)
    texts = {"input": inputs, "truth": truths, "prediction": said}
    block = Block(np.arange(len(rows)), counts, texts, np.array(sure))
    header = Header("sentiment", "example", "f" * 64, ACCURACY, ("neg", "pos"))
    predictions.write(folder / predictions.FILE, header, block)


def test_a_report_is_one_closed_page_that_escapes_every_text(run):
    path = reports.write(run)
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    assert "script" not in page.texts and "img" not in page.texts and "\x1b" not in source
    assert "secret-host" not in source and "me:pass" not in source
    assert all(f"text {number} </script>" in "".join(page.texts["p"]) for number in range(4))


def test_a_report_says_how_well_how_fast_on_what_and_how_to_repeat_it(run):
    page = Page(reports.write(run).read_text(encoding="utf-8"))
    words = " ".join(text for texts in page.texts.values() for text in texts)
    for said in ("0.6250", "0.5000", "1,234", "1 min 5 s", "20 steps", "LSTMCell", "1.2.3", "f" * 64):
        assert said in words, said
    commands = "\n".join(page.texts["code"])
    assert "rnnzoo predict run --text" in commands and "rnnzoo reproduce run" in commands and "seed: 3" in commands


def test_the_pictures_are_files_of_their_own(run):
    reports.write(run)
    names = {path.stem for path in (run / "pictures").iterdir()}
    assert {"curve-loss", "confusion", "calibration", "labels"} <= names and len(names) == 5
    assert "2 of 4 right" in (run / "pictures" / "confusion.svg").read_text()


def test_the_worst_examples_come_first_the_most_confident_of_them_at_the_top(run):
    facts = {"best": {"monitor": "val/accuracy"}}
    examples = reports.drawing.read_examples(run, facts)
    worst = examples.worst(3)
    assert [example.id for example in worst] == [2, 1, 0]
    assert [example.score for example in worst] == [0, 0, 1]
    assert [example.id for example in examples.random(9)] == [0, 1, 2, 3]


def test_labels_of_words_are_paired_word_by_word(run):
    write_predictions(run, [("pos neg pos", "pos pos ne", 0.5, "a b c")])
    examples = reports.drawing.read_examples(run, {})
    assert examples.label_pairs() == [("pos", "pos"), ("neg", "pos")]  # the last one is cut short


def test_numbers_are_drawn_over_the_truth(run):
    header = Header("forecasting", "example", "f", ACCURACY)
    texts = {"truth": ["1 2", "3 4"], "prediction": ["1.5 2", "3 5"]}
    predictions.write(run / predictions.FILE, header, Block(np.arange(2), np.ones((2, 2)), texts))
    examples = reports.drawing.read_examples(run, {})
    assert examples.numbers() == [(1, 1.5), (2, 2), (3, 3), (4, 5)]
    assert set(reports.drawing.draw_examples(examples)) == {"truth"}


def test_a_report_is_at_most_a_megabyte_however_much_there_is_to_say(run):
    rows = [(f"{n % 60}", f"{n % 59}", 0.5, "&" * 5000) for n in range(3000)]
    truths, said, sure, inputs = map(list, zip(*rows, strict=True))
    header = Header("t", "example", "f", ACCURACY, tuple(map(str, range(60))))
    texts = {"input": inputs, "truth": truths, "prediction": said}
    predictions.write(run / predictions.FILE, header, Block(np.arange(3000), np.ones((3000, 2)), texts, np.array(sure)))
    names = [f"metric {n}" for n in range(40)]
    lines = [{"step": step, **{f"val/{name}": step % 7 for name in names}} for step in range(2000)]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (run / "config.yaml").write_text("a: '" + "<&>" * 80_000 + "'")
    facts = json.loads((run / "summary.json").read_text())
    facts["engine"] = [{"layer": "&" * 900, "cell": "c"}] * 500
    facts["metrics"] |= {f"test/{name}": 1.0 for name in names}
    (run / "summary.json").write_text(json.dumps(facts))
    path = reports.write(run)
    assert path.stat().st_size < 1e6
    Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("missing", ["config.yaml", "metrics.jsonl", predictions.FILE])
def test_what_is_missing_or_broken_is_left_out(run, missing, caplog):
    (run / missing).unlink()
    Page(reports.write(run).read_text(encoding="utf-8"))
    if missing == predictions.FILE:
        (run / missing).write_text("no parquet")
        Page(reports.write(run).read_text(encoding="utf-8"))
        assert len(caplog.records) == 1 and "parquet" in caplog.text


def test_a_run_that_cannot_be_drawn_is_one_warning(run, caplog):
    (run / "pictures").write_text("a file is in the way")
    reports.attempt(run)
    assert len(caplog.records) == 1 and "report is not drawn" in caplog.text
    assert not (run / "report.html").exists()


def test_a_link_in_the_place_of_the_pictures_is_not_followed(run, here):
    (here / "elsewhere").mkdir()
    (run / "pictures").symlink_to(here / "elsewhere")
    assert main(["show", "run", "--report"]) == 2
    assert not list((here / "elsewhere").iterdir())


def test_a_shipped_model_is_drawn_as_a_file_elsewhere(here, capsys):
    assert main(["show", "ud_pos", "--report"]) == 2
    assert "nothing is written there" in capsys.readouterr().err
    assert main(["show", "ud_pos", "--report", "page.html"]) == 0
    Page((here / "page.html").read_text(encoding="utf-8"))


def test_show_draws_an_older_run_again_without_torch(run, here):
    code = "import sys; from rnnzoo.cli import main; main(['show', 'run', '--report', 'out.html'])\n"
    code += "print({'torch', 'lightning', 'datasets', 'wandb', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "out.html\nset()\n"
    Page((here / "out.html").read_text(encoding="utf-8"))
    assert not (run / "report.html").exists() and not (run / "pictures").exists()


def test_a_run_leaves_its_pictures_and_its_page(trained):
    page = Page((trained / "report.html").read_text(encoding="utf-8"))
    assert "rnnzoo reproduce" in "\n".join(page.texts["code"])
    assert (trained / "pictures" / "curve-loss.svg").is_file()


@needs_chromium
@pytest.mark.slow
def test_a_browser_shows_a_report_without_an_error_on_a_phone_and_in_the_dark(run):
    path = reports.write(run)
    with Browser() as browser:
        for width, dark in ((1280, False), (390, True)):
            browser.open(path, width, dark=dark)
            assert browser.run("document.documentElement.scrollWidth") <= width
            paper = browser.run("getComputedStyle(document.body).backgroundColor")
            assert paper == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
        assert browser.errors == [] and {url.partition(":")[0] for url in browser.requests} == {"file"}
