"""Charts are well-formed SVG whose lines are where the numbers are."""

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.pictures.svg import WIDTH, chart, ticks

NUMBERS = st.floats(-1e6, 1e6)


def lines_of(text: str) -> list[list[tuple[float, float]]]:
    return [
        [tuple(map(float, point.split(","))) for point in element.attrib["points"].split()]
        for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}polyline")
    ]


def test_equal_steps_of_the_numbers_are_equal_steps_of_the_drawing():
    (line,) = lines_of(chart("t", "x", "y", {"a": [(0, 0), (1, 10), (2, 20)]}))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert x0 < x1 and y0 > y1  # up is up


def test_on_a_logarithmic_axis_equal_factors_are_equal_steps():
    ((_, y0), (_, y1), (_, y2)) = lines_of(chart("t", "x", "y", {"a": [(0, 1), (1, 10), (2, 100)]}, log_y=True))[0]
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


def test_names_are_escaped():
    text = chart("a < b & c", "x", "y", {"<script>": [(0, 1)]})
    words = [element.text for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert "a < b & c" in words and "<script>" in words


@pytest.mark.parametrize("name", ["lstm", "runs/adding_lstm/20261121-142457-7c1e"])
def test_a_name_has_room_for_all_its_letters(name):
    text = chart("t", "x", "y", {"a": [(0, 1)], name: [(0, 2)]})
    last = list(ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text"))[-1]
    assert last.text == name and 0 < float(last.attrib["x"]) < WIDTH - 6.5 * len(name)


def test_points_that_cannot_be_drawn_are_left_out_and_nothing_at_all_is_refused():
    assert len(lines_of(chart("t", "x", "y", {"a": [(0, 1), (1, math.nan), (2, 0)]}, log_y=True))[0]) == 1
    with pytest.raises(ValueError, match="'t' has nothing to draw"):
        chart("t", "x", "y", {"a": [(0, math.inf)]})


@given(NUMBERS, NUMBERS, st.booleans())
def test_ticks_are_even_and_cover_the_numbers(one, two, whole):
    low, high = sorted((one, two))
    found = ticks(low, high, whole)
    slack = 1e-6 * max(abs(low), abs(high)) + 1e-8 * (found[1] - found[0])
    assert found[0] <= low + slack and found[-1] >= high - slack and 2 <= len(found) <= 10
    gaps = [b - a for a, b in pairwise(found)]
    assert max(gaps) == pytest.approx(min(gaps)) and min(gaps) > 0
    if whole:
        assert all(tick == int(tick) for tick in found)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1))
def test_every_point_is_inside_the_drawing(points):
    text = chart("t", "x", "y", {"a": points})
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', text).groups())
    for x, y in lines_of(text)[0]:
        assert 0 <= x <= width and 0 <= y <= height
