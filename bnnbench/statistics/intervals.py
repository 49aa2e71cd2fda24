"""Confidence intervals for proportions."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(successes: float, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The lower and upper bound of the Wilson score interval of a proportion (Wilson 1927), both in [0, 1].

    `successes` may be fractional: for a mean over seeds `trials` stays the number of distinct images. `level` is the
    confidence level. Raises `ValueError` if there are no trials, `successes` is outside [0, trials], or `level` is
    outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level:g}, not between 0 and 1")
    if trials < 1 or not -1e-9 <= successes <= trials + 1e-9:
        raise ValueError(f"{successes} successes in {trials} trials")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = min(max(successes / trials, 0.0), 1.0)
    centre = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # For shares 0 and 1 the outer bound is exactly 0 or 1, which rounding would miss.
    low = 0.0 if share == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if share == 1 else min(1.0, (centre + half) / scale)
    return low, high
