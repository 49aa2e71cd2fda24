"""Half moons: two interleaved half circles."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Data, Dataset
from bnnbench_plugins.datasets.samples import TEST, TRAIN, generator

PADDING = 4.0
"""Standard deviations of the noise between the moons and the box."""
X_RANGE, Y_RANGE = (-1.0, 2.0), (-0.5, 1.0)
"""The extent of the moons without noise."""


class HalfMoons(Dataset):
    """Two interleaved half circles with normal noise, in the unit box: the data of the paper's Figure 1.

    The map into the box is affine, isotropic, and depends on `noise` alone (four standard deviations of padding, then
    clipped), so that epsilon means the same for every seed and size; the paper scaled each sample by its own extremes.
    A half circle's radius is 1 / (3 + 8 noise) of the box. Inputs have shape (2,).
    """

    revision: ClassVar[int | None] = 1

    train_size: int = Field(default=1000, ge=2)
    """Training points, drawn anew for each seed."""
    test_size: int = Field(default=1000, ge=2)
    """Test points, the same for every seed."""
    noise: float = Field(default=0.1, ge=0, le=1)
    """Standard deviation of the normal noise, in radii of the half circles."""

    @property
    def scale(self) -> float:
        """How long a radius is in the box."""
        return 1 / (X_RANGE[1] - X_RANGE[0] + 2 * PADDING * self.noise)

    def load(self, seed: int) -> Data:
        train, test = (
            self._sample(size, generator(which, purpose))
            for size, which, purpose in ((self.train_size, seed, TRAIN), (self.test_size, 0, TEST))
        )
        return Data(train=train, test=test, classes=2)

    def _sample(self, size: int, rng: np.random.Generator) -> tuple[Any, Any]:
        from sklearn.datasets import make_moons

        # scikit-learn takes the older kind of generator.
        random_state = np.random.RandomState(rng.bit_generator)
        points, labels = make_moons(size, noise=self.noise, random_state=random_state)
        centre = np.array([sum(X_RANGE) / 2, sum(Y_RANGE) / 2])
        scaled = 0.5 + self.scale * (points - centre)
        return np.clip(scaled, 0, 1).astype(np.float32), labels
