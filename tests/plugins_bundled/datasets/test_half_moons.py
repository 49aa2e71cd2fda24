"""Half moons lie on their circles."""

from __future__ import annotations

import numpy as np
import pytest
from bnnbench_plugins.datasets.half_moons import X_RANGE, Y_RANGE

import bnnbench as bb


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_half_moons_lie_on_their_circles_whatever_the_size_and_seed(noise: float) -> None:
    """Mapped back to the unit circles, the distance from them is the noise: its mean square is noise^2 to 5 standard
    errors (error rate 6e-7)."""
    data = bb.dataset("half-moons", noise=noise, train_size=4000, test_size=200).load(7)
    scale = 1 / (3 + 8 * noise)
    x, y = data.train[0].double().numpy(), data.train[1].numpy()
    points = (x - 0.5) / scale + [sum(X_RANGE) / 2, sum(Y_RANGE) / 2]
    centres = np.where(y[:, None] == 0, [[0.0, 0.0]], [[1.0, 0.5]])
    radial = np.linalg.norm(points - centres, axis=1) - 1
    # The distance to the arc is the radial one but for the few points beyond its ends.
    middle = np.abs(points[:, 0] - centres[:, 0]) < 0.8
    spread = radial[middle].std()
    assert spread == pytest.approx(noise, abs=5 * noise / np.sqrt(2 * middle.sum()) + 0.02 * noise + 1e-6)
    clipped = ((x == 0) | (x == 1)).any(1).mean()
    assert clipped < 0.001
    assert np.bincount(y).tolist() == [2000, 2000]
