"""Images: what another reader of PNG finds in them."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from minigrad.viz.draw.image import data_url, png


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_are_what_was_written(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as image:
        image.verify()
    with Image.open(io.BytesIO(png(pixels))) as image:
        np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


def test_an_address_holds_the_file() -> None:
    pixels = np.zeros((1, 1, 1), np.uint8)
    assert base64.b64decode(data_url(pixels).removeprefix("data:image/png;base64,")) == png(pixels)
