"""Handwritten digits, read as sequences."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np

from rnnzoo.data.base import Columns
from rnnzoo.data.sources.hub import HubSource
from rnnzoo.data.splits import held_out, taken
from rnnzoo.errors import Unavailable
from rnnzoo.limits import Fraction, checked

SIDE = 28  # pixels
Order = Literal["rows", "pixels", "permuted"]


class Mnist(HubSource):
    """60,000 handwritten digits for training and 10,000 for testing, 28 x 28 pixels, read from top to bottom.

    Source: LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86(11), 1998; `ylecun/mnist` on the Hub. As sequences of pixels,
    and of pixels in one fixed order of no meaning: Le, Jaitly, Hinton, arXiv:1504.00941. The dev split is the end of
    the training split. Pixels are in [0, 1], 1 is ink.

    order: "rows" for a row of 28 pixels a step, "pixels" for one of 784 pixels a step, "permuted" for those in the
    fixed order. revision: the Hub's commit, branch or tag; the newest if not given. dev_fraction: of the training
    split. `read` needs Pillow.
    """

    form = "labelled_series"
    hub_id = "ylecun/mnist"

    @checked
    def __init__(self, order: Order = "rows", revision: str | None = None, dev_fraction: Fraction = 0.1) -> None:
        super().__init__(revision)
        if order not in ("rows", "pixels", "permuted"):
            raise ValueError(f"order must be rows, pixels or permuted, got {order!r}")
        self.order, self.dev_fraction = order, dev_fraction

    def read(self) -> dict[str, Columns]:
        try:
            import PIL.Image  # noqa: F401
        except ImportError as cause:
            raise Unavailable("reading images needs Pillow.\n  Install it: pip install 'rnnzoo[images]'") from cause
        return super().read()

    def parts(self, parts: Any) -> dict[str, Columns]:
        train, test = (self._columns(parts[name]) for name in ("train", "test"))
        kept, dev = held_out(train["label"], self.dev_fraction)
        return {"train": taken(train, kept), "dev": taken(train, dev), "test": test}

    def _columns(self, rows: Any) -> Columns:
        from PIL import Image

        names = rows.features["label"].names
        files = rows.data.column("image").combine_chunks().field("bytes").to_pylist()
        images = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
        return {
            "values": list(self.sequences(images)),
            "label": [names[label] for label in rows.data.column("label").to_pylist()],
        }

    def sequences(self, images: np.ndarray) -> np.ndarray:
        """images: (images, 28, 28) uint8. Returns (images, time, features) float32."""
        values = images.astype(np.float32) / 255
        if self.order == "rows":
            return values
        pixels = values.reshape(-1, SIDE * SIDE, 1)
        return pixels[:, permutation()] if self.order == "permuted" else pixels


def permutation() -> np.ndarray:
    """(784,): which pixel is read at each step; always the same."""
    return np.random.RandomState(0).permutation(SIDE * SIDE)
