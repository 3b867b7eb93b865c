"""Every kind of chart is well-formed SVG that says its numbers, in light and dark, whatever the names are."""

import math
from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnzoo.pictures import calibration, confusion, theme
from rnnzoo.pictures.bars import bars
from rnnzoo.pictures.curves import by_step
from rnnzoo.pictures.forecast import Forecast, forecast
from rnnzoo.pictures.lines import lines, spread, thinned
from rnnzoo.pictures.scatter import scatter
from rnnzoo.pictures.theme import Picture

HOSTILE = "</title></style><script>alert('x')</script>&\"\x00"
SVG = "{http://www.w3.org/2000/svg}"
ROWS = [("cat", "cat")] * 6 + [("cat", "dog")] * 2 + [("dog", "dog")] * 4


def pictures(name: str) -> list[Picture]:
    return [
        lines(name, name, {name: [(0, 1), (1, 2)]}),
        confusion.confusion([(name, name), (name, "b")]),
        calibration.calibration([(0.7, True)]),
        bars(name, {name: 0.5}, {name: 3}),
        scatter(name, [(1.0, 2.0)]),
        forecast(name, Forecast([1.0, 2.0], [3.0], [2.5], [2.0], [4.0])),
    ]


def words(picture: Picture) -> list[str]:
    return [element.text for element in ElementTree.fromstring(picture.svg()).iter(f"{SVG}text")]


@pytest.mark.parametrize("picture", pictures(HOSTILE), ids=lambda picture: picture.title[:8])
def test_a_hostile_name_is_text_and_nothing_else(picture):
    for written in (picture.svg(), picture.inline()):
        root = ElementTree.fromstring(written)
        assert not root.findall(f".//{SVG}script") and root.find(f"{SVG}title").text and root.find(f"{SVG}desc").text


def test_a_file_has_colours_for_dark_and_a_picture_in_a_page_leaves_them_to_the_page():
    picture = pictures("a")[0]
    assert "prefers-color-scheme:dark" in picture.svg() and "<style>" not in picture.inline()
    used = {entry for line in picture.parts for entry in line.split('"') if entry.startswith(("fill-", "stroke-"))}
    assert used and all(f".{name}{{" in theme.DARK for name in used)


def luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("name", ["ink", "quiet", *(f"s{number}" for number in range(len(theme.SERIES)))])
def test_words_stand_out_from_the_paper_as_wcag_asks(name):
    for colour, paper in zip(theme.SHADES[name], theme.SHADES["paper"], strict=True):
        low, high = sorted((luminance(colour), luminance(paper)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(4, 60))
def test_a_thinned_line_keeps_its_ends_and_its_extremes(values, most):
    points = list(enumerate(values))
    kept = thinned(points, most)
    assert len(kept) <= max(most, 2) and kept[0] == points[0] and kept[-1] == points[-1]
    assert max(y for _, y in kept) == max(values) and min(y for _, y in kept) == min(values)
    assert all(before < after for (before, _), (after, _) in pairwise(kept))


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12))
def test_names_are_moved_apart_and_stay_in_order(heights):
    places = spread(heights, 14)
    order = sorted(range(len(heights)), key=heights.__getitem__)
    assert all(places[b] - places[a] >= 14 - 1e-6 for a, b in pairwise(order))
    assert sum(places) == pytest.approx(sum(heights), abs=1e-3)


def test_curves_by_step_have_every_value_with_the_steps_before_it():
    records = [
        {"step": 9, "epoch": 0, "train/loss_step": 0.9, "val/f1": 0.4},
        {"step": 19, "epoch": 0, "val/loss": math.nan, "train/loss": 0.8, "val/f1": True},
        {"step": 20, "test/loss": 0.5},
    ]
    assert by_step(records) == {"loss": {"train": [(20, 0.8)]}, "f1": {"val": [(10, 0.4)]}}
    assert "loss_step" in by_step(records[:1])


def test_a_confusion_matrix_counts_each_pair_of_truth_and_prediction():
    labels, table = confusion.matrix(Counter(ROWS))
    assert labels == ["cat", "dog"] and table == [[6, 2], [0, 4]]
    picture = confusion.confusion(ROWS)
    assert {"6", "2", "4"} <= set(words(picture)) and "0" not in words(picture)
    assert picture.summary == "10 of 12 right. Most often mistaken: cat for dog, 2 times."


def test_the_rarest_of_many_labels_are_counted_together():
    counts = Counter({(f"label {n}", f"label {n}"): 100 - n for n in range(40)})
    labels, table = confusion.matrix(counts)
    assert labels == [f"label {n}" for n in range(confusion.LABELS - 1)] + [confusion.OTHERS]
    assert sum(map(sum, table)) == counts.total()


def test_calibration_is_the_distance_of_confidence_and_share_weighted_by_examples():
    examples = [(0.95, True)] * 3 + [(0.95, False)] + [(0.55, True)] * 2 + [(1.5, True), (math.nan, True)]
    bins = calibration.binned(examples)
    full = [entry for entry in bins if entry is not None]
    assert [(entry.examples, entry.right) for entry in full] == [(2, 1.0), (4, 0.75)] and bins[9] is full[1]
    assert calibration.error(bins) == pytest.approx((2 * 0.45 + 4 * 0.2) / 6)
    assert "calibration error 28.3 %" in words(calibration.calibration(examples))


def test_a_bar_is_as_long_as_its_share():
    root = ElementTree.fromstring(bars("t", {"a": 0.25, "b": 1.0}, {"a": 1, "b": 2}).svg())
    paper, full, quarter, _, whole = (float(box.get("width")) for box in root.iter(f"{SVG}rect"))
    assert quarter == pytest.approx(full / 4, abs=0.1) and whole == pytest.approx(full, abs=0.1) and paper > full


def test_a_right_number_is_on_the_diagonal():
    root = ElementTree.fromstring(scatter("t", [(1, 1), (3, 3), (math.inf, 1)]).svg())
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in root.iter(f"{SVG}circle")]
    (x0, y0), (x1, y1) = dots
    assert x1 - x0 == pytest.approx(y0 - y1, abs=0.2) and x1 > x0


@pytest.mark.parametrize("empty", [lambda: lines("t", "x", {}), lambda: scatter("t", []), lambda: bars("t", {}, {})])
def test_nothing_to_draw_is_refused(empty):
    with pytest.raises(ValueError, match="'t' has nothing to draw"):
        empty()


def test_a_forecast_says_how_far_it_is_and_what_its_interval_holds():
    picture = forecast("sales", Forecast([1, 2], [3, 5], [2, 5], [1, 6], [4, 7]))
    assert picture.summary == "The mean distance from the truth is 0.5. The interval holds 1 of 2 truths."
    assert {"truth", "forecast", "interval"} <= set(words(picture)) and "polygon" in picture.svg()
    assert "interval" not in words(forecast("sales", Forecast([], [3, 5], [2, 5])))


@pytest.mark.parametrize("rows", [([1], [], []), ([1], [2, 3], [2]), ([1], [2], [math.nan]), ([1], [2], [2], [1], [])])
def test_a_forecast_that_does_not_fit_together_is_not_drawn(rows):
    with pytest.raises(ValueError, match="nothing to draw"):
        forecast("sales", Forecast(*rows))
