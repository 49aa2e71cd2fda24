"""How well chains mix: R-hat and the effective sample size."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnnbench.statistics.agreement import Array, in_two, varying

FEWEST_DRAWS = 8
"""The smallest number of draws of a chain of which R-hat is computed."""
INFINITE = 1e6
"""The R-hat of chains none of which moves, though they differ."""


@dataclass(frozen=True, eq=False)
class Mixing:
    """R-hat and effective sample size of each of Q quantities.

    Attributes:
        rhat: the larger of rank-normalised split R-hat and folded split R-hat, (Q,); at most `INFINITE`.
        ess: the smaller of bulk and tail ESS, (Q,); NaN where neither is defined.
    """

    rhat: Array
    ess: Array


def mixing(quantities: np.ndarray) -> tuple[float | None, float | None]:
    """The largest rank-normalised split R-hat and the smallest bulk or tail ESS of quantities (chains, draws, Q).

    Quantities that never change, such as the gradient at a pixel that no draw uses, and those that are not finite are
    left out. A single chain is cut into halves. (None, None) if a chain has fewer than eight draws, or if no quantity
    changes.
    """
    changing = quantities[..., varying(quantities)]
    if quantities.shape[1] < FEWEST_DRAWS or changing.shape[-1] == 0:
        return None, None
    each = mixing_of_each(changing)
    return float(np.nanmax(each.rhat)), float(np.nanmin(each.ess))


def mixing_of_each(quantities: np.ndarray) -> Mixing:
    """The R-hat and ESS (Vehtari et al. 2021) of each of the quantities (chains, draws, Q), all of which change.

    A single chain is cut into halves.
    """
    from arviz_stats.base import array_stats

    chains = in_two(quantities) if len(quantities) == 1 else quantities
    arrays = np.moveaxis(chains.astype(np.float64), -1, 0)
    axes: dict[str, Any] = {"chain_axis": 1, "draw_axis": 2}
    with warnings.catch_warnings():
        # A chain that does not move has an infinite R-hat, which is correct: no warning is needed.
        warnings.simplefilter("ignore", RuntimeWarning)
        rhat = np.asarray(array_stats.rhat(arrays, **axes), float)
        bulk = array_stats.ess(arrays, method="bulk", **axes)
        tail = array_stats.ess(arrays, method="tail", prob=(0.05, 0.95), **axes)
    return Mixing(np.where(np.isinf(rhat), INFINITE, rhat), np.fmin(bulk, tail))
