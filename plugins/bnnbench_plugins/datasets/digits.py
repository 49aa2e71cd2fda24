"""The digits that scikit-learn ships."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bnnbench import Data, Dataset
from bnnbench.authoring import split, test_sample, training_sample
from bnnbench_plugins.datasets.package_files import checksum_of_package_file


class Digits(Dataset):
    """1,797 handwritten digits of 8x8 pixels (Alpaydin and Kaynak 1998), as scikit-learn ships them.

    One fixed shuffle splits them into 1,348 training and 449 test images. Inputs have shape (1, 8, 8), in [0, 1]; there
    are 10 classes.
    """

    revision: ClassVar[int | None] = 1
    known_bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    known_shape: ClassVar[tuple[int, ...] | None] = (1, 8, 8)

    train_size: int | None = Field(default=None, ge=2)
    """Training images, chosen by the seed. By default all 1,348."""
    test_size: int | None = Field(default=None, ge=2)
    """Test images, the same for every seed. By default all 449."""

    def load(self, seed: int) -> Data:
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        train, test = split((images / 16).astype("float32").reshape(-1, 1, 8, 8), labels, test_share=0.25)
        return Data(
            train=training_sample(*train, self.train_size, seed), test=test_sample(*test, self.test_size), classes=10
        )

    def fingerprint(self) -> str:
        """The sha256 of the file that scikit-learn reads."""
        return checksum_of_package_file("sklearn", "datasets/data/digits.csv.gz")
