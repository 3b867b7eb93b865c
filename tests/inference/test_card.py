"""What a model is, told in a few lines: in a terminal, in a notebook, as a page."""

import html
import shutil

import pytest

import rnnzoo
from rnnzoo.errors import RunError
from rnnzoo.inference.predictor import Predictor
from rnnzoo.runs import checkpoint


@pytest.fixture(scope="module")
def model(trained):
    return rnnzoo.load(trained)


def test_a_model_says_what_it_is(model):
    lines = repr(model).splitlines()
    rows = dict(line.strip().split("  ", 1) for line in lines[1:])
    rows = {name: value.strip() for name, value in rows.items()}
    count = sum(parameter.numel() for parameter in model.model.parameters())
    assert lines[0] == "rnnzoo model" and rows["task"] == "sentiment" and rows["parameters"] == f"{count:,}"
    assert rows["network"] == "bidirectional, cell lstm, hidden size 4, 1 layer"
    assert (
        rows["answers"] == "negative, positive"
        and rows["trained on"] == "train.csv, dev.csv, dev.csv: 48 examples, 10 epochs"
    )
    assert rows["scores"].startswith("test/accuracy 1.0000, ") and rows["run"] == str(model.run)


def test_a_notebook_shows_the_same_as_a_table(model):
    shown = model._repr_html_()
    values = [line.strip().split("  ", 1)[1].strip() for line in repr(model).splitlines()[1:]]
    assert shown.startswith("<table") and all(f">{html.escape(value)}</td>" in shown for value in values)


def test_what_a_file_says_steers_neither_terminal_nor_page(trained):
    saved = checkpoint.load(checkpoint.locate(trained))
    saved.spec["target"]["names"] = ["<b>bad</b>", "\x1b[31mgood"]
    model = Predictor(saved)
    assert "\x1b" not in repr(model) and r"\x1b[31mgood" in repr(model) and "run" not in repr(model).split()
    assert "<b>" not in model._repr_html_() and "&lt;b&gt;bad" in model._repr_html_()
    with pytest.raises(RunError, match="a page is drawn of a run"):
        model.report()


def test_a_model_whose_summary_is_broken_still_says_what_it_is(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "summary.json").write_text("{")
    assert "parameters" in repr(rnnzoo.load(tmp_path / "run"))


def test_the_page_of_a_run_has_its_pictures_and_is_shown_in_a_frame_without_scripts(model, tmp_path):
    page = model.report()
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page.html and "<svg" in page.html
    frame = page._repr_html_()
    assert frame.startswith('<iframe sandbox="" srcdoc="') and html.escape(page.html, quote=True) in frame
    assert "page of" in repr(page)
