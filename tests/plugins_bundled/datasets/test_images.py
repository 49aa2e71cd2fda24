"""Images of any kind become arrays of one shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bnnbench_plugins.datasets.images import as_array, stacked
from data_files import pixels
from PIL import Image

import bnnbench as bb


def test_eight_bits_become_the_same_numbers_as_a_division_in_full_precision() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(as_array(Image.fromarray(every), None, None)[0], (every / 255).astype(np.float32))


def test_greyscale_has_one_channel_and_colour_three_channels_first() -> None:
    grey, colour = pixels(5, 4), pixels(5, 4, 3)
    assert np.array_equal(as_array(Image.fromarray(grey), None, None), np.float32(grey / 255)[None])
    found = as_array(Image.fromarray(colour), None, None)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.float32(colour / 255).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3), ("CMYK", 3), ("YCbCr", 3), ("HSV", 3)],
)
def test_every_mode_has_its_channels(mode: str, channels: int) -> None:
    image = Image.fromarray(pixels(5, 4, 3)).convert(mode)
    for wanted in (None, 1, 3):
        found = as_array(image, None, wanted)  # type: ignore[arg-type]
        assert found.shape == (wanted or channels, 5, 4)
        assert 0 <= found.min() < found.max() <= 1


def test_thirty_two_bits_have_no_known_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 200]], np.int32)).save(tmp_path / "a.tif")
    for image in (Image.open(tmp_path / "a.tif"), Image.fromarray(np.array([[0, 70_000]], np.int32))):
        with pytest.raises(bb.DataError, match="has pixels of 32 bits, whose range is not known"):
            as_array(image, None, None)


def test_sixteen_bits_keep_their_precision() -> None:
    array = np.array([[0, 1], [256, 65535]], np.uint16)
    for image in (Image.fromarray(array), Image.fromarray(array.astype(np.int32))):
        assert np.array_equal(as_array(image, None, None)[0], np.float32(array) / np.float32(65535))
        assert as_array(image, (4, 4), 3).shape == (3, 4, 4)


def test_resizing_averages_the_pixels_that_a_new_one_covers() -> None:
    array = np.full((8, 6), 60, np.uint8)
    array[:, 3:] = 120
    found = as_array(Image.fromarray(array), (4, 2), None)
    assert found.shape == (1, 4, 2)
    assert found.mean() == pytest.approx(90 / 255, abs=2 / 255)
    assert (found[0, :, 0] < found[0, :, 1]).all()


def read(*images: Any, size: Any = None, channels: Any = None) -> np.ndarray:
    return stacked(len(images), images.__getitem__, lambda position: f"number {position}", size, channels)


def test_images_that_differ_are_told_and_made_alike_on_demand() -> None:
    grey, wide, colour = (Image.fromarray(pixels(*shape)) for shape in ((5, 4), (5, 7), (5, 4, 3)))
    with pytest.raises(bb.DataError, match="number 1 has 5x7 pixels, number 0 5x4: resize them with image_size"):
        read(grey, wide)
    with pytest.raises(bb.DataError, match="number 1 is in colour, number 0 greyscale: convert them with channels"):
        read(grey, colour)
    assert read(grey, wide, size=(3, 2)).shape == (2, 1, 3, 2)
    assert read(grey, colour, channels=3).shape == (2, 3, 5, 4)
    assert read(colour, grey, channels=1).shape == (2, 1, 5, 4)


def test_pixels_without_a_known_range_are_told() -> None:
    with pytest.raises(bb.DataError, match="number 0 has pixels of floating-point numbers"):
        read(Image.fromarray(np.zeros((2, 2), np.float32)))
