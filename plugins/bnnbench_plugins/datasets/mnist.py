"""MNIST and Fashion-MNIST, from torchvision's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bnnbench import Data, Dataset
from bnnbench.authoring import test_sample, training_sample

if TYPE_CHECKING:
    import numpy as np


class Mnist(Dataset):
    """MNIST (LeCun, Cortes and Burges): 60,000 training and 10,000 test images of handwritten digits, 28x28 pixels.

    Inputs have shape (1, 28, 28), in [0, 1]; there are 10 classes. The files are read from `$BNNBENCH_DATA/MNIST/raw`
    if that variable is set, unpacked or still packed (`.gz`). Otherwise they are read from the user's cache, into which
    one process downloads them with torchvision while the others wait. Every load verifies their md5 checksums, and
    raises `DataError` if a file is absent, damaged or cannot be downloaded.
    """

    revision: ClassVar[int | None] = 1
    known_bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    known_shape: ClassVar[tuple[int, ...] | None] = (1, 28, 28)
    folder: ClassVar[str] = "MNIST"
    """The folder of the files, which is also the name of torchvision's class."""
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
    """The checksum of each file, in hexadecimal."""

    train_size: int | None = Field(default=None, ge=2)
    """Training images, chosen by the seed. By default all 60,000."""
    test_size: int | None = Field(default=None, ge=2)
    """Test images, the same for every seed. By default all 10,000."""

    def load(self, seed: int) -> Data:
        from bnnbench_plugins.datasets.idx import find_files

        files = find_files(self.folder, self.md5)
        return Data(
            train=training_sample(*self._part(files, "train"), self.train_size, seed),
            test=test_sample(*self._part(files, "t10k"), self.test_size),
            classes=10,
        )

    def _part(self, files: dict[str, Path], part: str) -> tuple[np.ndarray, np.ndarray]:
        from bnnbench_plugins.datasets.idx import read_idx

        images = read_idx(files[f"{part}-images-idx3-ubyte"])
        labels = read_idx(files[f"{part}-labels-idx1-ubyte"])
        return (images[:, None] / 255).astype("float32"), labels.astype("int64")

    def fingerprint(self) -> str:
        """The md5 checksums of the four files, which every load verifies."""
        return " ".join(self.md5.values())


class FashionMnist(Mnist):
    """Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 training and 10,000 test images of clothes, 28x28 pixels.

    Inputs have shape (1, 28, 28), in [0, 1]; there are 10 classes. The files are read from
    `$BNNBENCH_DATA/FashionMNIST/raw` if that variable is set, unpacked or still packed (`.gz`). Otherwise they are read
    from the user's cache, into which one process downloads them with torchvision while the others wait. Every load
    verifies their md5 checksums, and raises `DataError` if a file is absent, damaged or cannot be downloaded.
    """

    revision: ClassVar[int | None] = 1
    folder: ClassVar[str] = "FashionMNIST"
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }
