"""Images as arrays: one shape for all, channels first, values in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from bnnbench import DataError, Dataset

if TYPE_CHECKING:
    from PIL.Image import Image


def _pair(size: Any) -> Any:
    """Height and width from one number for both, or from a list. Raises `ValueError` for anything else."""
    if isinstance(size, int) and not isinstance(size, bool):
        return size, size
    if not isinstance(size, list | tuple) or len(size) != 2:
        raise ValueError("a number of pixels, or height and width as [32, 32], is meant")
    return tuple(size)


Side = Annotated[int, Field(ge=1)]
"""A height or width in pixels."""
Sides = Annotated[tuple[Side, Side], BeforeValidator(_pair, json_schema_input_type=Side | tuple[Side, Side])]
ImageSize = Sides | None
"""Height and width in pixels, given as such or as one number for both, as a parameter's type. None: images keep their
size."""
Channels = Literal[1, 3] | None
"""One channel (greyscale) or three (red, green, blue), as a parameter's type. None: images keep their channels."""

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N", "I")
"""PIL's modes of greyscale images with 16 bits. Old versions of PIL read those as `I`."""
GREYSCALE = ("1", "L", "LA", "La", *SIXTEEN_BITS)
"""PIL's modes of greyscale images."""


class SampledImages(Dataset):
    """The parameters of data sets that take samples of images."""

    known_bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)

    train_size: int | None = Field(default=None, ge=2)
    """Training images, chosen by the seed. By default all."""
    test_size: int | None = Field(default=None, ge=2)
    """Test images, the same for every seed. By default all."""
    image_size: ImageSize = None
    """Height and width in pixels to which images are resized, or one number for both. By default images keep their
    size, which must be the same for all."""
    channels: Channels = None
    """Channels to which images are converted: 1 (greyscale) or 3 (red, green, blue). By default images keep theirs,
    which must be the same for all."""


def stacked(
    count: int, opened: Callable[[int], Image], name: Callable[[int], str], size: ImageSize, channels: Channels
) -> np.ndarray:
    """Images as an array (count, channels, height, width), float32, in [0, 1].

    Args:
        count: the number of images.
        opened: the image at a position, below `count`.
        name: what messages call it.
        size: what every image is resized to.
        channels: what every image is converted to.

    Raises `DataError` if images differ in size or channels and are not made alike, or if one cannot be read.
    """
    stack = np.empty((0,), np.float32)
    for position in range(count):
        try:
            pixels = as_array(opened(position), size, channels)
        except DataError as error:
            raise DataError(f"{name(position)} {error}") from error
        except Exception as error:  # the decoders of damaged images raise errors of any class
            raise DataError(f"{name(position)} cannot be read as an image: {error or type(error).__name__}") from error
        if position == 0:
            stack = np.empty((count, *pixels.shape), np.float32)
        elif pixels.shape != stack.shape[1:]:
            raise DataError(_difference(name(position), pixels.shape, name(0), stack.shape[1:]))
        stack[position] = pixels
    return stack


def as_array(image: Image, size: ImageSize, channels: Channels) -> np.ndarray:
    """One image as an array (channels, height, width), float32, in [0, 1].

    An image is resized with bilinear weights, over all pixels that a new one covers. Transparency is ignored. Raises
    `DataError` for pixels of floating-point numbers or of 32 bits, which have no known range.
    """
    from PIL import Image as images

    if image.mode == "F":
        raise DataError("has pixels of floating-point numbers, whose range is not known")
    if image.mode == "I" and (image.format == "TIFF" or not _fits_sixteen_bits(image)):
        raise DataError("has pixels of 32 bits, whose range is not known")
    largest = 65535 if image.mode in SIXTEEN_BITS else 255
    if largest == 65535:
        # PIL converts sixteen bits to eight by cutting them off, but floating-point numbers without loss.
        image = images.fromarray(np.asarray(image, np.float32))
    else:
        grey = channels == 1 or (channels is None and image.mode in GREYSCALE)
        image = image.convert("L" if grey else "RGB")
    if size is not None:
        image = image.resize(size[::-1], images.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32) / np.float32(largest)
    pixels = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
    return np.repeat(pixels, 3, axis=0) if channels == 3 and len(pixels) == 1 else pixels


def _fits_sixteen_bits(image: Image) -> bool:
    pixels = np.asarray(image)
    return bool(pixels.min() >= 0 and pixels.max() <= 65535)


def _difference(name: str, shape: tuple[int, ...], first: str, first_shape: tuple[int, ...]) -> str:
    """The message about two images of different shapes (channels, height, width)."""
    if shape[1:] != first_shape[1:]:
        sizes = [f"{height}x{width}" for _, height, width in (shape, first_shape)]
        return f"{name} has {sizes[0]} pixels, {first} {sizes[1]}: resize them with image_size"
    kinds = ["greyscale" if channels == 1 else "in colour" for channels, _, _ in (shape, first_shape)]
    return f"{name} is {kinds[0]}, {first} {kinds[1]}: convert them with channels, 1 or 3"
