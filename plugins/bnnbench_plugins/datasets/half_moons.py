"""Half moons: two interleaved half circles."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bnnbench import Data, Dataset
from bnnbench.authoring import test_generator, training_generator

PADDING = 4.0
"""Distance between the moons without noise and the box, in standard deviations of the noise."""
X_RANGE, Y_RANGE = (-1.0, 2.0), (-0.5, 1.0)
"""The smallest and largest coordinates of the moons without noise, in radii of the half circles."""


class HalfMoons(Dataset):
    """Two interleaved half circles with normal noise, in the unit box: the data of Figure 1 of Carbone et al. (2020).

    Inputs have shape (2,), in [0, 1]; there are two classes. The map into the box is affine, isotropic, and depends on
    `noise` alone: four standard deviations of the noise are left around the moons, and points beyond are clipped. So
    epsilon means the same for every seed and size (the paper scales each sample by its own extremes). In the box, a
    half circle has the radius 1 / (3 + 8 noise).
    """

    revision: ClassVar[int | None] = 1
    known_bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    known_shape: ClassVar[tuple[int, ...] | None] = (2,)

    train_size: int = Field(default=1000, ge=2)
    """Training points, drawn anew for each seed."""
    test_size: int = Field(default=1000, ge=2)
    """Test points, the same for every seed."""
    noise: float = Field(default=0.1, ge=0, le=1)
    """Standard deviation of the normal noise, in radii of the half circles."""

    @property
    def scale(self) -> float:
        """The radius of a half circle in the box."""
        return 1 / (X_RANGE[1] - X_RANGE[0] + 2 * PADDING * self.noise)

    def load(self, seed: int) -> Data:
        train = self._sample(self.train_size, training_generator(seed))
        return Data(train=train, test=self._sample(self.test_size, test_generator()), classes=2)

    def _sample(self, size: int, rng: np.random.Generator) -> tuple[Any, Any]:
        from sklearn.datasets import make_moons

        # make_moons accepts only numpy's older kind of generator.
        random_state = np.random.RandomState(rng.bit_generator)
        points, labels = make_moons(size, noise=self.noise, random_state=random_state)
        centre = np.array([sum(X_RANGE) / 2, sum(Y_RANGE) / 2])
        scaled = 0.5 + self.scale * (points - centre)
        return np.clip(scaled, 0, 1).astype(np.float32), labels
