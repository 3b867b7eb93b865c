"""`rnnzoo export RUN --format web`: the same page, held to what all formats are held to."""

import pytest
from browser import needs_chromium

from rnnzoo.cli import main
from rnnzoo.export.base import Exported
from rnnzoo.export.format import write
from rnnzoo.export.web_page import FORMAT
from rnnzoo.inference import predictor
from rnnzoo.system import chromium


@needs_chromium
@pytest.mark.slow
def test_a_page_takes_and_gives_the_state_as_other_formats_do(tmp_path):
    exported = Exported(predictor.load("shakespeare_lstm"))
    report = write(exported, FORMAT, tmp_path / "page.html")
    assert [slot.name for slot in exported.slots] == ["h_0", "c_0", "h_1", "c_1"]
    assert report.difference <= 1e-5 and report.size == (tmp_path / "page.html").stat().st_size


@needs_chromium
@pytest.mark.slow
def test_a_page_of_rounded_weights_is_compared_with_these_under_any_name(tmp_path, capsys):
    assert main(["export", "pos", "--format", "web", "--out", str(tmp_path / "page.txt")]) == 0
    assert "calls of other sizes agree with the model" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["page.txt"]


def test_without_chromium_the_format_says_what_writes_a_page_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(chromium, "find", lambda: None)
    assert main(["export", "quickstart", "--format", "web", "--out", str(tmp_path / "page.html")]) == 2
    assert "use `rnnzoo page`, which writes a page without a check then" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
