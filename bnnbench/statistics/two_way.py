"""Means over images and seeds that are both drawn at random: their standard error, interval and test.

The two-way bootstrap draws images and seeds with replacement, independently of each other, as in the pigeonhole
bootstrap of Owen (2007, Annals of Applied Statistics 1:386). It takes into account that other images, and fits with
other seeds, would give another mean.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
RESAMPLES = 2000
"""The number of resamples of a bootstrap."""
SEED = 20
"""The seed of the resampling: the same values always give the same figures."""


def two_way_bootstrap(values: Array, spread: float = 1.0, resamples: int = RESAMPLES, seed: int = SEED) -> Array:
    """The means of values (seeds, images) over resampled seeds and images, (resamples,).

    The deviations of the seeds' means from the mean of all values are multiplied by `spread`. Raises `ValueError` for
    values of another shape, or if there are none.
    """
    values = _checked(values)
    seeds, images = values.shape
    of_seeds = values.mean(1)
    # The sums of differences -1, 0 and 1 are exact: they do not depend on how a processor multiplies matrices.
    sums = (_counts(images, resamples, seed) @ values.T.astype(np.float32)).astype(np.float64)  # (resamples, seeds)
    by_seed = sums / images + (spread - 1) * (of_seeds - of_seeds.mean())
    chosen = np.random.default_rng([seed, 1]).integers(0, seeds, (resamples, seeds))
    means: Array = np.take_along_axis(by_seed, chosen, 1).mean(1)
    return means


def across_seeds(values: Array, level: float = 0.95) -> tuple[float, float, float]:
    """The interval of the mean of values (seeds, images) at several seeds, and the p-value of a mean of zero.

    The standard error is that of the two-way bootstrap, with the means of the S seeds spread by sqrt(S / (S - 1)):
    drawing S of S makes them too narrow. The quantiles are those of Student's t, because the percentiles of a bootstrap
    over a few seeds cover too little. Its degrees of freedom are Satterthwaite's: about S - 1 if the fits differ most,
    and about the number of images if these do.

    Raises `ValueError` for a single seed, and as `two_way_bootstrap` does.
    """
    from scipy.special import stdtr, stdtrit

    values = _checked(values)
    if len(values) < 2:
        raise ValueError("there is one seed: nothing is known of others")
    mean, freedom = float(values.mean()), _freedom(values)
    error = float(two_way_bootstrap(values, math.sqrt(len(values) / (len(values) - 1))).std())
    if error == 0:
        return mean, mean, float(mean == 0)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return mean - half, mean + half, float(2 * stdtr(freedom, -abs(mean) / error))


def _freedom(values: Array) -> float:
    """Satterthwaite's degrees of freedom of the mean of values (seeds, images): at least those of the seeds."""
    seeds, images = values.shape
    of_seeds, of_images = values.mean(1).var(ddof=1) / seeds, values.mean(0).var(ddof=1) / images
    squares = of_seeds**2 / (seeds - 1) + of_images**2 / (images - 1)
    return float((of_seeds + of_images) ** 2 / squares) if squares > 0 else float(images - 1)


def _checked(values: Array) -> Array:
    """Values (seeds, images) as float64. Raises `ValueError` for another shape, or fewer than two images."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise ValueError(f"values have the shape {values.shape}, not (seeds, images) with two images or more")
    return values


@functools.lru_cache(maxsize=1)
def _counts(images: int, resamples: int, seed: int) -> Array:
    """How often each resample has each image, (resamples, images) float32. Comparisons of the same images share it."""
    generator = np.random.default_rng([seed, 0])
    counts = np.empty((resamples, images), dtype=np.float32)
    for row in counts:
        row[:] = np.bincount(generator.integers(0, images, images), minlength=images)
    counts.flags.writeable = False
    return counts
