"""Small files of data: images, folders of classes, and IDX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Random pixels, uint8."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_image(path: Path, array: np.ndarray) -> None:
    """Write pixels (height, width) or (height, width, 3) as an image, in the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_classes(folder: Path, counts: dict[str, int], *shape: int, seed: int = 0) -> None:
    """Write a folder of random PNG images for each class, whose names number them from 0."""
    for position, (name, count) in enumerate(counts.items()):
        for number in range(count):
            array = pixels(*(shape or (5, 4)), seed=1000 * (seed + position) + number)
            write_image(folder / name / f"{number}.png", array)


def write_mnist(root: Path, train: int = 12, test: int = 6, folder: str = "MNIST") -> dict[str, np.ndarray]:
    """Write MNIST's four files with a few random images, in torchvision's layout; gives their arrays by name."""
    raw = root / folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, count in (("train", train), ("t10k", test)):
        arrays[f"{part}-images-idx3-ubyte"] = pixels(count, 28, 28, seed=count)
        arrays[f"{part}-labels-idx1-ubyte"] = (np.arange(count) % 10).astype(np.uint8)
    for name, array in arrays.items():
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        (raw / name).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    return arrays
