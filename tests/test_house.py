"""The code in figures, see `house.py`."""

import house


def test_every_figure_that_is_read_from_the_code_keeps_its_bar():
    missed = [figure for figure in house.by_reading() if not figure.ok]
    assert missed == []
