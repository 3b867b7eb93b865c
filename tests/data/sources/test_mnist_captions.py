import numpy as np
import pytest

from rnnzoo.data.sources.mnist_captions import caption, slant, thickness


def bar(width, shift=0.0, rows=20):
    """A vertical stroke `width` pixels wide that moves `shift` pixels to the right with each row upwards."""
    image = np.zeros((28, 28), np.float32)
    for row in range(rows):
        left = 12 + round(shift * (rows / 2 - row))
        image[4 + row, left : left + width] = 1
    return image


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_strokes_thickness_is_its_width(width):
    area, perimeter = 20 * width, 2 * (20 + width)
    assert thickness(bar(width)) == pytest.approx(2 * area / perimeter)


def test_a_strokes_slant_is_its_columns_a_row():
    assert slant(bar(3)) == pytest.approx(0, abs=1e-6)
    assert slant(bar(3, 0.5)) == pytest.approx(0.5, abs=0.03)
    assert slant(bar(3, -0.5)) == pytest.approx(-0.5, abs=0.03)


def test_an_empty_image_has_neither():
    assert thickness(np.zeros((28, 28))) == slant(np.zeros((28, 28))) == 0


def test_a_caption_says_what_is_measured_and_what_the_label_implies():
    assert caption(bar(1), 1) == "a thin one that stands upright , odd and less than five"
    assert caption(bar(4, 0.5), 8) == "a thick eight that leans to the right , even and greater than five"
    assert caption(bar(3, -0.5), 5) == "a five that leans to the left , odd and equal to five"
