"""The worst case over several attacks, for each image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def worst_case(robust: Sequence[np.ndarray]) -> np.ndarray:
    """Whether each image is robust under every attack, (N,) bool.

    `robust` has an array (N,) for each attack, which says at which images it failed. The attacks must have the same
    fit, threat and images.
    """
    return np.logical_and.reduce(list(robust))
