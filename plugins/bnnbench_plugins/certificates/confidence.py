"""Lower confidence bounds of a probability, from independent trials.

Each of the functions gives a bound L(k) from k successes in n trials such that P(L(k) > p) <= error, whatever p is.
They rise with k, so that they also hold if only k or more successes are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, get_args

from bnnbench.authoring import last_that_holds

Method = Literal["chernoff", "massart", "clopper-pearson"]
"""The names of the bounds."""


def lower_bound(successes: int, trials: int, confidence: float, method: Method) -> float:
    """The lower confidence bound of a probability, 0 if there is no success."""
    if successes == 0:
        return 0.0
    return _BOUNDS[method](successes, trials, 1 - confidence)


def _chernoff(successes: int, trials: int, error: float) -> float:
    """From P(k / n >= p + t) <= exp(-2 n t^2), the additive Chernoff bound (Hoeffding 1963)."""
    return max(0.0, successes / trials - math.sqrt(math.log(1 / error) / (2 * trials)))


def _massart(successes: int, trials: int, error: float) -> float:
    """From P(k / n >= p + t) <= exp(-n t^2 / (2 (p + t / 3) (1 - p - t / 3))), by Massart (1990).

    Jegourel, Sun and Dong (2018) made it the rule by which Cardelli et al. (2019) stop.
    """
    share = successes / trials

    def log_tail(p: float) -> float:
        distance = share - p
        middle = p + distance / 3
        return -trials * distance**2 / (2 * middle * (1 - middle))

    return _smallest(log_tail, share, error)


def _clopper_pearson(successes: int, trials: int, error: float) -> float:
    """From the binomial distribution itself: P(at least k successes) = error (Clopper and Pearson 1934)."""

    def log_tail(p: float) -> float:
        terms = [
            _log_choose(trials, k) + k * math.log(p) + (trials - k) * math.log1p(-p)
            for k in range(successes, trials + 1)
        ]
        largest = max(terms)
        return largest + math.log(sum(math.exp(term - largest) for term in terms))

    return _smallest(log_tail, successes / trials, error)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _smallest(log_tail: Callable[[float], float], share: float, error: float) -> float:
    """The probability in (0, share) at which a rising log tail probability reaches log(error), from below."""
    return last_that_holds(lambda p: log_tail(p) < math.log(error), 0.0, share)


_BOUNDS: Mapping[str, Callable[[int, int, float], float]] = {
    "chernoff": _chernoff,
    "massart": _massart,
    "clopper-pearson": _clopper_pearson,
}
assert set(_BOUNDS) == set(get_args(Method))
