import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnzoo.data.sources.mnist import Mnist, permutation

HUB = Path(__file__).parents[3].parent / "shared" / "hub"
IMAGES = np.arange(2 * 784).reshape(2, 28, 28) % 251


def test_an_image_is_read_by_rows_by_pixels_or_by_pixels_in_one_fixed_order():
    rows, pixels, permuted = (Mnist(order).sequences(IMAGES) for order in ("rows", "pixels", "permuted"))
    assert (rows.shape, pixels.shape, permuted.shape) == ((2, 28, 28), (2, 784, 1), (2, 784, 1))
    np.testing.assert_allclose(rows, IMAGES / 255, rtol=1e-6)
    np.testing.assert_array_equal(pixels[1, :, 0], rows[1].ravel())
    assert sorted(permutation()) == list(range(784))
    for place, pixel in enumerate(permutation()):
        assert permuted[0, place, 0] == pixels[0, pixel, 0]


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="order must be rows, pixels or permuted, got 'columns'"):
        Mnist("columns")


@pytest.mark.slow
@pytest.mark.skipif(not HUB.is_dir(), reason="needs the folder ../shared/hub beside the repository")
def test_the_hub_gives_seventy_thousand_digits_of_ten_kinds():
    pytest.importorskip("PIL", reason="reading images needs Pillow")
    code = (
        "import json\n"
        "from collections import Counter\n"
        "from rnnzoo.data.sources.mnist import Mnist\n"
        "source = Mnist()\n"
        "parts = source.read()\n"
        "counts = {name: len(columns['label']) for name, columns in parts.items()}\n"
        "values = parts['test']['values']\n"
        "labels = Counter(parts['test']['label'])\n"
        "ink = sum(float(image.sum()) for image in values) / (len(values) * 784)\n"
        "print(json.dumps([counts, labels, ink, max(image.max().item() for image in values), source.identity()]))"
    )
    command = [sys.executable, str(HUB / "serve_hub.py"), "--", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    counts, labels, ink, most, identity = json.loads(result.stdout.splitlines()[-1])
    assert counts == {"train": 54_001, "dev": 5999, "test": 10_000}  # a tenth of each label, rounded
    assert labels["1"] == 1135 and labels["5"] == 892 and len(labels) == 10  # of the original test set
    assert ink == pytest.approx(0.1325, abs=5e-4) and most == 1
    assert identity["id"] == "ylecun/mnist" and len(identity["revision"]) == 40
