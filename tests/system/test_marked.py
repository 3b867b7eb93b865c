"""Tables are written between their marks in a page, and nowhere else."""

import pytest

from rnnzoo.errors import ZooError
from rnnzoo.system import marked

PAGE = "a\n<!-- one -->\nold\n<!-- /one -->\nb\n<!-- two x_* -->\nold\n<!-- /two -->\n<!-- two -->\n<!-- /two -->\nc\n"


def test_each_table_of_a_name_is_made_anew_by_its_pattern_and_the_rest_stays():
    patterns = []
    page = marked.updated(PAGE, "two", lambda pattern: patterns.append(pattern) or f"new {pattern}\n")
    assert patterns == ["x_*", "*"]
    assert page == (
        "a\n<!-- one -->\nold\n<!-- /one -->\nb\n"
        "<!-- two x_* -->\nnew x_*\n<!-- /two -->\n<!-- two -->\nnew *\n<!-- /two -->\nc\n"
    )


def test_a_page_without_its_marks_or_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ZooError, match=r"the page has no place for the table\.\n.*<!-- three -->.*<!-- /three -->"):
        marked.updated(PAGE, "three", str)
    page = tmp_path / "page.md"
    with pytest.raises(ZooError, match=f"cannot read {page}"):
        marked.read(page, "one")
    page.write_text(PAGE)
    assert marked.read(page, "one") == PAGE
    with pytest.raises(ZooError, match=f"{page} has no place"):
        marked.read(page, "three")
